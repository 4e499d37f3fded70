"""Adding margin to an isolated position at Binance: one POST, what its answer proves, and what history proves.

`api` is "fapi" for USD-M and "dapi" for COIN-M: they differ by it in every path, and in one field of the history.

Sources: docs "Modify Isolated Position Margin" and "Get Position Margin Change History" (USD-M seen 2026-07, COIN-M
2026-11), error codes of USD-M and COIN-M futures, the reliability study of 2026-07. There is no client id: an answer
that was lost is settled by the history of adjustments, and not before the fence.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.snapshot import MarginChange, MarginRequest, Outcome, PositionKey, Settlement, Side
from guard.venues.binance_account import PositionSide
from guard.venues.gate import PostRule
from guard.venues.protocol import WriteTerms
from guard.venues.rows import Moment, NotATruth, Number, Positive, Row, RowError, Word, read_row, rows_of, shown
from guard.venues.transport import ask
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

HISTORY_ROWS_MAX = 500
INCOME_ROWS_MAX = 1000
INCOME_REQUESTS_MAX = 8  # At weight 30 each they still fit into the time of one read.
HISTORY_MARGIN = timedelta(days=1)  # The end of what is kept is not a sharp line.
CLOCK_TOLERANCE = timedelta(seconds=2)  # Between a request's start and the time the exchange books it under.
# How much earlier than its written start a request may be booked: our clock may have run ahead when it was sent, by as
# much as the exchange bears, and may have been set since. Earlier entries of the guard's own are known by then.
BOOKED_EARLIER_MAX = timedelta(seconds=30)


def add_margin_rule(api: str) -> PostRule:
    """Return the one request that may move money: it adds, never takes away."""
    return PostRule(method="POST", path=f"/{api}/v1/positionMargin", fields={"type": "1"}, positive=("amount",))


class _Confirmation(Confirmation):
    """The answer to POST /fapi/v1/positionMargin, or /dapi, that proves that the money moved."""

    code: Annotated[Literal[200], NotATruth]
    amount: Positive
    type: Annotated[Literal[1], NotATruth]

    @property
    def amount_said(self) -> Decimal:
        return self.amount

    @property
    def text(self) -> str:
        return f"code {self.code}, type {self.type}, amount {self.amount:f}"


NOT_SAID = "NOT_SAID"
_NO_MONEY = "move money into the futures wallet, or free some of it"

ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset({418, 429}),
    refusals={
        "-1003": Refusal(meaning="too many requests"),
        "-1008": Refusal(meaning="the exchange is overloaded", even_as_5xx=True),
        "-1021": Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)"),
        "-1022": Refusal(meaning="the signature is not valid", remedy="check the secret in the config"),
        "-1102": Refusal(meaning="a parameter is missing"),
        "-1111": Refusal(meaning="too many decimals"),
        "-1121": Refusal(meaning="no such symbol"),
        "-2014": Refusal(meaning="the key is malformed", remedy="check the API key in the config"),
        "-2015": Refusal(
            meaning="the key, its address or its permissions are refused",
            remedy="check the key's futures permission and its address list at the exchange",
        ),
        "-2018": Refusal(meaning="the balance is not sufficient", remedy=_NO_MONEY),
        "-2019": Refusal(meaning="the margin is not sufficient", remedy=_NO_MONEY),
        "-4049": Refusal(meaning="the position is not isolated", remedy="nothing is added to a cross position"),
        "-4050": Refusal(meaning="the cross balance is not sufficient", remedy=_NO_MONEY),
        "-4051": Refusal(meaning="the isolated balance is not sufficient", remedy=_NO_MONEY),
        "-4054": Refusal(meaning="there is no position"),
        "-4055": Refusal(meaning="the amount is not positive"),
        "-4061": Refusal(meaning="the position side does not fit the account's position mode"),
        "-4168": Refusal(
            meaning="isolated margin is off in multi-assets mode", remedy="switch the account to single-asset mode"
        ),
    },
)


class _Change(Row):
    """One row of GET /fapi/v1/positionMargin/history."""

    symbol: Word
    type: Annotated[Literal[1, 2], NotATruth]  # 1 adds, 2 takes away.
    delta_type: Word  # USER_ADJUST is a person or an API key; TRADE and others are not.
    amount: Number
    asset: Word
    time: Moment
    position_side: PositionSide


class _UnexplainedChange(_Change):
    """COIN-M's row: no cause is documented (SDK models of 2026-08). Where it is not said, all counts as by a person."""

    delta_type: Word = NOT_SAID


