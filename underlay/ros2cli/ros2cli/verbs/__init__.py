"""The commands: one file each, see `ros2cli.cli`."""
