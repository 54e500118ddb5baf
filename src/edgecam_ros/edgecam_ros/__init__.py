"""What the edgecam nodes share: parameters from tables, message conversion, diagnostics, lifecycle."""
