"""From a play to its live picture."""

from decimal import Decimal

from guard.demo.exchange import DemoAccount, DemoPosition, equity, liquidation_of
from guard.demo.play import Play
from guard.demo.view import LEVEL_STYLES, AccountPane, Frame, PositionLine, Sample
from guard.policy.decision import PositionVerdict
from guard.policy.terms import Amount, AmountUnit

SAMPLES = 300  # Of the whole show.


class Picture:
    """Takes samples while the market moves; `frame` is what to draw now."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._samples: list[Sample] = []
        self._equity_start = equity(play.stage.guarded, play.stage.exchange.marks)
        self._symbol = play.stage.script.positions[0].symbol
        self._sides = {position.symbol: position.side.word for position in play.stage.script.positions}

    def sample(self) -> None:
        """Take up the present moment if enough of the show has passed since the last sample."""
        if self._share() * SAMPLES < len(self._samples):
            return
        stage = self._play.stage
        self._samples.append(
            Sample(
                mark=stage.exchange.marks[self._symbol],
                guarded_liquidation=self._liquidation(stage.guarded, self._symbol),
                unguarded_liquidation=self._liquidation(stage.unguarded, self._symbol),
            )
        )

    def frame(self) -> Frame:
        play, stage = self._play, self._play.stage
        return Frame(
            title=f"guard demo: {stage.script.title}",
            clock=f"{play.at:%Y-%m-%d %H:%M}",
            share=self._share(),
            symbol=self._symbol,
            samples=self._samples,
            guarded=self._pane(stage.guarded, watched=True),
            unguarded=self._pane(stage.unguarded, watched=False),
            log=[(clock, LEVEL_STYLES.get(level, ""), words) for clock, level, words in play.story.log],
        )

    def _share(self) -> float:
        market = self._play.stage.market
        return (self._play.at - market.start) / (market.end - market.start)

    def _pane(self, account: DemoAccount, *, watched: bool) -> AccountPane:
        top_ups = self._play.story.top_ups if watched else []
        return AccountPane(
            equity_start=self._equity_start,
            equity=equity(account, self._play.stage.exchange.marks),
            positions=tuple(self._line(account, symbol, watched=watched) for symbol in self._sides),
            spent=sum((Decimal(top_up["amount"]) for top_up in top_ups), Decimal(0)),
            budget=self._budget() if watched else Decimal(0),
        )

    def _line(self, account: DemoAccount, symbol: str, *, watched: bool) -> PositionLine:
        exchange = self._play.stage.exchange
        taken = next(
            (one for one in exchange.liquidations if (one.account, one.symbol) == (account.name, symbol)), None
        )
        position = _position(account, symbol)
        mark, liquidation = exchange.marks[symbol], self._liquidation(account, symbol)
        verdict = self._verdict(symbol) if watched else None
        return PositionLine(
            symbol=symbol.removesuffix("USDT"),
            side=self._sides[symbol],
            margin=(position.isolated_wallet or Decimal(0)) if position else Decimal(0),
            liquidation=liquidation,
            distance=None if liquidation is None else abs(mark - liquidation) / mark,
            level=verdict.level.word if verdict else None,
            liquidated_at=taken.mark if taken else None,
        )

    def _liquidation(self, account: DemoAccount, symbol: str) -> Decimal | None:
        position = _position(account, symbol)
        return None if position is None else liquidation_of(account, position, self._play.stage.exchange.marks)

    def _verdict(self, symbol: str) -> PositionVerdict | None:
        """Return what the daemon last said of a position."""
        watches = self._play.service.watches.values() if self._play.service else ()
        decisions = [watch.decision for watch in watches if watch.decision is not None]
        base = symbol.removesuffix("USDT")
        return next(
            (row for one in decisions for row in one.positions if row.figures.position.contract.base == base), None
        )

    def _budget(self) -> Decimal:
        """Return what the rule may add to all positions together, in dollars."""
        if self._play.service is None:
            return Decimal(0)
        total = Decimal(0)
        for account in self._play.service.settings.accounts.values():
            for rule in account.terms.rules:
                if rule.top_up is not None and rule.top_up.max_per_position is not None:
                    total += sum(self._dollars(rule.top_up.max_per_position, symbol) for symbol in self._sides)
                    total = min(total, rule.top_up.max_per_day.value) if rule.top_up.max_per_day else total
        return total

    def _dollars(self, amount: Amount, symbol: str) -> Decimal:
        if amount.unit is not AmountUnit.INITIAL_MARGINS:
            return amount.value
        stage = self._play.stage
        position = next(one for one in stage.script.positions if one.symbol == symbol)
        return amount.value * position.quantity * stage.market.opening()[symbol] / position.leverage


def _position(account: DemoAccount, symbol: str) -> DemoPosition | None:
    return next((one for one in account.positions.values() if one.symbol == symbol), None)
