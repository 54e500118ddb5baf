"""The benchmarks of edgecam: every row is measured against a named reference in the same run."""
