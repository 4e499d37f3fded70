"""One fuzzed answer, played: read, assessed, decided on, and held against what it truly says."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path as File
from typing import Any

import oracle
from fuzzed_world import AMOUNT, BUILDS, MS, NOW, FuzzedWorld, open_world, run
from mutations import Dice, damaged, mutated, to_json
from noting import noting_bugs
from payload_checks import (
    Case,
    check_money,
    check_newer_mark_is_taken,
    check_newest_is_true,
    check_others,
    check_recovery,
    check_rows,
    check_safety,
    check_text,
    check_told,
    first,
)

from guard.errors import KeysRefused, OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginRequest, Mark, Outcome
from guard.venues import binance_margin, binance_market, mark_stream
from guard.venues.protocol import WriteTerms

KINDS = {
    "positions": 30,
    "account": 20,
    "both": 10,
    "symbol_config": 6,
    "account_config": 3,
    "brackets": 6,
    "mark": 6,
    "candles": 3,
    "added": 9,
    "history": 6,
    "restrictions": 2,
    "time": 1,
    "stream": 4,
    "markets": 1,
}
FENCE = timedelta(seconds=24)
SENT_AT = NOW - timedelta(seconds=25)
RECOVERY_EVERY = 6  # Of the cases that are decided on: three true readings follow.


class PayloadFuzz:
    """All worlds, and the case of each seed. Use `close` at the end.

    Every case is read, and what was read held against what the answers say; each `deep_every`th is decided on as well.
    """

    def __init__(self, folder: File, *, deep_every: int = 8) -> None:
        self._deep_every = deep_every
        self._loop = asyncio.new_event_loop()
        self.worlds = [open_world(number, folder, self._loop) for number in range(len(BUILDS))]
        self.counts: Counter[str] = Counter()
        self._play: dict[str, Callable[[Case, FuzzedWorld], None]] = {
            **dict.fromkeys(
                ("positions", "account", "both", "symbol_config", "account_config", "brackets"), self._read
            ),
            "mark": self._mark,
            "candles": self._candles,
            "added": self._added,
            "history": self._history,
            "restrictions": self._restrictions,
            "time": self._time,
            "stream": self._stream,
            "markets": self._markets,
        }

    def close(self) -> None:
        self._loop.close()

    def case(self, seed: int) -> Case:
        """Return the case of a seed, not played yet."""
        dice = random.Random(f"fuzz {seed}")  # noqa: S311 - a mutation, not a secret.
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        number = dice.randrange(len(self.worlds))
        case = Case(number=seed, kind=kind, world=number, raw={}, touched=())
        names = ("positions", "account") if kind == "both" else () if kind == "stream" else (kind,)
        if kind == "both" and dice.random() < 0.3:
            _close_some(case, self.worlds[number], dice)
            names = ()
        for name in names:
            _mutate(case, name, self.worlds[number].truths[name], dice)
        if kind == "stream":
            _mutate(case, "stream", _message(self.worlds[number]), dice)
        if kind == "added":
            case.status = dice.choice(
                (200, 200, 200, 200, 201, 204, 302, 400, 400, 401, 403, 408, 418, 429, 500, 503, 524)
            )
        elif kind != "stream" and dice.random() < 0.02:
            case.status = dice.choice((201, 204, 302, 400, 401, 403, 404, 418, 429, 451, 500, 502, 503, 524))
        return case

    def play(self, seed: int) -> Case:
        """Play the case of a seed; what it broke stands in `wrong`."""
        case = self.case(seed)
        world = self.worlds[case.world]
        world.restore()
        world.status = 200
        world.bytes_of.update({name: raw for name, raw in case.raw.items() if name in world.bytes_of})
        asyncio._set_running_loop(None if case.kind == "markets" else self._loop)
        try:
            with noting_bugs(case):
                self._play[case.kind](case, world)
        except (VenueUnavailable, KeysRefused) as error:
            case.outcome = type(error).__name__
            check_text(case, world, str(error))
        finally:
            asyncio._set_running_loop(None)
        self.counts[f"{case.kind}: {case.outcome}"] += 1
        return case

    def _read(self, case: Case, world: FuzzedWorld) -> None:
        if case.kind in {"symbol_config", "account_config"}:
            world.venue._choices_read_at = None if len(case.raw[case.kind]) % 2 else NOW - timedelta(hours=1)
        if case.kind == "brackets":
            world.reader._tiers_due_s = 0.0
        world.status = case.status
        if case.number % self._deep_every:
            snapshot = world.look().snapshot
            case.outcome = "read"
            check_rows(case, world, snapshot)
            return
        decision = world.read()
        world.status = 200
        case.outcome = "decided"
        check_rows(case, world, decision.assessment.snapshot)
        check_safety(case, world, decision)
        check_money(case, world, decision)
        check_others(case, world, decision)
        check_told(case, world, decision)
        if case.number % (RECOVERY_EVERY * self._deep_every) == 0:
            check_recovery(case, world)

    def _mark(self, case: Case, world: FuzzedWorld) -> None:
        symbol = first(world).symbol
        world.status = case.status
        try:
            run(world.reader.read_mark(symbol))
        finally:
            world.status = 200
            check_newer_mark_is_taken(case, world)
        said = oracle.parsed(case.raw["mark"])
        price, at = (oracle.number(said.get(name)) for name in ("markPrice", "time"))
        if said.get("symbol") != world.truths["mark"]["symbol"] or price is None or price <= 0:
            case.wrong.append("a mark was taken from an answer that states none for this symbol")
        if at is None or abs(at - MS) > 5_000:
            case.wrong.append("a mark to spend on is dated otherwise than now")
        world.reader._marks = {}
        world.reader.note_mark(run(world.venue.mark(symbol)))
        world.read()
        case.outcome = "taken"

    def _candles(self, case: Case, world: FuzzedWorld) -> None:
        world.status = case.status
        candles = run(world.venue.candles(first(world).symbol, minutes=1, count=30))
        if any(not 0 < bar.low < float("inf") or not 0 < bar.high < float("inf") for bar in candles):
            case.wrong.append("a candle without a finite positive price")
        case.outcome = "taken"

    def _added(self, case: Case, world: FuzzedWorld) -> None:
        request = _request(world)
        world.status = case.status
        try:
            text = run(binance_margin.add_margin(world.venue._client, "fapi", request, "BTCUSDT", timedelta(seconds=1)))
            case.outcome = "applied"
        except VenueRefused as error:
            text, case.outcome = str(error), "refused"
        except OutcomeUnknown as error:
            text, case.outcome = str(error), "unknown"
        check_text(case, world, text)
        is_yes = oracle.is_proof_of_a_yes(case.raw["added"], case.status, Fraction(AMOUNT))
        if case.outcome == "applied" and not is_yes:
            case.wrong.append(f"applied without evidence: HTTP {case.status}")
        if is_yes and not case.touched and case.outcome != "applied":
            case.wrong.append("a plain yes was not believed")
        if case.outcome == "refused" and not oracle.may_be_a_no(case.raw["added"], case.status):
            case.wrong.append(f"refused without a listed no: HTTP {case.status}")

    def _history(self, case: Case, world: FuzzedWorld) -> None:
        request, symbol = _request(world), world.truths["mark"]["symbol"]
        world.status = case.status
        now = NOW + timedelta(seconds=60)
        world.bytes_of["time"] = b'{"serverTime": %d}' % (MS + 60_000)
        terms = WriteTerms(fence=FENCE, history_kept=timedelta(days=30), test_host=True)
        settled = run(
            binance_margin.settle(
                world.venue._client, "fapi", request, symbol, sent_at=SENT_AT, now=now, skew=timedelta(0), terms=terms,
                known_entries=frozenset(),
            )
        )  # fmt: skip
        case.outcome = settled.outcome.value
        rows = oracle.entries_of(case.raw["history"])
        start, end = MS - 25_000 - 30_000, MS - 25_000 + 24_000 + 2_000
        side = request.key.side.word.upper()
        fits = [row for row in rows or [] if oracle.is_effect(row, symbol, side, Fraction(AMOUNT), (start, end))]
        if settled.outcome is Outcome.APPLIED and not fits:
            case.wrong.append("settled as applied by a history that does not show it")
        if settled.outcome is Outcome.NOT_APPLIED and (rows is None or fits):
            case.wrong.append("settled as not applied by a history that shows it or cannot be read")

    def _restrictions(self, case: Case, world: FuzzedWorld) -> None:
        world.status = case.status
        scopes = run(world.venue.key_scopes())
        check_text(case, world, scopes.text)
        said = oracle.parsed(case.raw["restrictions"])
        powers = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
        case.outcome = scopes.verdict.value
        if case.outcome == "safe" and any(
            said.get(name) not in (False, "false", "0", "off", "no", "f", "n") for name in powers
        ):
            case.wrong.append("a key is called safe by an answer that does not deny its powers")

    def _time(self, case: Case, world: FuzzedWorld) -> None:
        world.status = case.status
        run(world.venue.clock_skew())
        case.outcome = "taken"

    def _stream(self, case: Case, world: FuzzedWorld) -> None:
        """Hand ccxt's own handler a message, as its connection does, and look what comes out."""
        client, symbol = world.venue._client, first(world).symbol
        client.tickers.clear()
        told: dict[str, Mark] = {}
        _hand_on(client, case.raw["stream"])
        for mark in _streamed(client, symbol, told, NOW):
            world.reader.note_mark(mark)
            said = json.loads(case.raw["stream"], parse_float=str, parse_int=oracle.Whole)  # ccxt's own reading of it.
            row = said.get("data", said)
            if row.get("s") != world.truths["mark"]["symbol"] or oracle.number(row.get("p")) != Fraction(mark.price):
                case.wrong.append("a streamed mark is not what the message says of this symbol")
        case.outcome = "taken" if told else "passed over"
        _hand_on(client, to_json(_message(world, later_ms=1_000)).encode())
        for mark in _streamed(client, symbol, told, NOW + timedelta(seconds=1)):
            world.reader.note_mark(mark)
        check_newest_is_true(case, world, symbol)
        world.reader.assess(world.reader.snapshot)

    def _markets(self, case: Case, world: FuzzedWorld) -> None:
        world.status = case.status

        client = world.venue._client
        known = dict(vars(client))
        client.load_markets = world.read_markets
        try:
            self._loop.run_until_complete(world.venue._load_markets(reload=True))
        finally:
            vars(client).update(known)
        world.status = 200
        for contract in world.venue._contracts.values():
            if not all(isinstance(word, str) and word for word in (contract.symbol, contract.base, contract.settle)):
                case.wrong.append(f"a market without a name: {contract!r:.150}")
        asyncio._set_running_loop(self._loop)
        decision = world.read()
        case.outcome = "decided"
        check_safety(case, world, decision)
        check_told(case, world, decision)