class _Income(Row):
    """One row of GET /fapi/v1/income. A transfer has no symbol."""

    symbol: Annotated[str, Field(max_length=64, strict=True)]


async def add_margin(client: Any, api: str, request: MarginRequest, market_id: str, recv_window: timedelta) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does."""
    parameters = {
        "symbol": market_id,
        "amount": f"{request.amount:f}",
        "type": 1,
        "recvWindow": int(recv_window / timedelta(milliseconds=1)),
    }
    if request.hedged:
        parameters["positionSide"] = request.key.side.word.upper()
    return await judge_write(lambda: getattr(client, f"{api}PrivatePostPositionMargin")(parameters), request, ANSWERS)


async def read_changes(
    client: Any,
    api: str,
    market_id: str,
    key: PositionKey,
    *,
    start: datetime,
    end: datetime,
    is_open: bool = True,
) -> tuple[MarginChange, ...]:
    """Read one symbol's adjustment history, oldest first.

    Rows of side BOTH are of the one-way position `key`; if that is closed, nobody says on which side it was.
    """
    rows = await _history(client, api, market_id, _ms(start), _ms(end))
    model = _Change if api == "fapi" else _UnexplainedChange
    try:
        changes = [read_row(model, row) for row in rows]
    except RowError as error:
        raise VenueUnavailable(f"margin history of {key.symbol}: {error}") from None
    stray = next(
        (row for row in changes if row.symbol != market_id or not _ms(start) <= _ms(row.time) <= _ms(end)), None
    )
    if stray is not None:  # It was not asked for; taken for ours it would settle what it does not prove.
        raise VenueUnavailable(
            f"margin history of {key.symbol}: {shown(stray.symbol)} at {stray.time} was not asked for"
        )
    seen: Counter[str] = Counter()
    return tuple(_change(row, key, seen, is_open=is_open) for row in sorted(changes, key=lambda row: row.time))


async def _history(client: Any, api: str, market_id: str, start: int, end: int) -> list[object]:
    """Read the rows of a span of milliseconds. A full page is asked for again in halves: how it is cut is not said."""
    parameters = {"symbol": market_id, "startTime": start, "endTime": end, "limit": HISTORY_ROWS_MAX}
    answer = await ask(client, f"{api}PrivateGetPositionMarginHistory", parameters)
    rows = rows_of(answer, f"margin history of {market_id}")
    if len(rows) < HISTORY_ROWS_MAX or end <= start:
        return rows
    middle = (start + end) // 2
    return [
        *await _history(client, api, market_id, start, middle),
        *await _history(client, api, market_id, middle + 1, end),
    ]


def _change(row: _Change, key: PositionKey, seen: Counter[str], *, is_open: bool) -> MarginChange:
    fields = f"{row.symbol}|{_ms(row.time)}|{row.position_side}|{row.delta_type}|{row.type}|{row.amount:f}"
    seen[fields] += 1
    return MarginChange(
        key=key if row.position_side == "BOTH" else PositionKey(key.symbol, Side[row.position_side]),
        amount=abs(row.amount) if row.type == 1 else -abs(row.amount),
        currency=row.asset,
        at=row.time,
        by_user=row.delta_type in {"USER_ADJUST", NOT_SAID},
        entry_id=f"{fields}|{seen[fields]}",  # Binance has no id; rows alike in every field are numbered.
        side_known=is_open or row.position_side != "BOTH",
    )


async def read_traded(client: Any, api: str, *, start: datetime, end: datetime) -> frozenset[str] | None:
    """Return the market ids that anything was booked for: a position that was closed has fees, PnL or funding.

    GET /fapi/v1/income or /dapi/v1/income without a symbol (docs "Get Income History", seen 2026-07: weight 30 and 20,
    at most 1000 rows, three months). None: there were more rows than guard asks for at one start.
    """
    asked = iter(range(INCOME_REQUESTS_MAX))
    return await _traded_in(client, api, _ms(start), _ms(end), asked)


async def _traded_in(client: Any, api: str, start: int, end: int, asked: Iterator[int]) -> frozenset[str] | None:
    """Read a span of milliseconds. A full page is asked for again in halves: how it is cut is not said."""
    if next(asked, None) is None:
        return None
    parameters = {"startTime": start, "endTime": end, "limit": INCOME_ROWS_MAX}
    rows = rows_of(await ask(client, f"{api}PrivateGetIncome", parameters), "income")
    try:
        found = frozenset(income.symbol for income in (read_row(_Income, row) for row in rows) if income.symbol)
    except RowError as error:
        raise VenueUnavailable(f"income: {error}") from None
    if len(rows) < INCOME_ROWS_MAX or end <= start:
        return found
    middle = (start + end) // 2
    for half in ((start, middle), (middle + 1, end)):
        more = await _traded_in(client, api, *half, asked)
        if more is None:
            return None
        found |= more
    return found


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _at(entry_id: str) -> int:
    return int(entry_id.split("|")[1])


def _cause(change: MarginChange) -> str:
    delta_type = change.entry_id.split("|")[3]
    return "the exchange does not say by whom" if delta_type == NOT_SAID else delta_type


async def settle(
    client: Any,
    api: str,
    request: MarginRequest,
    market_id: str,
    *,
    sent_at: datetime,
    now: datetime,
    skew: timedelta,
    terms: WriteTerms,
    known_entries: frozenset[str],
) -> Settlement:
    """Look for the request in the history. `skew` is the exchange's clock minus ours.

    Applied as soon as it is there. Not applied only after the fence by both clocks, when two readings in a row do not
    have it but do have every older entry that we know of.
    """
    # The clock that `sent_at` was read from may have been right or as wrong as now: both readings count.
    start = sent_at + min(skew, timedelta(0)) - BOOKED_EARLIER_MAX
    fence = sent_at + max(skew, timedelta(0)) + terms.fence
    end = fence + CLOCK_TOLERANCE  # Booked later than this, it is not ours.
    if now - sent_at > terms.history_kept - HISTORY_MARGIN:
        return Settlement(outcome=Outcome.UNKNOWN, evidence="the exchange's history does not go back that far")
    for reading in (1, 2):
        changes = await read_changes(client, api, market_id, request.key, start=start, end=end)
        ours = next((c for c in changes if _is_effect_of(request, c) and c.entry_id not in known_entries), None)
        if ours is not None:
            text = f"history: {ours.amount:f} {ours.currency} added at {ours.at:%H:%M:%S} UTC ({_cause(ours)})"
            return Settlement(outcome=Outcome.APPLIED, evidence=text, entry_id=ours.entry_id)
        doubt = _doubt(changes, known_entries, market_id, start, end)
        if now < sent_at + terms.fence:
            doubt = f"it may still be executed until {sent_at + terms.fence:%H:%M:%S} UTC"
        elif reading == 1 and not doubt and await server_time(client, api) < fence:
            doubt = "by the exchange's clock it may still be executed"
        if doubt:
            return Settlement(outcome=Outcome.UNKNOWN, evidence=f"not in the history; {doubt}")
    text = f"history: no such entry in two readings after {sent_at + terms.fence:%H:%M:%S} UTC"
    return Settlement(outcome=Outcome.NOT_APPLIED, evidence=text)


def _is_effect_of(request: MarginRequest, change: MarginChange) -> bool:
    return (
        change.by_user
        and change.key == request.key
        and change.currency == request.currency
        and change.amount == request.amount
    )


def _doubt(
    changes: tuple[MarginChange, ...], known: frozenset[str], market_id: str, start: datetime, end: datetime
) -> str:
    """Return why this reading of the history is not to be trusted; empty when nothing speaks against it."""
    due = {entry for entry in known if entry.startswith(f"{market_id}|") and _ms(start) <= _at(entry) <= _ms(end)}
    missing = due - {change.entry_id for change in changes}
    return f"{len(missing)} entries that it had before are missing from it" if missing else ""


async def server_time(client: Any, api: str) -> datetime:
    """Read the exchange's clock."""
    answer = await ask(client, f"{api}PublicGetTime", {})
    try:
        return read_row(_ServerTime, answer).server_time
    except RowError as error:
        raise VenueUnavailable(f"time: {error}") from None


class _ServerTime(Row):
    server_time: Moment
