"""The way from a file, the environment and secret files to settings, or to every problem at once."""

import os
from collections.abc import Mapping
from pathlib import Path

from guard.config.checks import check, warnings
from guard.config.document import find_config, read_document
from guard.config.problems import without_secrets
from guard.config.settings import Settings
from guard.config.sources import gather
from guard.config.terms import settings
from guard.config.validate import validate
from guard.errors import ConfigError


def load(path: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of this config file, or of the one that the search path finds.

    Raises ConfigError with all problems, sorted by place: `file:line: dotted.key: what was found, what was expected`.
    Values from elsewhere name that source: `env GUARD_…: dotted.key: …`. No secret is repeated.
    """
    document = read_document(find_config(path, environ))
    written, problems = gather(document, environ)
    config = validate(written, problems)
    check(config, written, problems)
    if problems:
        secrets_in = [document.values, *(source.values for source in written.sources)]
        raise ConfigError(*without_secrets(problems.lines(), secrets_in))
    return settings(config, document.path, environ, warnings(config, written))
