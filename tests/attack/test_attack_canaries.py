"""The scan that runs after every test with keys, seen to find what is planted."""

import base64
from types import SimpleNamespace

import pytest
from canary_scan import Left, leaks, places, spellings

from guard.errors import VenueUnavailable

CANARY = "canary-secret/of+one=test"


@pytest.mark.parametrize("form", sorted(spellings(CANARY)))
def test_a_planted_secret_is_found_in_every_spelling(form):
    assert leaks({CANARY}, iter([("a log", f"xx {form} yy".encode())]))


@pytest.mark.parametrize("before", range(3))
def test_it_is_found_inside_other_base64(before):
    said = base64.b64encode(b"x" * before + CANARY.encode() + b"and more")
    assert leaks({CANARY}, iter([("a body", said)]))


def test_it_is_found_in_files_logs_bodies_and_what_hangs_on_errors_and_not_where_it_belongs(tmp_path):
    error = VenueUnavailable("away")
    error.__context__ = ValueError(f"https://x/?signature={CANARY}")
    (tmp_path / "journal.db").write_bytes(b"\0" + CANARY.encode())
    (tmp_path / "config.toml").write_text(CANARY)
    item = SimpleNamespace(funcargs={"tmp_path": tmp_path})
    report = SimpleNamespace(sections=[("Captured log", CANARY)])
    found = leaks({CANARY}, places(Left(errors=[error], bodies=[CANARY.encode()]), item, report))
    assert [line.partition(" stands in ")[2] for line in found] == [
        "Captured log", "an error (VenueUnavailable)", "a body sent to a channel", "the file journal.db",
    ]  # fmt: skip


def test_nothing_is_found_where_nothing_is():
    assert not leaks({CANARY}, iter([("a log", b"secretive tests of one canary")]))
