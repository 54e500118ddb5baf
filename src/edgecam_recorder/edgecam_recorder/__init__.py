"""The recorder node and the commands that record and replay topics."""
