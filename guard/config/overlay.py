"""What the owner wrote, from everywhere: the file, under it credentials and secret files, under it the environment.

The later wins: environment, then credential, then file. Each value keeps its source. pydantic-settings would merge
these too, but it forgets where a value came from, ignores unknown variables, and reads every file of /run/secrets
(one that is not text ends the program).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from guard.config.document import CONFIG_VARIABLE, Document
from guard.config.keys import ANY_NAME, leaves
from guard.config.problems import SECRET_KEYS, Path, Place, Problems, did_you_mean, dotted
from guard.config.secret_files import (
    SecretFileError,
    credential_files,
    read_secret,
    refuse_readable_by_others,
    secret_directories,
)

PREFIX = "GUARD_"
_FILE, _ENVIRONMENT, _SECRET_FILE = 0, 1, 2
_OURS = ("accounts__", "notify__", "heartbeat__")  # Credentials with such a name are meant for us.
_CREDENTIAL_KEYS = SECRET_KEYS | {"url"}  # A credential may hold nothing else: one named `mode` is somebody else's.


@dataclass(slots=True, kw_only=True)
class Written:
    """The merged values and the source of each."""

    document: Document
    values: dict[str, Any] = field(repr=False)
    origins: dict[Path, Place] = field(default_factory=dict)  # Of what does not stand in the file.
    warnings: list[str] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Return where a value was written; for a missing one, the table around it."""
        origin = self.origins.get(path)
        return origin or Place(_FILE, str(self.document.path), self.document.line(path))

    def value(self, path: Path) -> object:
        """Return a value as it was written. None: it was not."""
        node: Any = self.values
        for part in path:
            inside = isinstance(node, dict) if isinstance(part, str) else isinstance(node, list) and part < len(node)
            node = node.get(part) if inside and isinstance(node, dict) else node[part] if inside else None
        return node

    def put(self, path: Path, value: object, origin: Place) -> None:
        """Set a value from elsewhere. A table on the way that is none stays as it is: it gets its own problem."""
        node: Any = self.values
        for part in path[:-1]:
            node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[path[-1]] = value
            self.origins[path] = origin


def variable_name(path: Path) -> str:
    """Return the environment variable that overrides a key."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def credential_name(path: Path) -> str:
    """Return the name of the credential that provides a key."""
    return "__".join(str(part) for part in path)


def merge(document: Document, environ: Mapping[str, str]) -> tuple[Written, Problems]:
    """Return everything that was written, and what is wrong with where it was written."""
    written = Written(document=document, values=copy.deepcopy(dict(document.values)))
    problems = Problems(written.place)
    trusted = secret_directories(environ)
    _refuse_open_file(written, problems)
    for directory in reversed(trusted):
        _add_credentials(directory, written, problems)
    _add_environment(environ, written, problems)
    for path in tuple(leaves(written.values)):
        if str(path[-1]).endswith("_file"):
            _read_named_file(path, trusted, written, problems)
    return written, problems


def _refuse_open_file(written: Written, problems: Problems) -> None:
    secrets = [path for path in leaves(written.values) if path[-1] in SECRET_KEYS and written.value(path)]
    if not secrets:
        return
    try:
        refuse_readable_by_others(written.document.path)
    except SecretFileError as error:
        first = min(secrets, key=written.document.line)
        problems.add(first, f"a secret stands in this file and {error}")


def _add_credentials(directory: FilePath, written: Written, problems: Problems) -> None:
    known = {credential_name(path): path for path in leaves(written.values) if path[-1] in _CREDENTIAL_KEYS}
    for name, file in credential_files(directory).items():
        place = Place(_SECRET_FILE, str(file))
        if name in known:
            try:
                _replace(known[name], read_secret(file, (directory,)), place, written)
            except SecretFileError as error:
                problems.add(known[name], str(error), place=place)
        elif name.startswith(_OURS):
            hint = did_you_mean(name, known)
            problems.add((), f"this credential names no secret of the config file{hint}", place=place)


def _add_environment(environ: Mapping[str, str], written: Written, problems: Problems) -> None:
    known = {variable_name(path): path for path in leaves(written.values)}
    possible = [variable_name(path) for path in leaves(written.values, named=ANY_NAME)]
    both = {
        name for name in known if name.endswith("_FILE") and name in environ and name.removesuffix("_FILE") in environ
    }
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        place = Place(_ENVIRONMENT, f"env {name}")
        if name not in known:
            hint = did_you_mean(name, known) or did_you_mean(name, possible)
            problems.add((), f"unknown variable, expected {PREFIX} and a key with its tables{hint}", place=place)
        elif name in both:
            problems.add(known[name], f"{name.removesuffix('_FILE')} is set too, expected one of them", place=place)
        else:
            _replace(known[name], environ[name], place, written)
            if known[name][-1] in SECRET_KEYS:
                written.warnings.append(
                    f"{place}: {dotted(known[name])}: other programs of this user can read it in /proc; "
                    f"{known[name][-1]}_file or a credential is safer"
                )


def _replace(path: Path, value: str, place: Place, written: Written) -> None:
    """Put a value in force; the other way of giving the same secret, from a weaker source, is dropped."""
    key = str(path[-1])
    other = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
    table = written.value(path[:-1])
    if isinstance(table, dict):
        table.pop(other, None)
        written.origins.pop((*path[:-1], other), None)
    written.put(path, value, place)


def _read_named_file(path: Path, trusted: tuple[FilePath, ...], written: Written, problems: Problems) -> None:
    name = written.value(path)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return  # Left out, or refused by its model.
    target = (*path[:-1], str(path[-1]).removesuffix("_file"))
    if written.value(target) is not None:
        problems.add(path, f"{target[-1]} is written too, expected one of them")
        return
    file = resolve(name, written.document.path)
    origin = Place(_SECRET_FILE, str(file))
    try:
        written.put(target, read_secret(file, trusted), origin)
    except SecretFileError as error:
        # Someone may have written the key itself: only a path that exists is repeated.
        problems.add(target if error.content else path, str(error), place=origin if error.content else None)


def resolve(name: str, config: FilePath) -> FilePath:
    """Return a path of the config file: relative ones start at the file's own directory."""
    try:
        return config.parent / FilePath(name).expanduser()
    except RuntimeError:  # "~somebody" who does not exist: then it is a name like any other.
        return config.parent / name
