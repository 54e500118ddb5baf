"""Errors of edgecam_training, in addition to those of edgecam_core."""

from __future__ import annotations

from edgecam_core.errors import EdgecamError


class DatasetError(EdgecamError):
    """A data set that is missing, empty, contradictory or not of a known layout."""


class CheckpointError(EdgecamError):
    """A checkpoint that cannot be read, or of another model or class list."""


class TrainingError(EdgecamError):
    """Training had to stop; what was learned so far is saved."""


class ExportError(EdgecamError):
    """An exported model that does not compute what the original does, or loses too much accuracy."""
