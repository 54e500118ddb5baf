"""Messages as text: finding their types, printing them, filling them from YAML, showing their definitions."""
