"""A web page with the live picture and its detections, and a terminal monitor."""