def _mutate(case: Case, name: str, truth: Any, dice: Dice) -> None:
    if dice.random() < 0.02:
        case.raw[name] = to_json(truth).encode()
        return
    if dice.random() < 0.12:
        case.raw[name] = damaged(to_json(truth).encode(), dice)
        case.touched += ((name, ()),)
        return
    value, touched = mutated(truth, dice, times=dice.choice((1, 1, 1, 1, 2, 2, 3, 5)))
    case.raw[name] = to_json(value).encode()
    case.touched += tuple((name, path) for path in touched)


def _close_some(case: Case, world: FuzzedWorld, dice: Dice) -> None:
    """Rows of a closed position, or another leverage or size, in both answers alike."""
    positions, account = (
        [dict(row) for row in rows] for rows in (world.truths["positions"], world.truths["account"]["positions"])
    )
    symbol, what = dice.choice(positions)["symbol"], dice.choice(("0", "0.00000000", "-0", "0E+3", "", "1", "-1"))
    for row in (*positions, *account):
        if row["symbol"] == symbol:
            row["positionAmt"] = what
    case.raw = {
        "positions": to_json(positions).encode(),
        "account": to_json(world.truths["account"] | {"positions": account}).encode(),
    }
    case.touched = (("positions", ("both", symbol)), ("account", ("both", symbol)))


