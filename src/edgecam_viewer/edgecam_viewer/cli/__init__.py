"""Commands of ``edgecam`` that watch running nodes; see ``edgecam_core.cli``."""
