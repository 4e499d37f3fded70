"""The shapes in which OKX v5 answers: one envelope for everything, and the part of each row that we read.

Empty text stands for "does not apply here". What may be empty is typed so by name; everything else must be a number.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from guard.errors import VenueUnavailable
from guard.venues.rows import Moment, NotNegative, Number, Positive, Row, Word, error_said, read_row


class _One(Row):
    number: Number


def _number_or_none(value: object) -> Decimal | None:
    return None if value is None or value == "" else read_row(_One, {"number": value}).number


MaybeNumber = Annotated[Decimal | None, BeforeValidator(_number_or_none)]
Text = Annotated[str, Field(max_length=512, strict=True)]

MarginWord = Literal["isolated", "cross"]
SideWord = Literal["long", "short", "net"]


def data_of(answer: object, what: str) -> list[Any]:
    """Return the rows of {"code": "0", "data": [...]}. Raises VenueUnavailable when there are none to speak of."""
    data = answer.get("data") if isinstance(answer, dict) and answer.get("code") == "0" else None
    if not isinstance(data, list):
        raise VenueUnavailable(f"{what}: expected code 0 with a list of rows")
    return data


def error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of an error; None when the answer is none, or no envelope at all.

    Codes 1 and 2 only say that the rows hold the reason: then the first row's `sCode` is it. One that stands under a
    code of 0 is an error all the same.
    """
    if not isinstance(answer, dict) or "code" not in answer:
        return None
    code, text = error_said(answer["code"], answer.get("msg"))
    inner = _inner(answer.get("data"))
    if inner is not None and code in {"0", "1", "2"}:
        return inner
    return None if code == "0" else (code, text)


def _inner(data: object) -> tuple[str, str] | None:
    for row in data if isinstance(data, list) else []:
        code, text = error_said(row.get("sCode", "0"), row.get("sMsg")) if isinstance(row, dict) else ("0", "")
        if code not in {"0", ""}:
            return code, text
    return None


class Config(Row):
    """GET /api/v5/account/config: what the user chose for the account, and what the key may do."""

    acct_lv: Word  # 1 spot, 2 futures, 3 multi-currency, 4 portfolio margin.
    pos_mode: Literal["net_mode", "long_short_mode"]
    ct_iso_mode: Word  # automatic, or autonomy: margin is moved by hand before a position is opened.
    stgy_type: object = "0"  # 1: the delta neutral strategy. Missing before 2025.


class KeyRights(Row):
    """The part of GET /api/v5/account/config that is about the key."""

    perm: Word  # "read_only,trade,withdraw"
    ip: Text  # Addresses the key is bound to, empty for none.


class Size(Row):
    """What tells whether a row of GET /api/v5/account/positions is a position at all."""

    inst_id: Word
    inst_type: Word
    mgn_mode: MarginWord
    pos_side: SideWord
    pos: Number  # Contracts. Negative is short in net mode; with a side it is positive.


class PositionRow(Size):
    """The rest of what we read of it."""

    ccy: Word
    avg_px: Positive
    mark_px: Positive
    margin: MaybeNumber  # Without unrealized PnL. Empty for cross.
    lever: MaybeNumber  # Empty for cross under portfolio margin.
    mmr: MaybeNumber  # An amount in the settle currency, without the fee to close. `mmr` of a tier is a rate.
    upl: Number
    notional_usd: NotNegative
    usd_px: MaybeNumber = None  # Of the settle currency. Missing in old recordings.
    u_time: Moment
    liq_px: object = None  # The one that may be missing: then it is unknown, and the position stays seen.


class BalanceTotals(Row):
    """The envelope of GET /api/v5/account/balance."""

    mgn_ratio: MaybeNumber = None  # Multi-currency and portfolio margin: equity over requirement, 1 is liquidation.
    mmr: MaybeNumber = None
    details: list[object]


class Detail(Row):
    """One currency of it."""

    ccy: Word
    eq: Number
    cash_bal: Number  # Without what isolated positions hold.
    iso_eq: Number
    upl: Number  # With isolated positions'.
    iso_upl: Number
    avail_bal: Number
    avail_eq: MaybeNumber
    # What counts into `eq` and backs no position: of bots, of copy trading, offered, lent, given for trial.
    stgy_eq: MaybeNumber = None
    spot_iso_bal: MaybeNumber = None
    smt_sync_eq: MaybeNumber = None
    spot_copy_trading_eq: MaybeNumber = None
    fixed_bal: MaybeNumber = None
    auto_lend_mt_amt: MaybeNumber = None
    reward_bal: MaybeNumber = None

    @property
    def elsewhere(self) -> Decimal:
        held = (
            *(self.stgy_eq, self.spot_iso_bal, self.smt_sync_eq, self.spot_copy_trading_eq),
            *(self.fixed_bal, self.auto_lend_mt_amt, self.reward_bal),
        )
        return sum((amount for amount in held if amount), Decimal(0))


class TierRow(Row):
    """One row of GET /api/v5/public/position-tiers. Sizes are contracts."""

    inst_family: Word
    min_sz: NotNegative
    max_sz: Positive
    mmr: Positive = Field(lt=1)  # A rate. `mmr` of a position is an amount.


class FeeGroup(Row):
    group_id: Word
    taker: Number


class FeeRow(Row):
    """GET /api/v5/account/trade-fee. Negative is a commission."""

    fee_group: tuple[FeeGroup, ...] = ()
    taker: MaybeNumber = None  # Of contracts margined in a coin.
    taker_u: MaybeNumber = None  # In USDT.
    taker_usdc: MaybeNumber = Field(None, alias="takerUSDC")


class MarkRow(Row):
    """GET /api/v5/public/mark-price, and a row of the stream's mark-price channel."""

    inst_id: Word
    mark_px: Positive
    ts: Moment


class TimeRow(Row):
    ts: Moment


class Bill(Row):
    """One row of GET /api/v5/account/bills."""

    bill_id: Word
    inst_id: Text
    type: Word
    sub_type: Word
    ccy: Word
    mgn_mode: Text  # Empty for what no trade made.
    ts: Moment
    bal_chg: MaybeNumber  # Of the account.
    pos_bal_chg: MaybeNumber  # Of the position.

    @property
    def moved(self) -> Decimal:
        """How much the position's margin changed, settle currency; the account's change where that is not said."""
        return self.pos_bal_chg or -(self.bal_chg or Decimal(0))


class EndRow(Row):
    """One row of GET /api/v5/account/positions-history."""

    inst_id: Word
    direction: Literal["long", "short"]
    type: Word
    u_time: Moment
    close_avg_px: MaybeNumber
    trigger_px: MaybeNumber = None


class AlgoRow(Row):
    """One row of GET /api/v5/trade/orders-algo-pending."""

    algo_id: Word
    inst_id: Word
    ord_type: Word
    side: Literal["buy", "sell"]
    td_mode: Text = ""  # isolated or cross: of one symbol these are positions of their own.
    pos_side: Literal["long", "short", "net", ""] = ""
    reduce_only: object = None
    close_fraction: MaybeNumber = None
    sz: MaybeNumber = None
    last: MaybeNumber = None
    sl_trigger_px: MaybeNumber = None
    sl_trigger_px_type: Text = ""
    trigger_px: MaybeNumber = None
    trigger_px_type: Text = ""
    move_trigger_px: MaybeNumber = None


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
