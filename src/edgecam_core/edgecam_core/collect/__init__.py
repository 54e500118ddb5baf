"""Collecting frames in the field: which are worth keeping, how many, and the data set they become. No ROS inside."""
