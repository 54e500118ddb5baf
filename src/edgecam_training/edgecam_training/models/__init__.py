"""Networks: one file each, listed in ``registry``."""
