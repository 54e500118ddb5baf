"""The conversion of a tiny model of the zoo, in a module that another process can import."""

from __future__ import annotations

from edgecam_core.models.tflite.converter import convert

NAMES = ("BACKGROUND", "cat", "dog")


def convert_tiny(data: bytes, metadata: dict[str, str]) -> bytes:
    return convert(data, labels=NAMES, metadata=metadata)
