"""What every piece of a GStreamer pipeline is: element, property or capability."""
