"""Inference back ends: one file each, found by the table in ``backends``."""

from edgecam_core.inference.backends import BACKENDS, open_runner
from edgecam_core.inference.runner import Runner, RunnerOptions, Tensor

__all__ = ["BACKENDS", "Runner", "RunnerOptions", "Tensor", "open_runner"]
