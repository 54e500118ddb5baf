"""GStreamer camera node: publishes USB, CSI, RTSP, file and test sources as sensor_msgs."""
