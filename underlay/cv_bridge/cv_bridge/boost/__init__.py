"""The place of the original's compiled module."""
