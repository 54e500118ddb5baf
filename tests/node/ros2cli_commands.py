"""Runs one ``ros2`` command after the other in one process, which has imported rclpy only once.

As a program it reads a JSON list of words per line and answers with ``[exit code, stdout, stderr]``.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import subprocess
import sys
from pathlib import Path


class Commands:
    """The process, as a context; it starts in the domain that the environment then names."""

    def __enter__(self) -> Commands:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate(timeout=120)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, stdout, stderr. Blocks as long as the command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"the process ended during ros2 {' '.join(words)}"
        code, output, errors = json.loads(answer)
        return code, output, errors


def exit_code(words: list[str]) -> int:
    """Run one command; what a process would do with the result of ``main``."""
    from ros2cli.cli import main

    try:
        result: object = main(words)
    except SystemExit as end:
        result = end.code
    if result is None or isinstance(result, int):
        return result or 0
    print(result, file=sys.stderr)
    return 1


def serve() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = exit_code(json.loads(line))
            gc.collect()  # the command's DDS participant ends with its last reference
        print(json.dumps([code, output.getvalue(), errors.getvalue()]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
