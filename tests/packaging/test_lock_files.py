"""The locks: every dependency, each by version and hash, from nowhere in particular."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ("runtime", "build", "dev")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)(?P<extras>\[[a-z0-9,-]+\])?==(?P<version>[^ ;]+)(?P<marker> ;.*?)?(?: --hash=sha256:[0-9a-f]{64})+"
)


def lock_text(name: str) -> str:
    return (ROOT / ".ci" / f"{name}.lock").read_text(encoding="utf-8")


def entries(text: str) -> list[str]:
    """Return one line for each package, joined and without comments."""
    joined = re.sub(r" \\\n +", " ", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def faults(text: str) -> list[str]:
    """Return the lines of a lock that are not one version of one package by its hashes."""
    return [line for line in entries(text) if not _ENTRY.fullmatch(line)]


def pinned(text: str) -> dict[str, str]:
    """Return the version of each package."""
    found = (_ENTRY.fullmatch(line) for line in entries(text))
    return {entry["name"]: entry["version"] for entry in found if entry}


def named(requirements: list[object]) -> set[str]:
    """Return the normalized names of what pyproject.toml asks for."""
    texts = [requirement for requirement in requirements if isinstance(requirement, str)]
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for text in texts if (match := _NAME.match(text))}


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_its_hashes(lock):
    assert pinned(lock_text(lock))
    assert faults(lock_text(lock)) == []


@pytest.mark.parametrize(
    "line",
    [
        "aiohttp==3.14.5",
        "aiohttp>=3.14 --hash=sha256:" + "0" * 64,
        "aiohttp @ https://example.org/aiohttp.whl --hash=sha256:" + "0" * 64,
        "--index-url https://example.org/simple",
        "--find-links wheels",
        "-e .",
    ],
)
def test_a_line_without_a_hash_or_with_an_address_is_noticed(line):
    assert faults(line + "\n") == [line]


def test_a_package_that_is_asked_for_with_an_extra_is_locked_with_it():
    """pip 23.2 takes the newest release for `coverage[toml]` where only `coverage` is pinned, and refuses its hash."""
    text = lock_text("dev")
    asked = [
        (requirement.name, extra)
        for name in pinned(text)
        for requirement in map(Requirement, _requires(name))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        for extra in requirement.extras
    ]
    locked = {entry["name"]: entry["extras"] or "" for line in entries(text) if (entry := _ENTRY.fullmatch(line))}

    assert ("coverage", "toml") in asked
    assert [(name, extra) for name, extra in asked if extra not in locked[name].strip("[]").split(",")] == []


def _requires(name: str) -> list[str]:
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # Locked for another Python or machine.
        return []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_address(lock):
    assert not re.search(r"://|--(index|extra|find|trusted)|file:|git\+", lock_text(lock))


@pytest.mark.parametrize("lock", ["runtime", "dev"])
def test_ccxt_is_the_version_that_was_measured(lock):
    assert pinned(lock_text(lock))["ccxt"] == "4.5.90"
    assert "ccxt==4.5.90" in pyproject()["project"]["dependencies"]


def test_what_pyproject_asks_for_is_locked():
    asked = pyproject()
    groups = asked["dependency-groups"]

    assert named(asked["project"]["dependencies"]) <= pinned(lock_text("runtime")).keys()
    assert named(groups["build"]) <= pinned(lock_text("build")).keys()
    assert named(asked["build-system"]["requires"]) <= pinned(lock_text("build")).keys()
    assert named([*groups["dev"], *groups["build"]]) <= pinned(lock_text("dev")).keys()


def test_the_development_lock_is_the_others_and_more():
    everything = pinned(lock_text("dev")).items()

    assert pinned(lock_text("runtime")).items() < everything
    assert pinned(lock_text("build")).items() < everything
