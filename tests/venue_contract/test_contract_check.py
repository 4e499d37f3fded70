"""`guard check` at every exchange: each thing that it audits is said, found wrong where it is wrong, and nothing is sent."""

from decimal import Decimal

import pytest
from wire_faults import Fate
from wire_world import config_text

from guard.config import load
from guard.daemon.findings import Verdict
from guard.daemon.inspect import inspect_accounts

column = pytest.mark.column
AMPLE = {"max_per_position": "1000000", "max_per_day": "1000000"}
# Which finding says that an answer of a kind is not there, and how bad that is.
ENDPOINTS = {
    "positions": ("positions", Verdict.UNREACHABLE),
    "wallets": ("positions", Verdict.UNREACHABLE),
    "history": ("margin history", Verdict.UNREACHABLE),
    "tiers": ("tier tables", Verdict.UNREACHABLE),
    "mark": ("mark price", Verdict.UNREACHABLE),
    "stops": ("stop orders", Verdict.WARNING),
    "fills": ("fills", Verdict.WARNING),
    "candles": ("candles", Verdict.WARNING),
}


async def checked(server, folder, limits=AMPLE):
    """Return the findings by subject, without the account's name; several of one subject in their order."""
    path = folder / "config.toml"
    path.touch(mode=0o600)
    path.write_text(config_text(server, limits))
    found = {}
    async for finding in inspect_accounts(load(path, environ={})):
        found.setdefault(finding.subject.removeprefix("main").strip(), []).append(finding)
    assert server.writes == []
    return found


@column("check")
async def test_all_that_is_audited_is_said_and_nothing_is_sent(server, tmp_path):
    server.hold_sample()
    found = await checked(server, tmp_path, {"max_per_position": "100", "max_per_day": "100"})
    position = f"{server.sample.symbol} long"
    history = "margin history"
    assert found.keys() == {
        "", "clock", "API key", "markets and modes", "tier tables", history, "positions", position, "mark price",
        "mark stream", "stop orders", "fills", "candles", "budgets",
    }  # fmt: skip
    keeps_none = "entries" in server.lacks
    assert {subject for subject, some in found.items() if {one.verdict for one in some} != {Verdict.FINE}} == (
        {history, "budgets"} if keeps_none else {"budgets"}  # There is no journal yet.
    ), [one for some in found.values() for one in some if one.verdict is not Verdict.FINE]
    texts = [one.text for one in found[position]]
    assert any(text.startswith("liquidation: ours") for text in texts)
    assert any(text.startswith("rule 'shield', trigger") for text in texts)
    assert any("the time to react" in text or "sigmas to react" in text for text in texts)
    assert found["positions"][0].text.startswith("1 open, one-way mode, ")
    assert found["positions"][0].text.endswith("1 isolated")
    assert found["stop orders"][0].text == "0 of 1 positions have one"


@column("check")
@pytest.mark.parametrize("rights", [{"withdraw": True}, {"transfer": True}], ids=["withdraw", "transfer"])
async def test_a_key_by_which_money_can_leave_is_refused(server, tmp_path, rights):
    server.set_key(**rights)
    (key,) = (await checked(server, tmp_path))["API key"]
    assert key.verdict is Verdict.KEYS


@column("check", "ip")
async def test_a_key_that_any_address_may_use_is_warned_of(server, tmp_path):
    server.set_key(ip_bound=False)
    (key,) = (await checked(server, tmp_path))["API key"]
    assert (key.verdict, "bind it to this machine's" in key.text) == (Verdict.WARNING, True)


@column("check", "ip")
async def test_of_a_key_that_can_only_look_the_address_is_said_too(server, tmp_path):
    server.set_key(ip_bound=False, read_only=True)
    (key,) = (await checked(server, tmp_path))["API key"]
    assert key.verdict is Verdict.WARNING
    assert "bind it to this machine's" in key.text
    assert "in mode act no top-up can be made" in key.text


@column("check")
async def test_a_clock_that_is_off_is_warned_of(server, tmp_path):
    server.hold_sample()
    server.clock_skew = 900
    (clock,) = (await checked(server, tmp_path))["clock"]
    assert (clock.verdict, "set the clock" in clock.text) == (Verdict.WARNING, True)


@column("check", "wrong mode")
async def test_an_account_mode_in_which_nothing_is_added_is_warned_of(server, tmp_path):
    server.is_wrong_mode = True
    found = await checked(server, tmp_path)
    assert any(one.verdict is Verdict.WARNING and "no margin is added here" in one.text for one in found[""]) or (
        "multi-asset mode" in found["positions"][0].text
    )


@column("check")
@pytest.mark.parametrize("kind", list(ENDPOINTS))
async def test_an_endpoint_that_does_not_answer_is_named(server, tmp_path, kind):
    subject, verdict = ENDPOINTS[kind]
    if kind == "history" and "entries" in server.lacks:
        pytest.skip(server.lacks["entries"])
    server.hold_sample()
    server.break_reads(kind, Fate.HTTP_500)
    found = await checked(server, tmp_path)
    subject = subject if subject in found else "positions"  # Hyperliquid reads positions and marks in one look.
    assert found[subject][0].verdict is (Verdict.UNREACHABLE if subject == "positions" else verdict), found[subject]


@column("check", "stated price")
async def test_a_model_that_differs_from_the_exchange_is_warned_of(server, tmp_path, monkeypatch):
    server.hold_sample()
    true = server.liquidation_of
    monkeypatch.setattr(server, "liquidation_of", lambda *of: true(*of) * Decimal("0.99"))
    found = (await checked(server, tmp_path))[f"{server.sample.symbol} long"]
    (model,) = [one for one in found if one.text.startswith("liquidation: ours")]
    assert (model.verdict, "apart by" in model.text) == (Verdict.WARNING, True), model


@column("check")
async def test_a_budget_that_no_money_backs_is_warned_of(server, tmp_path):
    server.hold_sample()
    one = server.sample
    server.set_wallet(one.currency, one.margin / 100, one.margin / 100)
    found = await checked(server, tmp_path)
    texts = [f.text for f in found[f"{one.symbol} long"] if f.verdict is Verdict.WARNING]
    assert any(text.startswith("the budget allows") and "is there" in text for text in texts), texts


@column("check", "auto margin")
async def test_the_exchanges_own_auto_margin_is_named(server, tmp_path):
    server.hold_sample(auto_add=True)
    found = await checked(server, tmp_path)
    (told,) = (one for one in found[f"{server.sample.symbol} long"] if "auto-margin" in one.text)
    assert told.verdict is Verdict.WARNING
    assert "guard adds nothing to it" in told.text
