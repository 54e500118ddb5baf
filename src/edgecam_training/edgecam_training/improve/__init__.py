"""Improves the live model with reviewed frames: train, compare, decide, report. Does not use PyTorch."""
