"""TOML, environment and secret files, turned into frozen settings or refused with the place and the remedy."""
