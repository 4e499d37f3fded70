"""`guard demo`: the product's first minute."""

import asyncio
import json
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from guard import logs
from guard.config.quantities import allowance
from guard.demo.pace import Pace
from guard.demo.play import Play, result
from guard.demo.serving import serve_until_stopped
from guard.demo.show import Picture
from guard.demo.stage import build, crash_script, replay_script
from guard.demo.view import draw

CRASH_SECONDS = 60.0
FAST_SECONDS = 6.0
# A cycle and a top-up take some 40 ms in all; faster than this they are minutes of the market, and nobody is so slow.
SPEED_MAX = 360.0
FAST_SPEED_MAX = 1_440.0
FRAMES_PER_SECOND = 8


def run_demo(
    *,
    fast: bool,
    prices: Path | None,
    speed: float | None,
    budget: str | None,
    serve: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Play the show, or only serve its exchange. Logs of the daemon are silent here: the picture tells."""
    if serve and (fast or as_json or prices or speed or budget):
        raise typer.BadParameter("--serve only runs the exchange: of the other options it goes with --config alone")
    if config is not None and not serve:
        raise typer.BadParameter("--config names the file that --serve writes: a show reads no config")
    if budget is not None:
        _check_budget(budget, prices)
    logs.configure("critical", environ={})
    if serve:
        asyncio.run(_serve(config or Path("guard-demo.toml")))
        return
    script, market = crash_script() if prices is None else replay_script(prices, max_per_position=budget)
    wanted = (market.end - market.start).total_seconds() / (FAST_SECONDS if fast else CRASH_SECONDS)
    pace = Pace(speed=speed or min(wanted, FAST_SPEED_MAX if fast else SPEED_MAX))
    play = Play(build(script, market), pace)
    console = Console(stderr=as_json)
    if as_json or not console.is_terminal:
        asyncio.run(play.run())
    else:
        asyncio.run(_show(play, console))
    if as_json:
        print(json.dumps(result(play), indent=2))
    else:
        _print_end(result(play), console)


def _check_budget(budget: str, prices: Path | None) -> None:
    if prices is None:
        raise typer.BadParameter("--budget goes with --prices: the scripted crash has its own")
    try:
        allowance(budget)
    except ValueError as error:
        raise typer.BadParameter(f"--budget: found {budget!r}, {error}") from None


async def _show(play: Play, console: Console) -> None:
    picture = Picture(play)
    with Live(draw(picture.frame()), console=console, refresh_per_second=FRAMES_PER_SECOND, transient=True) as live:

        async def redraw() -> None:
            while True:
                live.update(draw(picture.frame()))
                await asyncio.sleep(1 / FRAMES_PER_SECOND)

        drawing = asyncio.create_task(redraw())
        try:
            await play.run(picture.sample)
        finally:
            drawing.cancel()
            live.update(draw(picture.frame()))
    console.print(draw(picture.frame()))


async def _serve(config: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_until_stopped(config, stop, say=lambda words: print(words, flush=True))


def _print_end(document: dict[str, Any], console: Console) -> None:
    guarded, unguarded = document["guarded"], document["unguarded"]
    for top_up in guarded["top_ups"]:
        amount, mark = Decimal(top_up["amount"]), Decimal(top_up["mark_price"])
        after = top_up["liquidation_price_after"]
        then = "" if after is None else f", liquidation then at {Decimal(after):,.2f}"
        console.print(f"{top_up['at'][11:16]}  added {amount:,.2f} USDT to {top_up['symbol']} at {mark:,.2f}{then}")
    for name, half in (("guarded", guarded), ("unguarded", unguarded)):
        lost = ", ".join(f"{one['symbol']} at {Decimal(one['mark_price']):,.2f}" for one in half["liquidations"])
        end = f"liquidated: {lost}" if lost else "no liquidation"
        style = "bold red" if lost else "bold green"
        console.print(
            Text.assemble((f"{name:>9}  ", "bold"), (end, style), f", equity {Decimal(half['equity_end']):,.2f} USDT")
        )
    console.print(f"{len(guarded['alerts'])} messages arrived at the webhook, each signed and confirmed.")
    for note in document["notes"]:
        console.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
