"""Exports checkpoints to ONNX: parity check, FP16, INT8, acceptance check."""
