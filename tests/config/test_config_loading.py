"""From one file to the settings that the other rooms get, with its defaults, and where that file is looked for."""

import asyncio
import copy
import json
import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.config import find_config, json_schema, load
from guard.errors import ConfigError
from guard.policy.terms import Amount, AmountUnit, DataAgeLimits, Level, Mode, Rung
from guard.snapshot import MarginMode, Side

MINUTE = timedelta(minutes=1)
ACCOUNT = '[accounts.main]\nexchange = "binanceusdm"\n'
KEYS = {"GUARD_ACCOUNTS__MAIN__API_KEY": "key-of-main", "GUARD_ACCOUNTS__MAIN__SECRET": "secret-of-main"}
BUDGET = '[rules.top_up]\ntrigger = "8%"\ntarget = "16%"\n'


@pytest.fixture
def read(tmp_path):
    def read(text, **environ):
        config = tmp_path / "config.toml"
        config.write_text(text)
        return load(config, environ=KEYS | environ)

    return read


def refusal(read, text, **environ):
    with pytest.raises(ConfigError) as refused:
        read(text, **environ)
    return [problem.split("config.toml:", 1)[-1] for problem in refused.value.problems]


def test_one_account_is_enough_and_the_rest_has_safe_defaults(read):
    settings = read(ACCOUNT)
    account = settings.accounts["main"]
    assert settings.mode is Mode.OBSERVE
    assert settings.console_from_level is Level.WARN
    assert (settings.telegram, settings.webhook, settings.heartbeat_url, settings.web_listen) == ((), (), None, None)
    assert settings.journal_path == Path("/var/lib/guard/journal.db")
    assert (account.poll_calm, account.poll_near) == (MINUTE, timedelta(seconds=5))
    assert account.terms.rules == ()
    assert account.terms.max_per_day_all is None
    assert account.terms.model_gap_alert == Decimal("0.1")
    # Design ruling on levels; repeats by the proposed defaults for traders (watch never, 4 h, 30 min, 2 min).
    points, five = Decimal("0.02"), timedelta(minutes=5)
    assert account.terms.ladder.rungs == tuple(
        Rung(
            level=level, distance=Decimal(distance), sigmas=sigmas, clear=Decimal(distance) + points, clear_for=five,
            hold=None, repeat_interval=repeat,
        )
        for level, distance, sigmas, repeat in (
            (Level.WATCH, "0.25", 5.0, None),
            (Level.WARN, "0.15", 4.0, timedelta(hours=4)),
            (Level.DANGER, "0.08", None, timedelta(minutes=30)),
            (Level.CRITICAL, "0.04", None, timedelta(minutes=2)),
        )
    )  # fmt: skip


def test_a_rule_becomes_the_terms_its_owner_wrote(read):
    rule = (
        '[[rules]]\nname = "shield"\nmode = "act"\n'
        'match = { account = "m*", symbol = "BTC/*", side = "short", margin_mode = "isolated" }\n'
        + BUDGET
        + 'max_per_action = "0.5x"\nmax_per_position = "0.01 BTC"\nmax_per_day = "1000"\nreserve = "250.50"\n'
        'cooldown = "1m30s"\nwhen_short = "spend"\npriority = -3\nbirth_cap = false\n'
    )
    (found,) = read('mode = "act"\n' + ACCOUNT + rule).accounts["main"].terms.rules
    assert (found.account, found.symbol, found.side, found.margin_mode) == (
        "m*",
        "BTC/*",
        Side.SHORT,
        MarginMode.ISOLATED,
    )
    assert found.mode is Mode.ACT
    budget = found.top_up
    assert budget is not None
    assert (budget.trigger, budget.target) == (Decimal("0.08"), Decimal("0.16"))
    assert budget.max_per_action == Amount(unit=AmountUnit.INITIAL_MARGINS, value=Decimal("0.5"), written="0.5x")
    assert budget.max_per_position == Amount(
        unit=AmountUnit.COIN, value=Decimal("0.01"), coin="BTC", written="0.01 BTC"
    )
    assert budget.max_per_day == Amount(unit=AmountUnit.DOLLARS, value=Decimal(1000), written="1000")
    assert budget.reserve == Amount(unit=AmountUnit.DOLLARS, value=Decimal("250.50"), written="250.50")
    assert (budget.cooldown, budget.when_short_spend, budget.priority, budget.birth_cap) == (
        1.5 * MINUTE,
        True,
        -3,
        False,
    )


