"""Recordings of ROS messages as MCAP: written, read and played back without ROS."""
