"""POST /fapi/v1/positionMargin: the one request that moves money here. Refusals are Binance's, in its order."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from guard.demo.exchange.ledger import (
    DemoAccount,
    DemoPosition,
    MarginChangeRow,
    Marks,
    available,
)
from guard.demo.exchange.payloads import Row, bare
from guard.demo.exchange.signing import ApiError, missing

ADD, REDUCE = 1, 2
DECIMALS_MAX = 8


def change_position_margin(account: DemoAccount, fields: Mapping[str, str], marks: Marks, now: datetime) -> Row:
    """Move margin between the cross wallet and an isolated position. Raises ApiError; then nothing moved."""
    symbol, change_type, amount = _read(fields, marks)
    position = _position(account, symbol, fields.get("positionSide", "BOTH"))
    wallet = position.isolated_wallet
    if wallet is None:
        raise ApiError(-4049, "Add margin only support for isolated position.")
    if change_type == ADD:
        _check_added(account, position, amount, marks)
    else:
        _check_taken(position, wallet, amount, marks)
    moved = amount if change_type == ADD else -amount
    account.change_wallet(position.asset, -moved)
    account.positions[position.leg] = replace(position, isolated_wallet=wallet + moved, updated_at=now)
    account.margin_changes.append(
        MarginChangeRow(
            symbol=symbol,
            position_side=position.position_side,
            change_type=change_type,
            delta_type="USER_ADJUST",
            amount=amount,
            at=now,
        )
    )
    return {"amount": bare(amount), "code": 200, "msg": "Successfully modify position margin.", "type": change_type}


def _read(fields: Mapping[str, str], marks: Marks) -> tuple[str, int, Decimal]:
    for name in ("symbol", "amount", "type"):
        if not fields.get(name):
            raise missing(name)
    if fields["symbol"] not in marks:
        raise ApiError(-1121, "Invalid symbol.")
    if fields["type"] not in {str(ADD), str(REDUCE)}:
        raise ApiError(-1130, "Data sent for parameter 'type' is not valid.")
    return fields["symbol"], int(fields["type"]), _amount(fields["amount"])


def _amount(text: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
        raise ApiError(
            -1100, "Illegal characters found in parameter 'amount'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."
        )
    amount = Decimal(text)
    if amount <= 0:
        raise ApiError(-4055, "Amount must be positive.")
    if len(text.partition(".")[2]) > DECIMALS_MAX:
        raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
    return amount


def _position(account: DemoAccount, symbol: str, position_side: str) -> DemoPosition:
    if position_side not in {"BOTH", "LONG", "SHORT"}:
        raise ApiError(-4060, "Invalid position side.")
    if account.hedge_mode == (position_side == "BOTH"):
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    if account.multi_assets:
        raise ApiError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    position = account.positions.get((symbol, position_side))
    if position is None:
        raise ApiError(-4054, "Cannot add position margin: position is 0.")
    return position


def _check_added(account: DemoAccount, position: DemoPosition, amount: Decimal, marks: Marks) -> None:
    if amount > available(account, position.asset, marks):
        raise ApiError(-2019, "Margin is insufficient.")
    if amount > account.balances.get(position.asset, Decimal(0)):  # Unrealized gains cannot leave a wallet.
        raise ApiError(-4050, "Cross balance insufficient.")


def _check_taken(position: DemoPosition, wallet: Decimal, amount: Decimal, marks: Marks) -> None:
    left = wallet - amount + min(Decimal(0), position.unrealized_pnl(marks))
    if left < position.initial_margin(marks):
        raise ApiError(-4051, "Isolated balance insufficient.")
