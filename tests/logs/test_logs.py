"""What reaches the log, in which form, and what never does. Each case is a real process with a real stderr."""

import base64
import json
import os
import re
import subprocess
import sys
from urllib.parse import quote

import pytest

from guard.logs import HIDDEN, configure

PREAMBLE = """
import asyncio, base64, logging, sys, warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import structlog
from guard.logs import configure
from guard.policy.terms import Level
log = structlog.get_logger("guard.test")
"""
KEY = "Kq8/+vR2=mN7-xY4"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJcanary\n-----END PRIVATE KEY-----"


def run(code, *, stderr=subprocess.PIPE, **environ):
    finished = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code],
        stdout=subprocess.PIPE, stderr=stderr, env=os.environ | environ, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished


def lines(code, **environ):
    return run(code, **environ).stderr.splitlines()


def test_an_event_is_one_line_of_json_on_stderr_and_stdout_stays_clean():
    code = 'configure()\nlog.info("cycle.finished", account="main", note="two\\nlines")\nlog.debug("cycle.begun")'
    finished = run(code)
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "cycle.finished", "level": "info", "account": "main", "note": "two\nlines"}


def test_values_of_the_house_are_written_as_people_read_them():
    code = (
        'configure()\nlog.info("x.seen", rung=Level.DANGER, amount=Decimal("1E-7"), wait=timedelta(seconds=1.5), '
        'at=datetime(2026, 1, 2, tzinfo=UTC), rows=(Decimal("1.10"), {"a": Level.OK}), error=ValueError("no"))'
    )
    event = json.loads(lines(code)[0])
    assert (event["rung"], event["amount"], event["wait"], event["at"]) == (
        "danger",
        "0.0000001",
        1.5,
        "2026-01-02T00:00:00+00:00",
    )
    assert (event["rows"], event["error"]) == (["1.10", {"a": "ok"}], "no")


def test_under_journald_a_line_is_logfmt_with_its_priority_and_without_a_time(tmp_path):
    with (tmp_path / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        code = 'configure("debug")\n' + "\n".join(
            f'log.{level}("top_up.withheld", reason="daily budget spent", n=1)'
            for level in ("debug", "info", "warning", "error", "critical")
        )
        run(code, stderr=journal, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
        journal.seek(0)
        written = journal.read().splitlines()
    assert written == [
        f'<{priority}>level={level} event=top_up.withheld reason="daily budget spent" n=1'
        for priority, level in ((7, "debug"), (6, "info"), (4, "warning"), (3, "error"), (2, "critical"))
    ]


def test_a_traceback_under_journald_stays_one_line(tmp_path):
    with (tmp_path / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        code = 'configure()\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception("bug.met")'
        run(code, stderr=journal, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
        journal.seek(0)
        (line,) = journal.read().splitlines()
    assert line.startswith("<3>level=error event=bug.met exception=")
    assert "ZeroDivisionError" in line


def test_a_journal_stream_inherited_from_a_desktop_session_is_not_believed():
    (line,) = lines('configure()\nlog.info("x.seen")', JOURNAL_STREAM="8:12345")
    assert json.loads(line)["event"] == "x.seen"


def test_the_form_can_be_chosen():
    assert " level=info event=x.seen" in lines('configure(fmt="logfmt")\nlog.info("x.seen")')[0]
    assert "x.seen" in lines('configure(fmt="console")\nlog.info("x.seen")')[0]


def test_libraries_speak_through_the_same_log_and_only_from_warnings_up():
    code = 'configure("debug")\n' + "\n".join(
        f'logging.getLogger("{name}").{level}("%s %s", "{name}", "{level}")'
        for name in ("ccxt.base.exchange", "apscheduler.scheduler", "aiohttp.access", "asyncio", "someone.else")
        for level in ("debug", "info", "warning")
    )
    events = [json.loads(line) for line in lines(code)]
    assert [(event["logger"], event["event"], event["level"]) for event in events] == [
        (name, f"{name} warning", "warning")
        for name in ("ccxt.base.exchange", "apscheduler.scheduler", "aiohttp.access", "asyncio", "someone.else")
    ]


def test_python_warnings_are_events_too():
    (line,) = lines('configure()\nwarnings.warn("old")')
    assert json.loads(line)["logger"] == "py.warnings"


FORMS = {
    "plain": KEY,
    "inside a url": f"https://example.org/?signature={quote(KEY, safe='')}&x=1",
    "inside a path": quote(KEY),
    "url-encoded in small letters": quote(KEY, safe="").lower(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "urlsafe base64": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "basic auth, offset 1": base64.b64encode(b"user:x:" + KEY.encode() + b":tail").decode(),
    "basic auth, offset 2": base64.b64encode(b"user:xy:" + KEY.encode() + b":tail").decode(),
    "hex": KEY.encode().hex(),
    "HEX": KEY.encode().hex().upper(),
    "repr": repr({"apiKey": KEY}),
}


@pytest.mark.parametrize("fmt", ["json", "logfmt", "console"])
def test_no_secret_and_no_encoding_of_it_reaches_the_log(fmt):
    code = (
        f"configure(secrets=frozenset({{{KEY!r}, {PEM!r}}}), fmt={fmt!r})\n"
        f"for name, form in {FORMS!r}.items():\n    log.warning('x.seen', value=form, rows=[form, {{form: form}}])\n"
        "    logging.getLogger('ccxt').warning('body %s', form)\n"
        f"log.warning({KEY!r}, pem={PEM!r}, escaped=repr({PEM!r}))\n"
        f"def fail(key):\n    raise ValueError('refused: ' + key)\n"
        f"try:\n    fail({KEY!r})\nexcept ValueError as error:\n    log.exception('x.failed', error=error, cause=repr(error))\n"
        f"    logging.getLogger('asyncio').error('task', exc_info=error)\n"
    )
    written = run(code).stderr
    assert written.count(HIDDEN) >= 3 * len(FORMS)
    for form in (*FORMS.values(), "canary", KEY[:8]):
        assert form not in written
    words = re.findall(r"[A-Za-z0-9+/_-]{8,}", written)
    decoded = [base64.b64decode(word[: len(word) // 4 * 4], altchars="-_") for word in words]
    assert not any(KEY.encode()[3:9] in text for text in decoded)


def test_a_secret_with_quotes_and_backslashes_is_found_in_its_escaped_forms():
    odd = 'pass"word\\with/é'
    for fmt in ("json", "logfmt", "console"):
        written = run(
            f"configure(secrets=frozenset({{{odd!r}}}), fmt={fmt!r})\nlog.info('x.seen', a={odd!r}, b=[{odd!r}])"
        ).stderr
        assert "word" not in written
        assert "with" not in written


def test_secrets_that_become_known_later_are_hidden_from_then_on_by_loggers_already_in_use():
    code = f"configure()\nlog.info('x.first')\nconfigure(secrets=frozenset({{{KEY!r}}}))\nlog.info('x.second', key={KEY!r})"
    assert json.loads(lines(code)[1])["key"] == HIDDEN


def test_very_short_secrets_do_not_black_out_the_log():
    (line,) = lines("configure(secrets=frozenset({'', 'e', 'x.s'}))\nlog.info('x.seen', name='here')")
    assert json.loads(line)["name"] == "here"


def test_the_guard_goes_on_when_nobody_reads_its_log_any_more():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code = (
            'configure()\nfor _ in range(3):\n    log.warning("x.seen")\n    logging.warning("y")\nprint("still here")'
        )
        assert run(code, stderr=writer).stdout == "still here\n"
    finally:
        os.close(writer)


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="found log level 'loud', expected debug, info, warning, error, critical"):
        configure("loud")