def test_a_budget_has_the_defaults_of_the_rulings(read):
    budget = read(ACCOUNT + '[[rules]]\nname = "a"\n' + BUDGET).accounts["main"].terms.rules[0].top_up
    assert budget.reserve == Amount(unit=AmountUnit.OF_EQUITY, value=Decimal("0.1"), written="10%")
    assert (budget.cooldown, budget.when_short_spend, budget.priority, budget.birth_cap) == (2 * MINUTE, False, 0, True)
    assert (budget.max_per_action, budget.max_per_position, budget.max_per_day) == (None, None, None)


def test_a_wildcard_matches_both_sides_and_both_margin_modes(read):
    rule = '[[rules]]\nname = "a"\nmatch = { side = "*", margin_mode = "*" }\n'
    (found,) = read(ACCOUNT + rule).accounts["main"].terms.rules
    assert (found.account, found.symbol, found.side, found.margin_mode) == ("*", "*", None, None)


@pytest.mark.parametrize(
    ("top", "account", "holds"),
    [
        ("act", "shadow", Mode.SHADOW),
        ("shadow", "act", Mode.SHADOW),
        ("act", None, Mode.ACT),
        (None, "act", Mode.OBSERVE),
    ],
)
def test_the_stricter_of_top_level_and_account_holds(read, top, account, holds):
    text = (f'mode = "{top}"\n' if top else "") + ACCOUNT + (f'mode = "{account}"\n' if account else "")
    assert read(text).accounts["main"].terms.mode is holds


def test_a_rules_ladder_overlays_the_global_one_key_by_key(read):
    text = (
        ACCOUNT
        + '[ladder]\nwarn = { distance = "20%", repeat_interval = "1h" }\ncritical = { for = "3s" }\n'
        + '[[rules]]\nname = "a"\n[rules.ladder]\nwarn = { sigmas = 0, clear = "23%" }\nwatch = { repeat_interval = "6h" }\n'
        + 'danger = { repeat_interval = "never" }\n'
    )
    terms = read(text).accounts["main"].terms
    watch, warn, danger, critical = terms.rules[0].ladder.rungs
    assert (warn.distance, warn.sigmas, warn.clear, warn.repeat_interval) == (
        Decimal("0.2"), None, Decimal("0.23"), timedelta(hours=1),
    )  # fmt: skip
    assert watch.repeat_interval == timedelta(hours=6)
    assert danger.repeat_interval is None
    assert critical.hold == timedelta(seconds=3)
    assert terms.ladder.rungs[1].sigmas == 4.0


@pytest.mark.parametrize(
    ("written", "stale", "near", "blind"),
    [
        ("", 180, 15, 120),  # 3 x the calm 60 s; 3 x the near 5 s.
        ('poll_interval = { calm = "3s", near = "1s" }', 15, 15, 120),
        ('poll_interval = { calm = "10s", near = "10s" }', 30, 30, 120),
        ('poll_interval = { calm = "10s" }\ndata_age = { stale = "45s", blind = "2m" }', 45, None, 120),
        ('data_age = { blind = "90s" }', 180, 15, 90),
        ('data_age = { stale = "5m" }', 300, None, 120),
    ],
)
def test_data_age_limits_follow_the_poll_interval_unless_they_are_written(read, written, stale, near, blind):
    account = read(ACCOUNT + written).accounts["main"]
    limits = account.terms.data_age
    assert account.stale_after_near == (near and timedelta(seconds=near))
    assert limits == DataAgeLimits(stale_after=timedelta(seconds=stale), blind_after=timedelta(seconds=blind))


