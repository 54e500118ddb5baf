"""Common names of the splits of a data set."""

from __future__ import annotations

_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "trainval": "trainval", "default": "default",
}  # fmt: skip


def split_named(name: str) -> str | None:
    """``train``, ``val``, ``test``, ``trainval`` or ``default`` (CVAT's only list); None for any other name."""
    return _NAMES.get(name.strip().casefold())


def split_in(name: str) -> str | None:
    """The split a longer name contains: ``instances_val2017`` is val; None where it contains none."""
    lowered = name.casefold()
    return next((split for split in ("train", "val", "test") if split in lowered), None)
