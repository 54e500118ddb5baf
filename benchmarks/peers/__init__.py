"""Helper processes of the measurements."""
