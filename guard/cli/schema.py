"""`guard schema`."""

import json

from guard.config.schema import json_schema


def print_schema() -> None:
    """Print the config's JSON schema to stdout."""
    print(json.dumps(json_schema(), indent=2))
