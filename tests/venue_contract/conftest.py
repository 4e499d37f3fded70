"""Every test of this folder runs over every exchange, and the table at the end says what came of it."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from exchanges import SERVERS, server_of

from guard.venues import open_venue

COLUMNS = (
    "snapshot",
    "liquidation price",
    "tiers",
    "top-up",
    "lost answer settled",
    "refusal named",
    "hedge side",
    "inverse",
    "key audit",
    "check",
    "stream",
    "account news",
    "stop",
    "ending",
    "bad answers",
    "wrong mode",
    "clock",
    "whole daemon",
    "siege",
)


def pytest_configure(config):
    config.addinivalue_line("markers", "column(name, part=None): the column of the contract table that a test proves")


def pytest_generate_tests(metafunc):
    if "exchange" in metafunc.fixturenames:
        metafunc.parametrize("exchange", SERVERS)


@pytest.fixture
async def server(request, exchange, record_property):
    """The exchange, or the reason why it has not what the test is about."""
    marker = request.node.get_closest_marker("column")
    column = marker.args[0]
    assert column in COLUMNS
    record_property("contract", [exchange, column])
    kind = server_of(exchange)
    for lacking in (column, *marker.args[1:]):
        if lacking in kind.lacks:
            pytest.skip(kind.lacks[lacking])
    async with kind().serving() as one:
        yield one


@pytest.fixture
async def venue(server):
    one = open_venue(server.account(), now=lambda: datetime.now(UTC))
    yield one
    await one.close()


def pytest_terminal_summary(terminalreporter):
    cells = defaultdict(list)  # By exchange and column: (outcome, reason).
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            place = dict(getattr(report, "user_properties", ())).get("contract")
            if place and (report.when == "call" or outcome != "passed"):
                reason = report.longrepr[2].removeprefix("Skipped: ") if outcome == "skipped" else ""
                cells[tuple(place)].append((outcome, reason))
    if not cells:
        return
    terminalreporter.section("contract: exchange x what it is held to", sep="-")
    for exchange in dict.fromkeys(exchange for exchange, _ in cells):
        terminalreporter.write_line(exchange)
        for column in COLUMNS:
            terminalreporter.write_line(f"  {column:20} {_cell(cells.get((exchange, column), []))}")


def _cell(told):
    failed = sum(outcome in {"failed", "error"} for outcome, _ in told)
    if failed:
        return f"FAILED {failed} of {len(told)}"
    passed = sum(outcome == "passed" for outcome, _ in told)
    reasons = "; ".join(dict.fromkeys(reason for _, reason in told if reason))
    if not passed:
        return f"not there: {reasons}" if reasons else "not run"
    return f"pass ({passed})" + (f", but {reasons}" if reasons else "")
