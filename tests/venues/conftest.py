"""The stub exchange and a venue on it, for every test in this folder."""

from venue_support import exchange, venue

__all__ = ["exchange", "venue"]
