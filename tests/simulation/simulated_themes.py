"""Themes: what some seeds play on purpose, since chance alone brings it together too seldom.

Every other seed stays as `draw` draws it.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from simulated_faults import Episode, Weather
from simulated_market import Phase
from simulated_scenario import Deaths, Scenario, draw

BLACKOUT_S = 25 * 60


def draw_with_theme(seed: int) -> Scenario:
    """Return what a seed plays, its theme included."""
    scenario = draw(seed)
    dice = random.Random(f"theme {seed}")  # noqa: S311 - a schedule, not a secret.
    drawn = dice.random()
    for share, theme in THEMES:
        if drawn < share:
            return replace(theme(scenario, dice), theme=theme.__name__)
        drawn -= share
    return scenario


def clock_set_after_a_write(scenario: Scenario, dice: random.Random) -> Scenario:
    """The machine's clock runs ahead; answers are lost; then somebody sets it right, and guard is started again."""
    return replace(
        scenario,
        wall_off_s=dice.uniform(2.4, 4.4),
        clock_at_write=1.0,
        clock_set_to=(0.0,),
        clock_set_within_s=(0.1, 2.0),
        deaths=replace(scenario.deaths, after_write=1.0, lose_journal=0.0),
        accounts=tuple(replace(plan, write_faults=0.7, weather=Weather(())) for plan in scenario.accounts),
    )


def old_answers_after_flips(scenario: Scenario, dice: random.Random) -> Scenario:
    """Positions flip in a one-way account, the new side is seen, and then a cache answers with the old side."""
    flips = [float(at) for at in range(40, int(scenario.faults_s), 70)]
    episodes = []
    for at in flips:
        from_s = at + dice.uniform(12, 30)
        episodes.append(Episode(kind="stale", from_s=from_s, to_s=from_s + dice.uniform(8, 25)))
    plan = replace(scenario.accounts[0], hedged=False, weather=Weather(episodes))
    one_way = tuple({holding.coin: holding for holding in reversed(plan.holdings)}.values())
    return replace(
        scenario,
        accounts=(replace(plan, holdings=tuple(reversed(one_way))),),
        deaths=Deaths(after_write=0.0, stop_at_write=0.0, any_time=0.0, lose_journal=0.0),
        calm_s=10,
        wall_off_s=0.0,
        events=tuple((at, "foreign flip") for at in flips),
    )


def adding_is_impossible(scenario: Scenario, dice: random.Random) -> Scenario:
    """For 25 minutes every request for margin comes to nothing while reads work and the market falls; then it works."""
    before_s, after_s = dice.randint(20, 90), dice.randint(330, 420)
    weather = Weather([Episode(kind="no_adding", from_s=before_s, to_s=before_s + BLACKOUT_S)])
    noise = dice.choice((0.0001, 0.0002))
    return replace(
        scenario,
        faults_s=before_s + BLACKOUT_S + after_s,
        path=(
            Phase(seconds=before_s, move=0.0, noise=noise),
            Phase(seconds=BLACKOUT_S, move=dice.uniform(0.04, 0.09), noise=noise),
            Phase(seconds=after_s, move=dice.uniform(-0.01, 0.03), noise=noise),
        ),
        deaths=replace(scenario.deaths, any_time=0.0, lose_journal=0.0),
        accounts=tuple(replace(plan, weather=weather) for plan in scenario.accounts),
    )


def old_copy_put_back(scenario: Scenario, dice: random.Random) -> Scenario:
    """The journal is copied early; after margin was added since, the copy is put back in its place."""
    until_s = scenario.faults_s
    copied_s = dice.uniform(0.15, 0.5) * until_s
    times = sorted(dice.uniform(copied_s + 30, until_s) for _ in range(6))  # Not while a request is on its way.
    return replace(
        scenario,
        deaths=replace(scenario.deaths, lose_journal=0.0),
        events=tuple(
            sorted(
                [
                    *((at, kind) for at, kind in scenario.events if kind != "lose journal"),
                    (copied_s, "copy journal"),
                    *((at, "put copy back") for at in times),
                ]
            )
        ),
    )


def stopped_in_fair_weather(scenario: Scenario, dice: random.Random) -> Scenario:
    """Nothing is wrong but that the machine stands still for longer than the facts hold, again and again."""
    stops = tuple((float(at), "suspend") for at in range(40, int(scenario.faults_s), 60))
    return replace(
        scenario,
        calm_s=10,
        wall_off_s=0.0,
        stops_s=(75.0, 85.0, 95.0),
        deaths=Deaths(after_write=0.0, stop_at_write=0.0, any_time=0.0, lose_journal=0.0),
        accounts=tuple(replace(plan, write_faults=0.0, weather=Weather(())) for plan in scenario.accounts),
        channels=dict.fromkeys(scenario.channels, Weather(())),
        events=stops,
    )


THEMES: tuple[tuple[float, Callable[[Scenario, random.Random], Scenario]], ...] = (
    (0.04, clock_set_after_a_write),
    (0.04, old_answers_after_flips),
    (0.015, adding_is_impossible),
    (0.01, stopped_in_fair_weather),
    (0.03, old_copy_put_back),
)
