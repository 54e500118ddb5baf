"""The ``edgecam`` command. Every file in a ``cli`` folder but ``main`` is one sub-command.

A command file's docstring begins with what the command does in one line; it has ``add_arguments(parser)`` and
``run(arguments) -> exit code``, which may raise EdgecamError: that is shown as one line.
"""
