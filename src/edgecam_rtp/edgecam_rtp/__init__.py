"""H.265 over RTP, both ways: image topic to UDP and back, with capture time."""
