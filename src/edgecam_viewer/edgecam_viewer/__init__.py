"""A web page with the live frame and its detections, and a terminal monitor."""
