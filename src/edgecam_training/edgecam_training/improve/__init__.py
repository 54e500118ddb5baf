"""From reviewed frames and the live model to a better one, with a proof: learn, compare, decide, report. No PyTorch."""
