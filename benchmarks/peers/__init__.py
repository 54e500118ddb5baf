"""Small processes on the other side of a measurement."""