def test_the_environment_overrides_every_scalar_of_the_file(read):
    settings = read(
        ACCOUNT + 'poll_interval = { calm = "60s" }\n[notify.telegram.me]\nchat_id = 1\n',
        GUARD_MODE="shadow",
        GUARD_ACCOUNTS__MAIN__POLL_INTERVAL__CALM="30s",
        GUARD_NOTIFY__TELEGRAM__ME__CHAT_ID="-100123",
        GUARD_NOTIFY__TELEGRAM__ME__TOKEN="t",
        GUARD_NOTIFY__CONSOLE__ENABLED="false",
        GUARD_LADDER__WARN__SIGMAS="3.5",
        GUARD_LADDER__CRITICAL__FOR="2s",
        GUARD_LIMITS__MAX_PER_DAY="100",
        GUARD_WEB__LISTEN="[::1]:80",
        GUARD_HEARTBEAT__URL="https://example.org",
    )
    terms = settings.accounts["main"].terms
    assert settings.accounts["main"].poll_calm == MINUTE / 2
    assert settings.telegram[0].chat_id == -100123
    assert settings.console_from_level is None
    assert (terms.mode, terms.ladder.rungs[1].sigmas, terms.ladder.rungs[3].hold) == (
        Mode.OBSERVE.SHADOW, 3.5, timedelta(seconds=2),
    )  # fmt: skip
    assert terms.max_per_day_all is not None
    assert settings.web_listen == ("::1", 80)
    assert settings.heartbeat_url == "https://example.org"


def test_the_journal_stands_where_it_is_written_else_where_the_service_manager_says(read, tmp_path):
    assert read(ACCOUNT, STATE_DIRECTORY="/var/lib/one:/var/lib/two").journal_path == Path("/var/lib/one/journal.db")
    written = read(ACCOUNT + '[journal]\npath = "mine.db"\n', STATE_DIRECTORY="/var/lib/one")
    assert written.journal_path == tmp_path / "mine.db"
    assert read(ACCOUNT + '[journal]\npath = "/a/b.db"\n').journal_path == Path("/a/b.db")


def test_what_ccxt_gets_is_what_was_written(read):
    text = '[accounts.main.ccxt]\nhttpsProxy = "http://u:p@proxy:3128"\ntimeout = 7000\nenableRateLimit = true\n'
    urls = '[accounts.main.ccxt.urls.api]\nfapiPrivate = "http://127.0.0.1:8080/fapi/v1"\nx = "https://{hostname}/y"\n'
    assert (
        read(ACCOUNT + text + urls).accounts["main"].venue.ccxt
        == tomllib.loads(text + urls)["accounts"]["main"]["ccxt"]
    )


def test_every_key_that_reaches_ccxt_exists_there_and_a_proxy_of_ours_is_one_of_ccxts():
    import ccxt.async_support as ccxt  # noqa: PLC0415  Heavy, and for this test only.

    from guard.config.screen import ALLOWED  # noqa: PLC0415

    async def missing():
        exchange = ccxt.binanceusdm({"sandbox": True})
        try:
            assert exchange.isSandboxModeEnabled, "a word of ccxt's constructor, which is none of its attributes"
            return {key for key in ALLOWED if not hasattr(exchange, key)}
        finally:
            await exchange.close()

    assert asyncio.run(missing()) == set()