def _message(world: FuzzedWorld, later_ms: int = 0) -> dict[str, Any]:
    truth = world.truths["mark"]
    row = {
        "e": "markPriceUpdate",
        "E": MS + later_ms,
        "s": truth["symbol"],
        "p": truth["markPrice"],
        "P": truth["markPrice"],
    }
    return row | {"i": truth["markPrice"], "r": "0.0", "T": MS + 3_600_000}


class _Socket:
    """As much of ccxt's connection as its handler of marks asks for."""

    url = "ws://127.0.0.1:9/ws/1"

    def __init__(self) -> None:
        self.subscriptions: dict[str, Any] = {}
        self.futures: dict[str, Any] = {}

    def resolve(self, *_: object) -> None: ...

    def reject(self, *_: object) -> None: ...


def _streamed(client: Any, symbol: str, told: dict[str, Mark], now: datetime) -> list[Mark]:
    latest = now + binance_market.SILENCE_MAX
    return mark_stream._news(client, (symbol,), binance_market._read_update, told, latest)


def _hand_on(client: Any, raw: bytes) -> None:
    """What ccxt stumbles over ends its connection, which is the stream's own business."""
    with suppress(Exception):  # ccxt hands it to whoever waits for the stream: see `_wait_for_news`.
        client.handle_message(_Socket(), client.parse_json(raw.decode("utf-8", "surrogatepass")))


def _request(world: FuzzedWorld) -> MarginRequest:
    side = world.truths["history"][0]["positionSide"]
    key = first(world)
    return MarginRequest(key=key, amount=AMOUNT, currency="USDT", hedged=side != "BOTH")
