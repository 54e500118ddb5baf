"""What ROS 2 distributions do differently and the core must know. edgecam_ros.humble has what Humble's launch lacks."""

from __future__ import annotations

_WITH_FAST_DDS_2 = ("humble", "jazzy")


def profile_variable(distribution: str) -> str:
    """The environment variable with the path of the Fast DDS profile. Fast DDS 3 complains where both are set."""
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if distribution in _WITH_FAST_DDS_2 else "FASTDDS_DEFAULT_PROFILES_FILE"
