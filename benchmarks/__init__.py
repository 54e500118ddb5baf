"""What edgecam's speed is measured with: every row beside a named reference, in the same run."""
