"""What must hold for every fuzzed answer, whatever was done to it."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import oracle
from fuzzed_world import NOW, FuzzedWorld, run

from guard.notify.texts import message_for
from guard.policy.decision import Decision
from guard.policy.terms import Level
from guard.snapshot import AccountSnapshot, Gap, MarginMode, PositionKey

CENT = Decimal("0.01")
SAME = Decimal("1.000001")


@dataclass(kw_only=True)
class Case:
    """What one seed made of one answer."""

    number: int  # Its seed.
    kind: str
    world: int
    raw: dict[str, bytes]
    touched: tuple[tuple[str, tuple[Any, ...]], ...]  # Which answer, and where in it. Empty path: its bytes.
    status: int = 200
    wrong: list[str] = field(default_factory=list)
    outcome: str = ""


def first(world: FuzzedWorld) -> PositionKey:
    symbol = world.truths["mark"]["symbol"]
    assert world.decision is not None
    return next(row.key for row in world.decision.positions if row.key.symbol.startswith(symbol.removesuffix("USDT")))


def check_text(case: Case, world: FuzzedWorld, text: str) -> None:
    """Hold a text for people against what may stand in one."""
    gate = world.venue._client.gate
    if any(secret in text for secret in gate.secrets):
        case.wrong.append(f"a secret stands in {text!r:.200}")
    if len(text) > 600:
        case.wrong.append(f"a text of {len(text)} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        case.wrong.append(f"a text that cannot be written down: {text!r:.200}")


def check_told(case: Case, world: FuzzedWorld, decision: Decision) -> None:
    for gap in decision.gaps:
        check_text(case, world, gap.subject)
        check_text(case, world, gap.reason)
    for alert in decision.alerts:
        message = message_for(alert, decision=decision, now=NOW, new_id=lambda: "msg_1")
        message.text.encode()
        if len(message.text) > 20_000:
            case.wrong.append(f"a message of {len(message.text)} characters")


def _names(gap: Gap, key: PositionKey) -> bool:
    """Say whether a gap tells of this position, or of something so wide that it may be behind it."""
    if gap.key is not None:
        return gap.key == key
    return gap.subject.startswith(("position", "margin modes")) or key.symbol in gap.subject


def check_safety(case: Case, world: FuzzedWorld, decision: Decision) -> None:
    """A position in danger is still in danger, or there is a gap that names it, or this is what the answer says."""
    for key, truth in world.breached().items():
        row = next((one for one in decision.positions if one.key == key), None)
        if any(_names(gap, key) for gap in decision.gaps) and decision.level >= Level.UNKNOWN:
            continue
        if row is None:
            case.wrong.append(f"{key} is gone without a word")
        elif row.level >= Level.DANGER or (row.figures.distance is not None and row.figures.distance <= truth * SAME):
            continue
        elif row.figures.position.margin_mode is MarginMode.CROSS:
            _check_pool(case, decision, key)
        else:
            said = _said(case, world, key)
            if said is None or row.figures.distance is None or Fraction(row.figures.distance) > said * Fraction(SAME):
                case.wrong.append(
                    f"{key} looks safe: {row.level.word} at {row.figures.distance}, truly {truth:.4f}, said {said and float(said)}"
                )


def check_rows(case: Case, world: FuzzedWorld, snapshot: AccountSnapshot) -> None:
    """Every isolated position that is open in truth is there as both answers state it, or a gap names it."""
    if case.kind not in {"positions", "account", "both"}:
        return
    assert world.decision is not None
    for row in world.decision.positions:
        truth = row.figures.position
        if truth.margin_mode is not MarginMode.ISOLATED or any(_names(gap, row.key) for gap in snapshot.gaps):
            continue
        now = next((one for one in snapshot.positions if one.key == row.key), None)
        if now is None:
            case.wrong.append(f"{row.key} is gone without a word")
        elif _said(case, world, row.key) is None:
            case.wrong.append(f"{row.key} is taken from answers that contradict each other, or themselves")


def _check_pool(case: Case, decision: Decision, key: PositionKey) -> None:
    """A pool leans on many fields: one that was changed alone must not be enough to make it look safe."""
    is_told = any(gap.subject.startswith(("wallet", "pool", "account", "USDT")) for gap in decision.gaps)
    fields = {path[-1] for _, path in case.touched if path}
    if len(case.touched) == 1 and case.touched[0][1] and not is_told and fields:
        case.wrong.append(f"the pool of {key} looks safe because of {case.touched[0]}")


def _leg(world: FuzzedWorld, key: PositionKey) -> tuple[str, str]:
    symbol = key.symbol.partition("/")[0] + "USDT"
    hedged = any(row["positionSide"] != "BOTH" for row in world.truths["positions"])
    return symbol, key.side.word.upper() if hedged else "BOTH"


def _said(case: Case, world: FuzzedWorld, key: PositionKey) -> Fraction | None:
    if set(case.raw) - {"positions", "account"}:
        return None
    leg = _leg(world, key)
    (brackets,) = (one["brackets"] for one in world.truths["brackets"] if one["symbol"] == leg[0])
    answers = (oracle.parsed(world.bytes_of[name]) for name in ("positions", "account"))
    return oracle.said_distance(*answers, leg, brackets, int(key.side))


def check_money(case: Case, world: FuzzedWorld, decision: Decision) -> None:
    """Money goes only to a position that both answers state alike, by what the wallet says and the limits allow."""
    for top_up in decision.top_ups:
        if case.kind in {"positions", "account", "both"} and _said(case, world, top_up.key) is None:
            case.wrong.append(f"{top_up.amount} for {top_up.key}, whose answers contradict each other")
        if any(gap.key == top_up.key for gap in decision.gaps):
            case.wrong.append(f"{top_up.amount} for {top_up.key}, of which something is not known")
        if not 0 < top_up.amount <= 3_000 or top_up.amount % CENT:
            case.wrong.append(f"{top_up.amount} for {top_up.key} is outside its limits")
    total = sum((top_up.amount for top_up in decision.top_ups), Decimal(0))
    account = oracle.parsed(world.bytes_of["account"])
    assets = [one for one in account["assets"] if isinstance(one, dict) and one.get("asset") == "USDT"]
    if total and (len(assets) != 1 or Fraction(total) > (oracle.number(assets[0].get("availableBalance")) or 0)):
        case.wrong.append(f"{total} in all, and the wallet does not say that it is there")
    if total > 5_000:
        case.wrong.append(f"{total} in all is more than the day allows")


def check_others(case: Case, world: FuzzedWorld, decision: Decision) -> None:
    """One row that cannot be read takes no other isolated position out of sight."""
    if case.kind not in {"positions", "account"} or len(case.touched) != 1:
        return
    path = case.touched[0][1] if case.kind == "positions" else case.touched[0][1][1:]
    if len(path) < 2 or (case.kind == "account" and case.touched[0][1][0] != "positions"):
        return
    rows = world.truths["positions"] if case.kind == "positions" else world.truths["account"]["positions"]
    touched = rows[path[0]]["symbol"]
    assert world.decision is not None
    for row in world.decision.positions:
        is_other = _leg(world, row.key)[0] != touched and row.figures.position.margin_mode is MarginMode.ISOLATED
        now = next((one for one in decision.positions if one.key == row.key), None)
        if is_other and (now is None or now.figures.distance != row.figures.distance):
            case.wrong.append(f"{row.key} is not seen as it is because of another's row")


def check_recovery(case: Case, world: FuzzedWorld) -> None:
    """Once the exchange tells the truth again, so does the guard; what was thought gone or changed is seen again."""
    world.bytes_of = dict(world._kept["bytes"])
    world.venue._choices_read_at = None
    world.reader._tiers_due_s = 0.0
    for _ in range(3):
        decision = world.read()
    assert world.decision is not None
    for row in world.decision.positions:
        now = next((one for one in decision.positions if one.key == row.key), None)
        if (
            now is None
            or now.figures.distance != row.figures.distance
            or any(gap.key == row.key for gap in decision.gaps)
        ):
            told = [gap.reason for gap in decision.gaps]
            case.wrong.append(f"after three true answers {row.key} is not seen as it is: {told}")


def check_newer_mark_is_taken(case: Case, world: FuzzedWorld) -> None:
    world.bytes_of["mark"] = world._kept["bytes"]["mark"]
    symbol = first(world).symbol
    run(world.reader.read_mark(symbol))
    check_newest_is_true(case, world, symbol)


def check_newest_is_true(case: Case, world: FuzzedWorld, symbol: str) -> None:
    mark = world.reader.mark_since(symbol, NOW - timedelta(hours=1))
    if mark is None or mark.price != Decimal(world.truths["mark"]["markPrice"]):
        case.wrong.append(f"after an odd mark a true one is not taken: {mark}")
