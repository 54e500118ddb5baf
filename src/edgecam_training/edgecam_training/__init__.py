"""Data sets, training, evaluation and export of edgecam's detectors. Independent of ROS."""