def test_warnings_name_rules_that_can_never_hold_or_match_nothing(read):
    text = (
        'mode = "approve"\n'
        + ACCOUNT
        + '[accounts.spare]\nexchange = "binanceusdm"\napi_key_file = "k"\nsecret_file = "k"\n'
        '[[rules]]\nname = "mine"\nmatch = { account = "main", side = "long" }\n'
        '[[rules]]\nname = "all"\n'
        '[[rules]]\nname = "late"\nmatch = { account = "spare", symbol = "ETH/*" }\n'
        '[[rules]]\nname = "typo"\nmatch = { account = "mian" }\n'
        '[[rules]]\nname = "budget"\nmatch = { symbol = "X/*" }\n'
        + BUDGET
        + 'max_per_action = "600"\nmax_per_position = "500"\nmax_per_day = "1000"\n[web]\nlisten = "0.0.0.0:9464"\n'
    )
    spare = {"GUARD_ACCOUNTS__SPARE__API_KEY": "k", "GUARD_ACCOUNTS__SPARE__SECRET": "k"}
    warnings = [
        warning.split("config.toml:", 1)[-1] for warning in read(text, **spare).warnings if "/proc" not in warning
    ]
    assert warnings == [
        "14: rule 'late' never holds: 'all' before it matches all of it",
        "17: rule 'typo' matches no account: found 'mian', there are main, spare",
        "20: rule 'budget' never holds: 'all' before it matches all of it",
        "20: rule 'budget': 'approve' cannot ask yet, it only says what it would do",
        "20: rule 'budget': max_per_action is above max_per_position, which holds anyway",
        " notify: no channel leaves this machine, alerts are only printed here",
        "29: web.listen: not only this machine can read positions there",
    ]


def test_a_rule_for_one_account_does_not_hide_a_rule_for_all(read):
    one, all_ = '[[rules]]\nname = "one"\nmatch = { account = "spare" }\n', '[[rules]]\nname = "all"\n'
    spare = '[accounts.spare]\nexchange = "binanceusdm"\n'
    keys = {"GUARD_ACCOUNTS__SPARE__API_KEY": "k", "GUARD_ACCOUNTS__SPARE__SECRET": "k"}
    assert not [warning for warning in read(ACCOUNT + spare + one + all_, **keys).warnings if "never holds" in warning]


def test_two_rungs_at_the_same_distance_are_refused(read):
    assert refusal(read, ACCOUNT + '[ladder]\ncritical = { distance = "8%" }\n') == [
        "4: ladder.critical.distance: found 8%, expected below 8% (danger.distance)"
    ]


def test_a_budget_is_asked_for_only_where_the_mode_in_force_moves_money(read):
    rule = '[[rules]]\nname = "a"\n' + BUDGET
    missing = ["5: rules[0].top_up.max_per_day", "5: rules[0].top_up.max_per_position"]
    found = refusal(read, 'mode = "approve"\n' + ACCOUNT + rule)
    assert [problem.rsplit(": is missing", 1)[0] for problem in found] == [
        problem.replace("5:", "6:") for problem in missing
    ]
    assert read('mode = "shadow"\n' + ACCOUNT + rule)
    assert read('mode = "act"\n' + ACCOUNT + 'mode = "shadow"\n' + rule)
    assert read('mode = "act"\n' + ACCOUNT + '[[rules]]\nname = "a"\nmode = "shadow"\n' + BUDGET)


