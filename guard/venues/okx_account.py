"""What OKX says of an account, row by row: positions, wallets, the account's own ratio.

A row that cannot be read is a Gap and the others stay. `margin` is the margin without unrealized PnL, `liqPx` is empty
where no positive price liquidates (or, for a cross position that leans on several assets, where OKX estimates none),
and positions and balance must tell the same of the margin that is isolated.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal

from guard.errors import VenueUnavailable
from guard.snapshot import (
    AssetMode,
    Contract,
    ContractKind,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    Side,
    Wallet,
)
from guard.venues.okx_contracts import CONTRACTS, Market
from guard.venues.okx_rows import BalanceTotals, Config, Detail, KeyRights, PositionRow, SideWord, Size, data_of
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Number, Positive, Row, RowError, by_nearness, listed_once, read_row, shown

MARGIN_TOLERANCE = Decimal("0.01")  # Two requests, and funding may fall between them: more than that is a conflict.
NOTIONAL_TOLERANCE = Decimal("0.05")  # Of the notional: more than any index basis, less than a wrong contract size.
PNL_TOLERANCE = Decimal("0.01")  # Of the notional.
EQUITY_TOLERANCE = Decimal("0.001")  # Of what was added up.

SPOT, FUTURES, MULTI_CURRENCY, PORTFOLIO = "1", "2", "3", "4"  # acctLv.


def asset_mode(config: Config) -> AssetMode:
    return AssetMode.MULTI if config.acct_lv in {MULTI_CURRENCY, PORTFOLIO} else AssetMode.SINGLE


def watch_only(config: Config) -> str | None:
    """Return why no margin is added at an account of this mode, for people. None: it can be."""
    if config.acct_lv == SPOT:
        return "the account is in spot mode (acctLv 1), which has no positions: switch it to futures mode at OKX"
    if config.acct_lv == PORTFOLIO:
        return "portfolio margin (acctLv 4) is not modelled: the account's own ratio is watched"
    if config.acct_lv not in {FUTURES, MULTI_CURRENCY}:
        return f"the account mode {config.acct_lv!r} is not known here: only what OKX states is watched"
    if str(config.stgy_type) == "1":
        return "the account runs OKX's delta neutral strategy, whose rules for margin are its own: it is watched"
    if config.ct_iso_mode != "automatic":
        return (
            f"isolated margin is moved by hand at this account (ctIsoMode {config.ct_iso_mode}), and then adding may "
            "open an empty position: set it to automatic transfers at OKX"
        )
    return None


def read_config(answer: object) -> Config:
    """Return the account's modes. Raises VenueUnavailable."""
    rows = data_of(answer, "account config")
    try:
        return read_row(Config, rows[0] if rows else {})
    except RowError as error:
        raise VenueUnavailable(f"account config: {error}") from None


def open_sizes(rows: Iterable[object]) -> list[Size]:
    """Return the rows that hold a position, as far as they can be read."""
    sizes = []
    for raw in rows:
        try:
            size = read_row(Size, raw)
        except RowError:
            continue  # It becomes a Gap where rows are read in full.
        if size.pos:
            sizes.append(size)
    return sizes


