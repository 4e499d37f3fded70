"""What one seed draws: accounts, limits, prices, weather, people, clocks and deaths; and the config that goes with it."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from simulated_faults import CHANNEL_WEATHER, DISK_WEATHER, EXCHANGE_WEATHER, Weather, draw_weather
from simulated_market import Phase
from simulated_process import ccxt_table

from guard.config import load
from guard.config.settings import Settings

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
TAIL_S = 150.0  # At the end all faults stop: the fence, a minute of retries, and a little.
CHANNELS = ("webhook.ops", "telegram.me")
TRIGGER = Decimal("0.08")
CLEAR = Decimal("0.10")  # Law 9: the trigger and two points.
LEVERAGE = 5  # Born at 19.6 %: the written trigger is the one in force.
HEARTBEAT_S = 20.0
FOREIGN = (
    "add", "take", "withdraw", "deposit", "close", "flip", "flip", "reopen", "reopen", "reopen", "funding",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Dollars, as the config writes them."""

    per_action: Decimal
    per_position: Decimal
    per_day: Decimal
    all_day: Decimal
    reserve: Decimal  # Share of the paying wallet's equity.
    cooldown_s: int
    target: Decimal


@dataclass(frozen=True, kw_only=True)
class HoldingPlan:
    coin: str
    side: int
    notional: Decimal
    isolated: bool
    lost: Decimal  # How far the price has gone against it since its entry.


@dataclass(frozen=True, kw_only=True)
class AccountPlan:
    name: str
    hedged: bool
    free: Decimal
    holdings: tuple[HoldingPlan, ...]
    write_faults: float
    weather: Weather
    news: str  # What its stream tells: "changes", or "busy" for something all the time. Empty: it has none.


@dataclass(frozen=True, kw_only=True)
class Deaths:
    """How the daemon's lives end."""

    after_write: float  # Chance that a write in the making kills it within the next few steps.
    stop_at_write: float  # Chance that it is asked to stop just when a write leaves.
    any_time: float  # Chance that a life is short, whatever it does.
    lose_journal: float  # Chance that the journal is gone at a restart.


@dataclass(frozen=True, kw_only=True)
class Scenario:
    seed: int
    start: datetime
    faults_s: float  # Faults happen until then.
    limits: Limits
    accounts: tuple[AccountPlan, ...]
    towards: dict[str, int]  # By coin: where danger lies.
    channels: dict[str, Weather]
    disk: Weather
    deaths: Deaths
    calm_s: int  # Poll interval.
    wall_off_s: float  # What the machine's clock is wrong by at the start.
    clock_at_write: float  # Chance that somebody sets it while a write is on its way.
    hurried_people: float  # Chance that a person adds margin by hand while the guard does.
    events: tuple[tuple[float, str], ...]  # Everything else, in time order.
    clock_set_to: tuple[float, ...] = (0, 0, 3, -3, 90, -90)  # What it is wrong by then.
    clock_set_within_s: tuple[float, float] = (0.5, 20)  # Of the write.
    stops_s: tuple[float, ...] = ()  # For how long SIGSTOP stops it. Empty: drawn.
    path: tuple[Phase, ...] = ()  # Of every price. Empty: each coin draws its own.
    theme: str = ""  # What it plays on purpose.

    @property
    def ends_s(self) -> float:
        return self.faults_s + TAIL_S


