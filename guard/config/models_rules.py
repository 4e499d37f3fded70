"""The config file's ladder and rules. Cross-field checks live in checks.py, where every problem finds its line."""

from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from guard.config.fields import (
    Allowance,
    Duration,
    MarginModeWord,
    ModeWord,
    Money,
    Name,
    Percent,
    Repeat,
    Reserve,
    SideWord,
    Sigmas,
    Switch,
    Text,
    WhenShort,
    Whole,
)
from guard.policy.terms import Amount, AmountUnit


class Table(BaseModel):
    """A TOML table: no key is ignored, and no error of pydantic repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RungTable(Table):
    """A rung. What is not written comes from the ladder above it, at last from ladders.DEFAULTS."""

    distance: Percent | None = Field(None, description="Reached at or below this distance from liquidation.")
    clear: Percent | None = Field(None, description="Cleared above this distance; default: distance + 2 points.")
    clear_for: Duration | None = Field(None, description="How long it must stay clear; default 5m.")
    hold: Duration | None = Field(
        None,
        alias="for",
        description="How long it must last before it is told; default: two fresh reads, one at critical.",
    )
    repeat_interval: Repeat | None = Field(None, description="How often it is told again while it lasts, or never.")


class EarlyRungTable(RungTable):
    """Watch and warn, which volatility may raise as well."""

    sigmas: Sigmas | None = Field(None, description="Reached at or below this many daily volatilities; 0 is off.")


class LadderTable(Table):
    watch: EarlyRungTable = Field(default_factory=EarlyRungTable, description="Look at it. Default 25%, 5 sigmas.")
    warn: EarlyRungTable = Field(default_factory=EarlyRungTable, description="Think about it. Default 15%, 4 sigmas.")
    danger: RungTable = Field(default_factory=RungTable, description="Act soon. Default 8%.")
    critical: RungTable = Field(default_factory=RungTable, description="Act now. Default 4%.")


class MatchTable(Table):
    """Which positions a rule is for; a key that is left out matches all."""

    account: Text = Field("*", description="Shell pattern on the account's name.")
    symbol: Text = Field("*", description="Shell pattern on the unified symbol, as BTC/*.")
    side: SideWord = Field(None, description="long, short or * for both.")
    margin_mode: MarginModeWord = Field(None, description="isolated, cross or * for both.")


class TopUpTable(Table):
    """A budget for adding margin to isolated positions."""

    trigger: Percent = Field(description="Add margin at or below this distance.")
    target: Percent = Field(description="Add what restores this distance.")
    max_per_action: Allowance | None = Field(None, description="Default: max_per_position.")
    max_per_position: Allowance | None = Field(None, description="From opening to closing. Needed to approve or act.")
    max_per_day: Money | None = Field(None, description="This rule on one account in 24 h. Needed to approve or act.")
    reserve: Reserve = Field(
        Amount(unit=AmountUnit.OF_EQUITY, value=Decimal("0.1"), written="10%"),
        description="What must stay available in the paying wallet.",
    )
    cooldown: Duration = Field(timedelta(seconds=120), description="Between two top-ups; critical bypasses it.")
    when_short: WhenShort = Field(default=False, description="stop: spend nothing where it cannot save the position.")
    priority: Whole = Field(0, description="Higher comes first when money is short.")
    birth_cap: Switch = Field(default=True, description="Hold the trigger below half the distance at entry.")


class RuleTable(Table):
    """The first rule that matches a position holds for it."""

    name: Name = Field(description="Unique; alerts and the journal name the rule by it.")
    match: MatchTable = Field(default_factory=MatchTable)
    mode: ModeWord | None = Field(None, description="May only be stricter than the account's and the top level's.")
    ladder: LadderTable = Field(default_factory=LadderTable, description="Overlays the global ladder key by key.")
    top_up: TopUpTable | None = Field(None, description="Left out: nothing is ever added.")


class LimitsTable(Table):
    max_per_day: Money | None = Field(None, description="Everything together in 24 h, on all accounts.")