def read_positions(
    rows: list[object], markets: Mapping[str, Market], config: Config
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions, and a Gap for every row that cannot be read or contradicts itself or another."""
    positions: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    for raw in rows:
        try:
            if read_row(Size, raw).pos == 0:
                continue  # Closed a moment ago, or margin that was moved by hand for a position to come.
            position = _position(read_row(PositionRow, raw), markets, config)
        except RowError as error:
            gaps.append(_gap(raw, str(error), markets))
            continue
        other = positions.get(position.key)
        if other is not None:
            modes = " and ".join(sorted({str(other.margin_mode), str(position.margin_mode)}))
            reason = f"listed twice ({modes}): symbol and side do not tell which of the two is meant"
            gaps.append(Gap(subject=str(position.key), reason=reason, key=position.key, may_be_cross=True))
            position = min(other, position, key=by_nearness)
        positions[position.key] = position
    return tuple(positions.values()), tuple(gaps)


def _position(row: PositionRow, markets: Mapping[str, Market], config: Config) -> Position:
    if row.inst_type not in CONTRACTS:
        raise RowError(f"it is of type {row.inst_type}: loans and options are watched at OKX only")
    market = markets.get(row.inst_id)
    if market is None:
        raise RowError(f"instId {row.inst_id!r} is not among the markets")
    side = _side(row)
    _check(row, side, market.contract, config)
    isolated = row.mgn_mode == "isolated"
    return Position(
        contract=market.contract,
        side=side,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        quantity=abs(row.pos),
        entry_price=row.avg_px,
        mark_price=row.mark_px,
        isolated_wallet=row.margin if isolated else None,
        leverage=row.lever or None,
        hedged=row.pos_side != "net",
        auto_add_margin=None,  # Contracts have no such switch in the API; what it adds is billed as 162.
        exchange_liquidation=_liquidation(row.liq_px, is_estimate=not isolated and config.acct_lv != FUTURES),
        exchange_maintenance_margin=row.mmr,
        updated_at=row.u_time,
    )


def _side(row: "Size | _Signed") -> Side:
    if row.pos_side == "net":
        return Side.LONG if row.pos > 0 else Side.SHORT
    return Side.LONG if row.pos_side == "long" else Side.SHORT


def _check(row: PositionRow, side: Side, contract: Contract, config: Config) -> None:
    """Raise RowError when the row's own figures contradict each other, the contract or the account's modes."""
    if (row.pos_side == "net") != (config.pos_mode == "net_mode"):
        raise RowError(f"posSide is {row.pos_side}, the account's posMode is {config.pos_mode}")
    if row.pos_side == "long" and row.pos < 0:
        raise RowError(f"posSide is long, pos is {row.pos:f}")
    if row.ccy != contract.settle:
        raise RowError(f"ccy is {row.ccy}, the market settles in {contract.settle}")
    if row.mgn_mode == "isolated" and (row.margin is None or row.margin < 0):
        raise RowError(f"mgnMode is isolated, margin is {'empty' if row.margin is None else f'{row.margin:f}'}")
    if row.mgn_mode == "cross" and row.margin:
        raise RowError(f"mgnMode is cross, margin is {row.margin:f}")
    base_units = abs(row.pos) * contract.contract_size
    if contract.kind is ContractKind.LINEAR:
        value, pnl = base_units * row.mark_px, int(side) * base_units * (row.mark_px - row.avg_px)
        dollars = value * (row.usd_px or Decimal(1))
    else:  # `base_units` are dollars, and everything else is in the coin.
        value, pnl = base_units / row.mark_px, int(side) * base_units * (1 / row.avg_px - 1 / row.mark_px)
        dollars = base_units
    if abs(row.notional_usd - dollars) > NOTIONAL_TOLERANCE * dollars:
        raise RowError(f"notionalUsd is {row.notional_usd:f}, size and mark price make {dollars:f}")
    if abs(row.upl - pnl) > PNL_TOLERANCE * value:
        raise RowError(f"upl is {row.upl:f}, entry and mark price make {pnl:f}")


def _liquidation(raw: object, *, is_estimate: bool) -> Liquidation:
    """Return the exchange's own answer. Empty is none, but for an account of several assets: there it is not known."""
    if raw == "":
        return Liquidation(kind=LiquidationKind.UNKNOWN if is_estimate else LiquidationKind.NONE)
    try:
        price = read_row(_Price, {"price": raw}).price
    except RowError:
        return Liquidation(kind=LiquidationKind.UNKNOWN)
    return Liquidation(kind=LiquidationKind.AT, price=price) if price > 0 else Liquidation(kind=LiquidationKind.NONE)


class _Price(Row):
    price: Number


def _gap(raw: object, reason: str, markets: Mapping[str, Market]) -> Gap:
    """Return a Gap that names its position when symbol and side can be told from what is left of the row."""
    fields = raw if isinstance(raw, dict) else {}
    market, side = markets.get(str(fields.get("instId"))), _side_left(raw)
    may_be_cross = fields.get("mgnMode") != "isolated"
    if market is None or side is None:
        is_contract = fields.get("instType") not in ("MARGIN", "OPTION")
        name = f"position row {shown(fields.get('instId'))}"
        return Gap(subject=name, reason=reason, may_be_cross=may_be_cross or is_contract)
    key = PositionKey(market.contract.symbol, side)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=may_be_cross)


