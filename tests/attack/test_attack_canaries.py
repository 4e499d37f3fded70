"""The scan that runs after every test with keys, seen to find what is planted."""

import base64
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from canary_scan import LEFT, Left, _recording, leaks, places, spellings

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


def test_an_error_lives_no_longer_for_being_looked_at_and_what_it_said_is_kept(request):
    error = VenueUnavailable(f"it said {CANARY}")
    error.__context__ = ValueError("on which this hung")
    there = weakref.ref(error)
    del error
    assert there() is None
    said = " ".join(text for _, text in request.node.stash[LEFT].said)
    assert CANARY in said
    assert "on which this hung" in said


def test_the_scan_bears_files_that_go_and_errors_that_cannot_be_written_down(tmp_path, monkeypatch):
    class Unspeakable(VenueUnavailable):
        def __str__(self):
            raise RuntimeError

        __repr__ = __str__

    def gone(_):
        raise FileNotFoundError

    (tmp_path / "journal.db-wal").write_bytes(b"x")
    (tmp_path / "locked").mkdir(mode=0)
    monkeypatch.setattr(Path, "read_bytes", gone)
    item, report = SimpleNamespace(funcargs={"tmp_path": tmp_path}), SimpleNamespace(sections=[])
    assert not leaks({CANARY}, places(Left(errors=[Unspeakable("x")]), item, report))


def test_what_goes_wrong_in_the_scan_fails_no_test():
    with _recording(VenueUnavailable, "__str__", lambda *_: 1 / 0, left := Left()):
        assert str(VenueUnavailable("as ever")) == "as ever"
    assert "ZeroDivisionError" in left.troubles[0]


def test_nothing_is_found_where_nothing_is():
    assert not leaks({CANARY}, iter([("a log", b"secretive tests of one canary")]))
