"""Data sets, training, evaluation and export of edgecam's detectors. Knows no ROS."""