class _Signed(Row):
    pos_side: SideWord
    pos: Number


class _Won(Row):
    upl: Number
    avg_px: Positive
    mark_px: Positive


def _side_left(raw: object) -> Side | None:
    """Return the side by the word, else by the sign of the size, else by what the position won."""
    word = raw.get("posSide") if isinstance(raw, dict) else None
    if word in ("long", "short"):
        return Side.LONG if word == "long" else Side.SHORT
    with suppress(RowError):
        signed = read_row(_Signed, raw)
        if signed.pos:
            return _side(signed)
    with suppress(RowError):
        won = read_row(_Won, raw)
        if up := won.upl * (won.mark_px - won.avg_px):
            return Side.LONG if up > 0 else Side.SHORT
    return None


def totals_of(answer: object) -> BalanceTotals:
    """Return the envelope. Raises VenueUnavailable: without it there is no account."""
    rows = data_of(answer, "balance")
    try:
        return read_row(BalanceTotals, rows[0] if rows else {})
    except RowError as error:
        raise VenueUnavailable(f"balance: {error}") from None


def read_details(totals: BalanceTotals) -> tuple[tuple[Detail, ...], tuple[Gap, ...]]:
    """Return the currencies, and a Gap for each that cannot be read."""
    details: list[Detail] = []
    gaps: list[Gap] = []
    for raw in totals.details:
        try:
            details.append(read_row(Detail, raw))
        except RowError as error:
            name = shown(raw.get("ccy"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
    return tuple(details), tuple(gaps)


def read_wallets(
    details: tuple[Detail, ...], positions: tuple[Position, ...], unread: tuple[Gap, ...]
) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets that hold something, and a Gap for each that contradicts itself or is missing."""
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for detail in details:
        pnl = _cross_pnl(detail)
        if pnl is None:
            reason = f"eq is {detail.eq:f}, which cashBal, isoEq and upl do not add up to"
            gaps.append(Gap(subject=f"wallet {detail.ccy}", reason=reason))
            continue
        wallets.append(
            Wallet(
                currency=detail.ccy,
                cross_wallet_balance=detail.cash_bal,
                cross_unrealized_pnl=pnl,
                available=_available(detail),
            )
        )
    wallets, twice = listed_once(wallets, (*gaps, *unread))
    gaps += twice
    known = {wallet.currency for wallet in wallets} | {gap.subject.removeprefix("wallet ") for gap in (*gaps, *unread)}
    settles = {position.contract.settle for position in positions}
    gaps += [Gap(subject=f"wallet {settle}", reason="not listed") for settle in sorted(settles - known)]
    return tuple(wallets), tuple(gaps)


def _cross_pnl(detail: Detail) -> Decimal | None:
    """Return the unrealized PnL of the cross positions, as the equity confirms it. None: it does not.

    eq = cashBal + isoEq + cross PnL + what is held elsewhere; `upl` counts isolated positions too.
    """
    elsewhere = detail.elsewhere
    pnl = detail.upl - detail.iso_upl
    sum_up = detail.cash_bal + detail.iso_eq + pnl
    size = max(abs(detail.cash_bal), abs(detail.iso_eq), abs(pnl), abs(elsewhere), abs(detail.eq))
    slack = EQUITY_TOLERANCE * size
    return pnl if -slack <= detail.eq - sum_up <= elsewhere + slack else None


def _available(detail: Detail) -> Decimal:
    """Return what may move into isolated margin: the free balance, and no more than cross positions leave of equity."""
    free = detail.avail_bal if detail.avail_eq is None else min(detail.avail_bal, detail.avail_eq)
    return max(Decimal(0), free)


def disagreements(details: tuple[Detail, ...], positions: tuple[Position, ...], gaps: tuple[Gap, ...]) -> list[Gap]:
    """Return a Gap for each isolated position in a currency of whose isolated margin the two endpoints disagree.

    They are two requests: a position that moved between them disagrees for one cycle.
    """
    isolated: dict[str, list[Position]] = defaultdict(list)
    for position in positions:
        if position.isolated_wallet is not None:
            isolated[position.contract.settle].append(position)
    if gaps:
        return []  # A row that could not be read may be missing from the sum, and is a Gap already.
    found: list[Gap] = []
    for detail in details:
        members = isolated.get(detail.ccy, [])
        listed = sum((position.isolated_wallet or Decimal(0) for position in members), Decimal(0))
        told_of = detail.iso_eq - detail.iso_upl  # Both of the same moment, so the mark does not matter.
        if members and _differ(listed, told_of):
            told = f"positions hold {listed:f} {detail.ccy} of isolated margin, the balance says {told_of:f}"
            found += [Gap(subject=str(position.key), reason=told, key=position.key) for position in members]
    return found


def _differ(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) > MARGIN_TOLERANCE * max(abs(one), abs(other))


def hidden_positions(
    details: tuple[Detail, ...], positions: tuple[Position, ...], gaps: tuple[Gap, ...]
) -> tuple[Gap, ...]:
    """Return a Gap where no position in a currency is listed although the balance has margin or PnL of some in it."""
    listed = {position.contract.settle for position in positions}
    signs = [
        detail.ccy
        for detail in details
        if detail.ccy not in listed and (_holds_positions(detail) or (not positions and detail.upl))
    ]
    if gaps or not signs:
        return ()  # What could not be read may be in any of them, and is a Gap already.
    currencies = ", ".join(signs)
    reason = f"none is listed in {currencies}, but the balance has margin or unrealized PnL of some there"
    return (Gap(subject="positions", reason=reason, may_be_cross=True),)


def _holds_positions(detail: Detail) -> bool:
    """Say whether a currency has margin or PnL of positions. Whether `upl` counts those of bots is not documented."""
    return bool(detail.iso_eq or detail.iso_upl or (detail.upl and not detail.elsewhere))


def account_ratio(
    totals: BalanceTotals, positions: tuple[Position, ...], mode: AssetMode
) -> tuple[Decimal | None, tuple[Gap, ...]]:
    """Return the account's own ratio, turned so that 1 is liquidation and it grows with danger."""
    if mode is AssetMode.SINGLE:
        return None, ()
    if totals.mgn_ratio is not None and totals.mgn_ratio > 0:
        return 1 / totals.mgn_ratio, ()
    crossed = any(position.margin_mode is MarginMode.CROSS for position in positions)
    if totals.mgn_ratio is None and not crossed and not totals.mmr:
        return None, ()  # Nothing is held against anything.
    stated = "not stated" if totals.mgn_ratio is None else f"{totals.mgn_ratio:f}"
    return None, (Gap(subject="account margin ratio", reason=f"mgnRatio is {stated}"),)


def read_scopes(answer: object) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when that is not said.

    OKX has no right to transfer of its own: `trade` includes moving money between the owner's accounts (docs, 2026).
    """
    rows = data_of(answer, "account config")
    try:
        rights = read_row(KeyRights, rows[0] if rows else {})
    except RowError as error:
        raise VenueUnavailable(f"account config: {error}") from None
    scopes = tuple(sorted(word for word in rights.perm.split(",") if word))
    if "withdraw" in scopes:
        verdict, text = KeyVerdict.TOO_POWERFUL, "the key may withdraw money: make one that may not"
    elif "trade" not in scopes:
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs the trade permission"
    else:
        verdict = KeyVerdict.SAFE
        text = "the key may trade and cannot withdraw (at OKX trading includes moving money between own accounts)"
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=bool(rights.ip), text=text)
