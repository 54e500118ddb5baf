"""Errors that end a command with one line on the terminal and exit code 1."""


class CliError(RuntimeError):
    """An error that the user can correct; the text describes it."""


class NotFound(CliError):
    """A package, executable, file, node, topic or service that is not there."""
