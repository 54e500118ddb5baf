"""The settings of the collector node: those of the collector, and those specific to ROS."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class CollectorNodeSettings(CollectorSettings):
    """Parameters of the collector node."""

    cameras: tuple[str, ...] = setting(
        (),
        "Namespaces of several cameras, as the detector has them: 'front' means front/image_raw and "
        "front/detections; empty: one camera, image_raw and detections.",
    )
    image_reliability: str = setting(
        "best_effort", "Reliability asked of the frames' publisher.", choices=("best_effort", "reliable")
    )
