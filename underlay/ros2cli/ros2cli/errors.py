"""Errors that end a command with one line on the terminal and exit code 1."""


class CliError(RuntimeError):
    """Something the user can put right; the text says what."""


class NotFound(CliError):
    """A package, executable, file, node, topic or service that is not there."""
