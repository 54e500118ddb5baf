"""Commands of ``edgecam`` about cameras; see ``edgecam_core.cli``."""