def test_a_windows_file_is_read_and_keeps_its_line_numbers(tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes(b"\xef\xbb\xbf" + (ACCOUNT + "mode = 1\n").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r"config.toml:3: accounts.main.mode: found 1"):
        load(config, environ=KEYS)


def test_a_file_that_is_not_text_or_not_there_is_a_config_error(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match="byte 8 is not UTF-8 text"):
        load(tmp_path / "latin.toml", environ={})
    with pytest.raises(ConfigError, match=r"none.toml: no such file \(named by -c\)"):
        load(tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match=r"none.toml: no such file \(named by \$GUARD_CONFIG\)"):
        find_config(None, {"GUARD_CONFIG": str(tmp_path / "none.toml")})


def test_the_config_is_looked_for_in_four_places_in_turn(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    (home / ".config" / "guard").mkdir(parents=True)
    monkeypatch.chdir(here)
    environ = {"HOME": str(home)}
    with pytest.raises(ConfigError) as refused:
        find_config(None, environ)
    assert refused.value.problems == (
        (
            f"no config file: looked at ./config.toml, {home}/.config/guard/config.toml, /etc/guard/config.toml "
            "($GUARD_CONFIG is not set); start from config.example.toml, name another file with `-c FILE`; `guard demo` needs none"
        ),
    )
    (home / ".config" / "guard" / "config.toml").touch()
    assert find_config(None, environ) == home / ".config" / "guard" / "config.toml"
    (here / "config.toml").touch()
    assert find_config(None, environ) == Path("config.toml")
    (tmp_path / "named.toml").touch()
    assert find_config(None, environ | {"GUARD_CONFIG": str(tmp_path / "named.toml")}) == tmp_path / "named.toml"
    assert find_config(here / "config.toml", environ | {"GUARD_CONFIG": "x"}) == here / "config.toml"


def test_the_schema_is_json_and_refuses_unknown_keys():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["additionalProperties"] is False
    assert schema["properties"]["mode"]["enum"] == ["observe", "shadow", "approve", "act"]
    assert schema["properties"]["mode"]["default"] == "observe"
    definitions = schema["$defs"]
    assert definitions["PollIntervalTable"]["properties"]["calm"]["default"] == "1m"
    assert definitions["TopUpTable"]["properties"]["reserve"]["default"] == "10%"
    assert definitions["RungTable"]["properties"]["for"]["type"] == "string"
    assert "null" not in json.dumps(schema)


FULL = tomllib.loads(
    "\n".join(
        line.removeprefix("#") if line.startswith("#") and line[1:2] in "abcdefghijklmnopqrstuvwxyz[" else line
        for line in (Path(__file__).parents[2] / "config.example.toml").read_text().splitlines()
        if line != "#:schema ./guard.schema.json"
    )
)
JUNK = st.sampled_from([
    0, -1, 1.5, float("nan"), float("inf"), 10**400, 16**5000, True, "", " ", "*", "8%", "30s", "never", "1e5", "99999d", "x" * 200, "\u0000", "~nobody-here/key",
    [], [1], [{}], {}, {"a": {"b": 1}}, "http://[", "https://example.org:99999", "127.0.0.1:", "٣%", "-5%", "NaN", "0x",
])  # fmt: skip


def leaves(node, path=()):
    if isinstance(node, dict):
        yield (*path, "sigmas")  # A key that belongs to two tables only.
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from leaves(child, (*path, key))


def put(node, path, value):
    """Set a value unless earlier junk took the way to it."""
    for part in path[:-1]:
        node = node[part] if has(node, part) else None
    if isinstance(node, dict) or has(node, path[-1]):
        node[path[-1]] = value


def has(node, part):
    return part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))


@given(st.lists(st.tuples(st.sampled_from(sorted(leaves(FULL), key=str)), JUNK), min_size=1, max_size=4))
def test_junk_anywhere_is_a_config_error_or_works_but_never_crashes(changes):
    from guard.config.checks import check, warnings  # noqa: PLC0415
    from guard.config.document import Document  # noqa: PLC0415
    from guard.config.sources import gather  # noqa: PLC0415
    from guard.config.terms import settings  # noqa: PLC0415
    from guard.config.validate import validate  # noqa: PLC0415

    values = json.loads(json.dumps(FULL))
    for path, junk in changes:
        put(values, path, copy.deepcopy(junk))
    document = Document(path=Path(__file__), values=values, lines={})
    written, problems = gather(document, {})
    config = validate(written, problems)
    check(config, written, problems)
    if problems:
        assert all(line.startswith((str(Path(__file__)), "/")) for line in problems.lines())
    else:
        settings(config, document.path, {}, warnings(config, written))


def test_an_exchange_that_nobody_can_watch_yet_is_named_with_those_that_can(read):
    with pytest.raises(
        ConfigError, match=r"config\.toml:\d+: accounts\.main\.exchange: found 'binance', .*binanceusdm'\?"
    ):
        read(ACCOUNT.replace("binanceusdm", "binance"))


def test_a_ladder_that_no_pool_goes_by_is_said_to_be_unused(read):
    rule = '[[rules]]\nname = "a"\nmatch = { margin_mode = "cross" }\n'
    unused = "rule 'a': its ladder is not used, a cross pool goes by [ladder]"
    assert not any(unused in warning for warning in read(ACCOUNT + rule).warnings)
    assert any(
        unused in warning for warning in read(ACCOUNT + rule + '[rules.ladder]\nwarn = { clear = "30%" }').warnings
    )
