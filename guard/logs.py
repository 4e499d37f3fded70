"""Logging: one event a line to stderr, named `noun.verb_past`, with facts as keys and no secrets."""
