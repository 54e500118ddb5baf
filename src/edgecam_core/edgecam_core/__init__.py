"""The ROS-free heart of edgecam: settings, frames, pipelines, RTP, inference."""
