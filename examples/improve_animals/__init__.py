"""``make demo-improve``: from frames of a running pipeline to a better model, all steps without a person."""
