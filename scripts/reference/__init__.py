"""The pages of docs/reference that are written from the code: one module a page, each with ``text() -> str``."""
