"""What of all a model proposes is wanted: thresholds and classes, as the decoders need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from edgecam_core.errors import SettingError
from edgecam_core.models.detector_settings import DetectorSettings

_NEVER = 2.0  # a threshold no score reaches


@dataclass(frozen=True)
class Selection:
    """``thresholds`` is (columns,) float32, the score a class must exceed; above 1 for a class nobody wants."""

    thresholds: np.ndarray
    nms_threshold: float
    most: int

    @classmethod
    def make(cls, settings: DetectorSettings, labels: Sequence[str], has_background: bool) -> Selection:
        """Work the settings out for a model's labels.

        Raises:
            SettingError: a class the model does not have; the text offers the nearest ones.
        """
        wanted = {class_number("classes", text, labels) for text in settings.classes} or set(range(len(labels)))
        if has_background:
            wanted.discard(0)
        thresholds = np.full(len(labels), _NEVER, np.float32)
        thresholds[sorted(wanted)] = settings.confidence_threshold
        return cls(thresholds, settings.nms_threshold, settings.max_detections)


def class_number(parameter: str, text: str, labels: Sequence[str]) -> int:
    """The class meant by a label (case does not matter) or by a number as text.

    Raises:
        SettingError: the model has no such class.
    """
    folded = [label.casefold() for label in labels]
    if text.casefold() in folded:
        return folded.index(text.casefold())
    if text.isdecimal() and int(text) < len(labels):
        return int(text)
    near = get_close_matches(text.casefold(), folded, n=3)
    offer = ", ".join(repr(labels[folded.index(name)]) for name in near) or f"0 to {len(labels) - 1} as numbers"
    raise SettingError(parameter, text, f"the model has no such class; it has {offer}")
