"""Doors to exchanges: one file per family with all of its quirks, behind one protocol."""
