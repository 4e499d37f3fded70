"""What the owner wrote, from everywhere: environment, then credentials, then the config file; the first wins.

pydantic-settings merges these sources into the config model. Each one also keeps the place of every value, which
pydantic-settings forgets, and refuses variables and credentials that mean nothing, which it ignores. Its own secrets
sources are not used: they read every file of the directory, and one that is not text (a keystore in /run/secrets) ends
the program.
"""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from guard.config.document import CONFIG_VARIABLE, Document, expanded, value_at
from guard.config.keys import ANY_NAME, leaves
from guard.config.models import PREFIX, SEPARATOR, ConfigTable
from guard.config.problems import SECRET_KEYS, Path, Place, Problems, did_you_mean, dotted, shortened
from guard.config.secret_files import (
    SecretFileError,
    credential_names,
    read_secret,
    refuse_readable_by_others,
    secret_directories,
)

_FILE, _ENVIRONMENT, _SECRET_FILE = 0, 1, 2
_OURS = ("accounts__", "notify__", "heartbeat__")  # Credentials with such a name are meant for us.
_CREDENTIAL_KEYS = SECRET_KEYS | {"url"}  # A credential may hold nothing else: one named `mode` is somebody else's.

# With $PYDANTIC_SETTINGS_DEBUG it logs every source at debug, keys included.
logging.getLogger("pydantic_settings").setLevel(logging.INFO)


class Source(PydanticBaseSettingsSource):
    """The values of one source, and the places of those that do not stand in the config file."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(ConfigTable)
        self.values = values
        self.places: dict[Path, Place] = {}

    def __call__(self) -> dict[str, Any]:
        return self.values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  Their names.
        return self.values.get(field_name), field_name, False

    def has(self, path: Path) -> bool:
        return value_at(self.values, path) is not None

    def put(self, path: Path, value: str, place: Place) -> None:
        table: dict[Any, Any] = self.values
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
        self.places[path] = place

    def drop(self, path: Path) -> None:
        if self.has(path):
            value_at(self.values, path[:-1]).pop(path[-1])
            self.places.pop(path, None)


class _Variables(EnvSettingsSource):
    """Reads nested variables out of the mapping it is given, not of this process."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(ConfigTable)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables


@dataclass(slots=True, kw_only=True)
class Written:
    """Everything that was written, not yet judged."""

    document: Document
    sources: tuple[Source, ...] = field(default=(), repr=False)  # The strongest first. They hold secrets.
    warnings: list[str] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Return where the value in force was written; for a missing one, the table around it."""
        elsewhere = (source.places[path] for source in self.sources if path in source.places)
        return next(elsewhere, Place(_FILE, str(self.document.path), self.document.line(path)))


def variable_name(path: Path) -> str:
    """Return the environment variable that overrides a key."""
    return PREFIX + credential_name(path).upper()


def credential_name(path: Path) -> str:
    """Return the name of the credential that provides a key."""
    return SEPARATOR.join(str(part) for part in path)


def gather(document: Document, environ: Mapping[str, str]) -> tuple[Written, Problems]:
    """Return everything that was written, and what is wrong with where it was written."""
    written = Written(document=document)
    problems = Problems(written.place)
    directories = secret_directories(environ)
    written.sources = (
        _environment(environ, written, problems),
        *(_credentials(directory, document, problems) for directory in directories),
        Source(copy.deepcopy(dict(document.values))),
    )
    _refuse_open_file(document, problems)
    for path in leaves(document.values):
        if str(path[-1]).endswith("_file"):
            _settle_secret(path, directories, written, problems)
    return written, problems


def _refuse_open_file(document: Document, problems: Problems) -> None:
    secrets = [path for path in leaves(document.values) if path[-1] in SECRET_KEYS and document.value(path)]
    if not secrets:
        return
    try:
        refuse_readable_by_others(document.path)
    except SecretFileError as error:
        problems.add(min(secrets, key=document.line), f"a secret stands in this file and {error}")


def _environment(environ: Mapping[str, str], written: Written, problems: Problems) -> Source:
    """Return what our variables say; capital and small letters are one, as everywhere in pydantic-settings."""
    document = written.document
    known = {variable_name(path): path for path in leaves(document.values) if _can_be_spelled(path)}
    possible = [CONFIG_VARIABLE, *(variable_name(path) for path in leaves(document.values, named=ANY_NAME))]
    places: dict[Path, Place] = {}
    variables = {}
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        path = known.get(name.upper())
        place = Place(_ENVIRONMENT, f"env {name if path else shortened(name)}")
        if path is None:
            hint = did_you_mean(name.upper(), known) or did_you_mean(name.upper(), possible)
            problems.add((), f"unknown variable, expected {PREFIX} and a key with its tables{hint}", place=place)
        elif path in places:
            problems.add(path, f"{places[path]} is set too, expected one of them", place=place)
        elif _has_room(document, path):
            places[path] = place
            variables[PREFIX.lower() + credential_name(path)] = environ[name]
            if path[-1] in SECRET_KEYS:
                written.warnings.append(
                    f"{place}: {dotted(path)}: other programs of this user can read it in /proc; "
                    f"{path[-1]}_file or a credential is safer"
                )
    source = Source(_Variables(variables)())
    source.places = places
    return source


def _credentials(directory: FilePath, document: Document, problems: Problems) -> Source:
    known = {credential_name(path): path for path in leaves(document.values) if path[-1] in _CREDENTIAL_KEYS}
    source = Source({})
    for name in credential_names(directory):
        file, path = directory / name, known.get(name)
        place = Place(_SECRET_FILE, str(file))
        if path is None and name.startswith(_OURS):
            hint = did_you_mean(name, known)
            problems.add((), f"this credential names no secret of the config file{hint}", place=place)
        elif path is not None and _has_room(document, path):
            try:
                source.put(path, read_secret(file, (directory,)), place)
            except SecretFileError as error:
                problems.add(path, str(error), place=place)
    return source


def _can_be_spelled(path: Path) -> bool:
    """Tell whether a variable leads back to this key: a name with a separator in it has its own problem."""
    return tuple(credential_name(path).split(SEPARATOR)) == path


def _has_room(document: Document, path: Path) -> bool:
    """Tell whether what stands above a key is a table or absent: anything else is to be refused, not replaced."""
    return all(isinstance(document.value(path[:end]), dict | None) for end in range(1, len(path)))


def _settle_secret(path: Path, directories: tuple[FilePath, ...], written: Written, problems: Problems) -> None:
    """Read the file that a key such as token_file names, if the strongest source of that secret says so."""
    target = (*path[:-1], str(path[-1]).removesuffix("_file"))
    holders = [source for source in written.sources if source.has(path) or source.has(target)]
    for weaker in holders[1:]:
        weaker.drop(path)
        weaker.drop(target)
    for source in holders[:1]:
        if source.has(path) and source.has(target):
            other = f"{variable_name(target)} is set" if target in source.places else f"{target[-1]} is written"
            problems.add(path, f"{other} too, expected one of them")
        elif source.has(path) and (file := resolve(value_at(source.values, path), written.document.path)):
            origin = Place(_SECRET_FILE, str(file))
            try:
                source.put(target, read_secret(file, directories), origin)
            except SecretFileError as error:
                # Someone may have written the key itself: only a path that exists is repeated.
                problems.add(target if error.content else path, str(error), place=origin if error.content else None)


def resolve(name: object, config: FilePath) -> FilePath | None:
    """Return a path of the config file: relative ones start at the file's own directory. None: it is no path."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return None
    return config.parent / expanded(name)
