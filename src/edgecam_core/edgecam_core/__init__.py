"""The ROS-free heart of edgecam: settings, pictures, pipelines, RTP, inference."""
