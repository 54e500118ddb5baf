"""GStreamer camera publisher: USB, CSI, RTSP, file and test sources as sensor_msgs."""
