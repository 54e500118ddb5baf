"""Data sets: one table of layouts, checks, statistics, downloads, composition."""
