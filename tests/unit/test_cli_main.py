"""`edgecam`: its version, and a misspelt command."""

from __future__ import annotations

import pytest
from edgecam_core.cli.main import main


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("edgecam 0.")


@pytest.mark.parametrize(("typed", "meant"), [("detct", "detect"), ("doctr", "doctor"), ("explian", "explain")])
def test_a_misspelt_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    assert main([typed, "--some-option"]) == 2
    assert capsys.readouterr().err.startswith(f"error: there is no command '{typed}': did you mean {meant}")


def test_a_word_near_to_nothing_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert "commands are " in capsys.readouterr().err
