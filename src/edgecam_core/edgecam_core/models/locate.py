"""From the text of the parameter ``model`` to a file: a path, or a name of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgecam_core.errors import ModelError
from edgecam_core.models import zoo


def check_model(model: str) -> None:
    """Fail at once where :func:`locate` could never succeed; does not touch the network.

    Raises:
        ModelError: neither a file nor a name of the zoo.
    """
    if model not in zoo.MODELS and not Path(model).expanduser().is_file():
        offer = f"give the path of an ONNX file, or {', '.join(zoo.MODELS)}"
        raise ModelError(f"parameter 'model' is '{model}': there is no such file; {offer}")


def locate(model: str, progress: Callable[[str], None] | None = None) -> Path:
    """The ONNX file meant. A model of the zoo is downloaded the first time, which may take minutes; while
    another process does that, ``progress`` is told so, and may raise to give up.

    Raises:
        ModelError: neither a file nor a name of the zoo.
        EdgecamError: a model of the zoo cannot be had; the text says what was tried.
    """
    check_model(model)
    return zoo.fetch(model, progress) if model in zoo.MODELS else Path(model).expanduser()
