"""Checks of ``edgecam doctor`` that need ROS; see ``edgecam_core.doctor``."""
