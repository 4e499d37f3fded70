"""A guard for leveraged positions: it watches, speaks early, and adds margin only inside a written budget."""

__version__ = "0.1.0"
