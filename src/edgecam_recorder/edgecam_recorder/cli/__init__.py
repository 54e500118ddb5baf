"""Commands of ``edgecam`` that record and replay topics; see ``edgecam_core.cli``."""
