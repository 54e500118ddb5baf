"""The collector node: frames and detections in, a data set on disk out."""
