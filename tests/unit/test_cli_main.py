"""`edgecam`: its version, a misspelt command, a closed output pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from edgecam_core.cli.main import _terminated_as_interrupted, ending_signals, main


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("edgecam 0.")


@pytest.mark.parametrize(("typed", "meant"), [("detct", "detect"), ("doctr", "doctor"), ("explian", "explain")])
def test_the_error_for_a_misspelt_command_suggests_the_nearest(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    assert main([typed, "--some-option"]) == 2
    assert capsys.readouterr().err.startswith(f"error: there is no command '{typed}': did you mean {meant}")


def test_an_unknown_word_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert "commands are " in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["detect", "--help"], 0), (["xyzzy"], 2)])
def test_the_exit_code_is_the_same_when_the_output_is_not_read(words: list[str], code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "edgecam_core.cli.main", *words]
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    finally:
        os.close(writer)
    assert ended.returncode == code
    assert "BrokenPipeError" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_command_lets_it_remove_its_files(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), _terminated_as_interrupted():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_nohup_still_keeps_a_command_running() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending_signals() == (signal.SIGTERM,)
        with _terminated_as_interrupted():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