def draw(seed: int) -> Scenario:
    dice = random.Random(f"scenario {seed}")  # noqa: S311 - a schedule, not a secret.
    faults_s = dice.uniform(150, 480)
    two = dice.random() < 0.4
    towards = {coin: dice.choice((-1, -1, 1)) for coin in ("BTC", "ETH", "SOL")}
    accounts = tuple(
        _account(
            dice,
            name,
            towards,
            faults_s,
            is_calm=dice.random() < 0.3 + 0.3 * (two and name == "main"),
            news=_news(seed, name),
        )
        for name in ("main", "other")[: 1 + two]
    )
    day = dice.choice((300, 450, 700, 1200))
    limits = Limits(
        per_action=Decimal(dice.choice((120, 250, 500))),
        per_position=Decimal(dice.choice((200, 300, 600, 900))),
        per_day=Decimal(day),
        all_day=Decimal(dice.choice((day, day * 3 // 2))),
        reserve=Decimal(dice.choice(("0.10", "0.30"))),
        cooldown_s=dice.choice((5, 20, 60)),
        target=Decimal(dice.choice(("0.105", "0.115", "0.13"))),
    )
    near_midnight = timedelta(hours=12, seconds=-dice.uniform(0.3, 0.8) * faults_s)
    return Scenario(
        seed=seed,
        start=NOON + (near_midnight if dice.random() < 0.4 else timedelta(0)),
        faults_s=faults_s,
        limits=limits,
        accounts=accounts,
        towards=towards,
        channels={
            name: draw_weather(dice, CHANNEL_WEATHER, until_s=faults_s, calm_s=150, bad_s=40)
            for name in (*CHANNELS, "heartbeat")
        },
        disk=draw_weather(dice, DISK_WEATHER, until_s=faults_s, calm_s=dice.choice((200, 2000)), bad_s=15),
        deaths=Deaths(
            after_write=dice.choice((0.0, 0.15, 0.5)),
            stop_at_write=dice.choice((0.0, 0.0, 0.5)),
            any_time=dice.choice((0.0, 0.3, 0.7)),
            lose_journal=dice.choice((0.0, 0.0, 0.5)),
        ),
        calm_s=dice.choice((10, 30, 60)),
        wall_off_s=dice.choice((0.0, 0.0, 0.0, dice.uniform(-4, 4))),
        clock_at_write=dice.choice((0.0, 0.0, 0.5)),
        hurried_people=dice.choice((0.0, 0.0, 0.3)),
        events=_events(dice, faults_s),
    )


def _news(seed: int, account: str) -> str:
    dice = random.Random(f"news {seed} {account}")  # noqa: S311 - its own: everything else is drawn as without.
    return dice.choice(("", "", "changes", "changes", "changes", "busy"))


def _account(
    dice: random.Random, name: str, towards: dict[str, int], faults_s: float, *, is_calm: bool, news: str
) -> AccountPlan:
    hedged = dice.random() < 0.25
    coins = ["BTC", "ETH"] if name == "main" else ["ETH"]
    holdings = [_holding(dice, coin, -towards[coin], isolated=True) for coin in coins]
    if hedged:
        holdings.append(_holding(dice, "BTC", towards["BTC"], isolated=True))
    if dice.random() < 0.6:
        holdings.append(_holding(dice, "SOL", -towards["SOL"], isolated=False))
    calm_s = faults_s if is_calm else dice.choice((40, 90))
    return AccountPlan(
        name=name,
        hedged=hedged,
        free=Decimal(dice.randint(900, 3000)),
        holdings=tuple(holdings),
        write_faults=dice.choice((0.05, 0.3, 0.7)),
        weather=draw_weather(dice, EXCHANGE_WEATHER, until_s=faults_s, calm_s=calm_s, bad_s=dice.choice((8, 25, 90))),
        news=news,
    )


def _holding(dice: random.Random, coin: str, side: int, *, isolated: bool) -> HoldingPlan:
    return HoldingPlan(
        coin=coin,
        side=side,
        notional=Decimal(dice.randint(3000, 6000) if isolated else dice.randint(1500, 3000)),
        isolated=isolated,
        lost=Decimal(dice.randint(50, 95)) / 1000,
    )


def _events(dice: random.Random, until_s: float) -> tuple[tuple[float, str], ...]:
    """Return what people, clocks and the service manager do, and when."""
    people = [f"foreign {dice.choice(FOREIGN)}" for _ in range(dice.randint(0, 4))]
    kinds = ["lose journal"] * (dice.random() < 0.15)
    kinds += ["jump"] * dice.choice((0, 0, 1))
    kinds += ["restart"] * dice.choice((0, 1, 2))
    kinds += ["suspend"] * dice.choice((0, 0, 1, 2))
    kinds += ["clock"] * dice.choice((0, 0, 0, 2))
    kinds += ["disarm"] * dice.choice((0, 0, 0, 1))
    kinds += ["second daemon"] * dice.choice((0, 0, 1))
    late = [(dice.uniform(0.3, 1) * until_s, kind) for kind in people]
    return tuple(sorted([*late, *((dice.uniform(5, until_s), kind) for kind in kinds)]))


def settings_of(scenario: Scenario, folder: Path) -> Settings:
    """Return the real settings, through a real config file."""
    path = folder / "config.toml"
    path.write_text(_toml(scenario, folder))
    path.chmod(0o600)
    return load(path, environ={})


def _toml(scenario: Scenario, folder: Path) -> str:
    limits = scenario.limits
    api = ", ".join(f'{name} = "{url}"' for name, url in ccxt_table()["urls"]["api"].items() if name != "ws")
    accounts = "\n".join(
        f"""
[accounts.{plan.name}]
exchange = "binanceusdm"
api_key = "simulated-key-{plan.name}"
secret = "simulated-secret-{plan.name}"
poll_interval = {{ calm = "{scenario.calm_s}s", near = "5s" }}
[accounts.{plan.name}.ccxt]
rateLimit = 20
urls = {{ api = {{ {api}, ws = {{ linear = "wss://fstream.binancefuture.com/ws" }} }} }}
"""
        for plan in scenario.accounts
    )
    return f"""
mode = "act"
[limits]
max_per_day = "{limits.all_day}"
{accounts}
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "{limits.target * 100}%"
max_per_action = "{limits.per_action}"
max_per_position = "{limits.per_position}"
max_per_day = "{limits.per_day}"
reserve = "{limits.reserve * 100}%"
cooldown = "{limits.cooldown_s}s"
[notify.console]
enabled = false
[notify.webhook.ops]
url = "https://ops.simulated.example/hook"
from_level = "warn"
[notify.telegram.me]
token = "123456:simulated-token-simulated-token-x"
chat_id = 1
from_level = "warn"
[heartbeat]
url = "https://alive.simulated.example/ping"
interval = "{HEARTBEAT_S:.0f}s"
[journal]
path = "{folder / "journal.db"}"
"""
