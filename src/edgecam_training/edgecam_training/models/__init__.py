"""Networks: one file each, found by the table in ``registry``."""
