"""The command tree: words, options and help. What a command does stands in its own module, imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="guard",
    help="Watches leveraged positions, says early how far they are from liquidation, "
    "and adds margin only inside a written budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="Config file. Default: $GUARD_CONFIG, ./config.toml, ~/.config/guard/config.toml, /etc/guard/config.toml.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        from guard import __version__  # noqa: PLC0415

        typer.echo(f"guard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Watch, speak early, and add margin only inside a written budget."""


@app.command()
def demo(
    *,
    fast: Annotated[bool, typer.Option("--fast", help="A few seconds instead of a minute.")] = False,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", help="Replay a market: CSV or CSV.gz with symbol,time,open,high,low,close."),
    ] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", help="Market seconds per real second, with --prices.", min=1)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", help='With --prices: max_per_position, as "500" or "2x" (initial margins). Default 5x.'
        ),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Only run the exchange, and write a config for it.")] = False,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="With --serve: where to write that config.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Watch a crash on an embedded exchange: no keys, no config."""
    from guard.cli.demo import run_demo  # noqa: PLC0415

    run_demo(fast=fast, prices=prices, speed=speed, budget=budget, serve=serve, config=config, as_json=as_json)


@app.command()
def check(
    config: Config = None,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Judge the config alone; ask no exchange.")] = False,
) -> None:
    """Try everything the daemon will need, and say what is missing."""
    from guard.cli.check import run_check  # noqa: PLC0415

    run_check(config, offline=offline)


@app.command()
def status(
    config: Config = None,
    *,
    as_json: Json = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with 0 ok or watch, 1 warn, 2 danger or critical, 3 stale, blind or unknown; 2 wins over 3.",
        ),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every few seconds until stopped.")] = False,
) -> None:
    """Look once: pools and positions, worst first."""
    from guard.cli.status import run_status  # noqa: PLC0415

    run_status(config, as_json=as_json, exit_code=exit_code, watch=watch)


@app.command()
def run(
    config: Config = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="One cycle of every account, then exit.")] = False,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option("--log-format", help="auto, json, logfmt or console.")] = "auto",
) -> None:
    """Run the daemon."""
    from guard.cli.run import run_daemon  # noqa: PLC0415

    run_daemon(config, once=once, log_level=log_level, log_format=log_format)


@app.command()
def calc(
    file: Annotated[Path, typer.Argument(help="An account written by hand, TOML or JSON.")], *, as_json: Json = False
) -> None:
    """Judge an account written by hand: no exchange, no config."""
    from guard.cli.calc import calc as run_calc  # noqa: PLC0415

    run_calc(file, as_json=as_json)


AccountOption = Annotated[str | None, typer.Option("--account", help="Only this account.", show_default=False)]


@app.command()
def compare(
    file: Annotated[
        Path | None,
        typer.Argument(help="An account written by hand, TOML or JSON. Left out: the live ones.", show_default=False),
    ] = None,
    config: Config = None,
    *,
    account: AccountOption = None,
    as_json: Json = False,
) -> None:
    """Hold isolated margin against cross: where each ends, what it risks, what falls together."""
    from guard.cli.compare import run_compare  # noqa: PLC0415

    run_compare(file, config, account=account, as_json=as_json)


@app.command()
def whatif(
    order: Annotated[str, typer.Argument(help='As in "long 0.5 BTC/USDT:USDT 10x isolated 800".', show_default=False)],
    config: Config = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="An account written by hand, instead of a live one.")
    ] = None,
    account: AccountOption = None,
    as_json: Json = False,
) -> None:
    """Look at the account as it would be with one more order in it.

    SIDE QUANTITY SYMBOL [LEVERAGEx] [isolated [MARGIN] | cross] [at PRICE]. The quantity is in contracts (base units
    where a contract is one of them), or its worth, as 5000USDT. Nothing is sent.
    """
    from guard.cli.whatif import run_whatif  # noqa: PLC0415

    run_whatif(order, file, config, account=account, as_json=as_json)


@app.command(name="stress")
def stress_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="An account written by hand. Left out: the live accounts of the config.", show_default=False
        ),
    ] = None,
    config: Config = None,
    *,
    move: Annotated[
        list[str] | None,
        typer.Option(
            "--move",
            help="-20% moves every coin but the dollar stablecoins, BTC=-15%,ETH=-25% these alone. May be repeated. "
            "Left out: a ladder from -50% to +50%.",
            show_default=False,
        ),
    ] = None,
    scenarios: Annotated[
        Path | None, typer.Option("--scenarios", help="CSV (name,market,BTC,ETH) or TOML ([[scenarios]]) with moves.")
    ] = None,
    adl: Annotated[
        bool, typer.Option("--adl", help="Hedges in profit are lost to auto-deleveraging halfway to the move.")
    ] = False,
    adl_at: Annotated[
        str | None, typer.Option("--adl-at", help="The same after another part of the way, as 30%.")
    ] = None,
    account: AccountOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw each pool's margin ratio over all market moves, as FILE.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let prices move: what dies first, what goes with it, what is left."""
    from guard.cli.stress import StressOptions, run_stress  # noqa: PLC0415

    run_stress(
        StressOptions(
            file=file,
            config=config,
            moves=move or [],
            scenarios=scenarios,
            lose_hedges=adl,
            lose_hedges_at=adl_at,
            account=account,
            plot=plot,
            as_json=as_json,
        )
    )


@app.command()
def history(
    config: Config = None,
    *,
    account: AccountOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many entries, newest last.", min=1)] = 50,
    moved: Annotated[bool, typer.Option("--moved", help="Why each liquidation price moved since then.")] = False,
    since: Annotated[str, typer.Option("--since", help="With --moved: how far back, as 24h or 3d.")] = "24h",
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            help="The whole story of one top-up, by its intent or the beginning of it, or of a position and its end: "
            '"BTC/USDT:USDT long".',
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the journal: alerts, deliveries, intents, outcomes, and why."""
    if report is not None:
        from guard.cli.report import run_report  # noqa: PLC0415

        run_report(config, report, account=account, as_json=as_json)
        return
    if moved:
        from guard.cli.moved import run_moved  # noqa: PLC0415

        run_moved(config, account=account, since=since, as_json=as_json)
        return
    from guard.cli.history import run_history  # noqa: PLC0415

    run_history(config, account=account, limit=limit, as_json=as_json)


Account = Annotated[str | None, typer.Argument(help="Account name. Left out: all accounts.", show_default=False)]


@app.command()
def arm(account: Account = None, config: Config = None) -> None:
    """Allow spending again, inside the written budgets. It survives restarts."""
    from guard.cli.arming import run_arm  # noqa: PLC0415

    run_arm(config, account)


@app.command()
def disarm(
    account: Account = None,
    config: Config = None,
    *,
    because: Annotated[str, typer.Option("--because", help="Why; it is shown wherever money is withheld.")] = "by hand",
) -> None:
    """Stop spending at once, and watch on. It survives restarts."""
    from guard.cli.arming import run_disarm  # noqa: PLC0415

    run_disarm(config, account, because=because)


@app.command()
def schema() -> None:
    """Print the JSON schema of the config."""
    from guard.cli.schema import print_schema  # noqa: PLC0415

    print_schema()
