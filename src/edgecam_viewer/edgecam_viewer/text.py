"""Text from other nodes and browsers, made fit for a terminal, a log line and the page."""

from __future__ import annotations


def one_line(text: str, most: int) -> str:
    """``text`` cut to ``most`` characters, on one line.

    White space becomes a space; control and formatting characters (terminal escapes, lone surrogates, text direction)
    become U+FFFD.
    """
    cut = text if len(text) <= most else text[: most - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in cut)
