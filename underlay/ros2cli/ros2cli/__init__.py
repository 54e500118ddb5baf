"""A small stand-in for the `ros2` command, for installations of ROS 2 from Python wheels."""
