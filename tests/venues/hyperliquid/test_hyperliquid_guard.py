"""The real command on a Hyperliquid of our own: checked, armed, and one top-up to the millionth of a dollar."""

import asyncio
import sys
from decimal import Decimal

from daemon_kit import daemon, until, watching
from hyperliquid_wire import ACCOUNT, AGENT_KEY, BTC
from hyperliquid_wire_dexes import TSLA
from wire_faults import Fate
from wire_world import wire_world

from guard.snapshot import Side

CONFIG = """
mode = "act"
[accounts.main]
exchange = "hyperliquid"
api_key_file = "address"
secret_file = "agent"
[accounts.main.ccxt]
urls = {{ api = {{ public = "{url}", private = "{url}", ws = {{ public = "{ws}/ws" }} }} }}
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "12%"
target = "16%"
birth_cap = false
max_per_position = "5000"
max_per_day = "9000"
[journal]
path = "journal.db"
"""


async def guard(folder, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guard", *arguments, "-c", "config.toml", cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), timeout=90)
    return process.returncode, said.decode()


async def test_the_real_command_tops_up_a_position_of_another_dex_out_of_that_dexs_money(dexes, tmp_path):
    for name, text in (("address", ACCOUNT), ("agent", AGENT_KEY)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    config = CONFIG.format(url=dexes.url, ws=dexes.ws_url)
    (tmp_path / "config.toml").write_text(config.replace("match = {", 'match = { symbol = "XYZ-*",'))
    dexes.hold_sample(Side.LONG, margin=Decimal(4_000))  # Near its end, too, but no rule is for it.
    dexes.set_mark(BTC, Decimal(55_000))
    dexes.set_wallet("USDC", Decimal(0), Decimal(0))

    status, said = await guard(tmp_path, "check")
    assert status == 0, said
    assert said.count("the same to a millionth of the mark") == 2
    assert (await guard(tmp_path, "run", "--once"))[0] == 0
    assert (await guard(tmp_path, "arm", "main"))[0] == 0
    for _ in range(5):
        status, said = await guard(tmp_path, "run", "--once")
        assert status == 0, said
        if dexes.writes:
            break
    (write,) = dexes.writes
    assert write.params["action"]["asset"] == 110_001
    # 16 % of 390 below the mark is 327.6; there 20 x 327.6 less 5 % of it must be what is left above the cost of 8,000.
    wanted = 20 * Decimal("327.6") * (Decimal("0.05") - 1) + 8_000 - 1_000 + Decimal("0.000001")  # A step beyond it.
    assert Decimal(write.params["action"]["ntli"]) / 1_000_000 == wanted
    assert dexes.wallets["USDC xyz"] == (10_000 - wanted, 10_000 - wanted)
    status, said = await guard(tmp_path, "status")
    assert "XYZ-TSLA" in said
    assert "USDC xyz wallet" in said


async def test_the_real_command_checks_the_account_and_tops_a_position_up_once(server, tmp_path):
    for name, text in (("address", ACCOUNT), ("agent", AGENT_KEY)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "config.toml").write_text(CONFIG.format(url=server.url, ws=server.ws_url))
    server.hold_sample(Side.LONG, margin=Decimal(6_000))
    server.hold_sample(Side.SHORT, server.other, margin=None)
    server.set_mark(BTC, Decimal(55_000))
    server.set_wallet("USDC", Decimal(300_000), Decimal(150_000))

    status, said = await guard(tmp_path, "check")
    assert status == 0, said
    assert "may trade and move money within it, not out of it" in said
    assert said.count("the same to a millionth of the mark") == 2
    assert "keeps none: a lost answer is settled by what the position holds" in said

    assert (await guard(tmp_path, "run", "--once"))[0] == 0
    assert server.writes == []  # Without a history nothing is known of what was spent before.
    assert (await guard(tmp_path, "arm", "main"))[0] == 0
    for _ in range(5):  # On a slow machine facts may be too old to spend on by the time they are judged.
        status, said = await guard(tmp_path, "run", "--once")
        assert status == 0, said
        if server.writes:
            break
    (write,) = server.writes
    # 16 % of 55,000 below the mark is 46,200; there 27,500 less 4,400 must be 1.25 % of 23,100 above the cost of 24,000.
    wanted = Decimal("0.5") * 46_200 * (Decimal("0.0125") - 1) + Decimal("0.5") * 60_000 - 6_000
    assert Decimal(write.params["action"]["ntli"]) / 1_000_000 == wanted.quantize(Decimal("0.000001")) + Decimal(
        "0.000001"
    )
    assert AGENT_KEY[2:] not in said


async def test_a_dex_that_falls_silent_is_told_by_the_position_there_and_the_main_one_is_watched_on(dexes, tmp_path):
    limits = {"max_per_position": "1", "max_per_day": "1"}
    async with wire_world(tmp_path, dexes, limits=limits) as here, daemon(here) as guarded:
        await watching(guarded)
        watch = guarded.service.watches["main"]
        await until("both are listed", lambda: len(watch.decision.positions) == 2, of=guarded)
        dexes.break_reads("state of xyz", Fate.HTTP_500)
        told = lambda: [one for one in here.messages if one["symbol"] == TSLA and "not read" in one["text"]]  # noqa: E731
        await until("it is told", told, of=guarded)
        assert [row.key.symbol for row in watch.decision.positions] == [BTC]
        assert watch.is_fresh
        assert dexes.writes == []
        dexes.set_mark(BTC, Decimal(54900))  # 0.5 x 54,900 - 27,000 = 450 of margin: 0.4 % from its end.
        danger = lambda: [one for one in here.messages if one["symbol"] == BTC and one["level"] == "critical"]  # noqa: E731
        await until("danger on the main dex is told meanwhile", danger, of=guarded)


async def test_a_stream_that_goes_on_with_an_old_price_hides_no_danger(server, tmp_path):
    """It bears no time, so it looked fresh: a position 0.03 % from its end was shown 8.9 % away, and nothing told."""
    server.set_mark(BTC, server.sample.entry)
    server.hold_sample()
    limits = {"max_per_position": "1", "max_per_day": "1"}
    async with wire_world(tmp_path, server, limits=limits) as here, daemon(here) as guarded:
        await watching(guarded)
        old, ticks = server.context(BTC), server.ticks
        server.ticks = lambda channels: [_with_context(message, old) for message in ticks(channels)]
        server.marks[BTC] = Decimal(54_700)
        told = lambda: [one for one in here.messages if one["level"] == "critical"]  # noqa: E731
        await until("danger is told", told, of=guarded)
        reader = guarded.service.watches["main"].reader
        assert reader.live_marks()[BTC].price == server.sample.entry, "the stream goes on"
        (row,) = guarded.service.watches["main"].decision.positions
        assert row.figures.distance < Decimal("0.001")


def _with_context(message, context):
    if message.get("channel") == "activeAssetCtx":
        message["data"]["ctx"] = context
    return message
