"""What a tired hand, a wrong editor or a bored stranger writes: one clear line each, never a traceback."""

import os
import subprocess
import sys

import pytest

from guard.config import load, secret_files
from guard.errors import ConfigError

ACCOUNT = '[accounts.main]\nexchange = "binanceusdm"\n'
KEYS = {"GUARD_ACCOUNTS__MAIN__API_KEY": "canary-key", "GUARD_ACCOUNTS__MAIN__SECRET": "canary-secret"}
RULE = '[[rules]]\nname = "a"\n'
TELEGRAM = ACCOUNT + "[notify.telegram.me]\n"
CCXT = ACCOUNT + "[accounts.main.ccxt]\n"
BUDGET = ACCOUNT + RULE + "[rules.top_up]\n"

REFUSED = {
    "empty": (b"", "accounts: no account"),
    "only a byte order mark": (b"\xef\xbb\xbf", "accounts: no account"),
    "utf-16": (ACCOUNT.encode("utf-16"), "byte 0 is not UTF-8 text"),
    "utf-16 without a mark": (ACCOUNT.encode("utf-16-le"), "not TOML at column 2"),
    "zeros": (b"\0" * 100, "not TOML at column 1"),
    "lone surrogate": (b'mode = "\xed\xa0\x80"', "is not UTF-8 text"),
    "10 MB": (b"#" * 10_000_000, "is larger than 250,000 bytes"),
    "very deep list": (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "deep list": (b"a = " + b"[" * 300 + b"]" * 300, "nested too deeply"),
    "deep inline tables": (b"a = " + b"{a = " * 300 + b"1" + b"}" * 300, "nested too deeply"),
    "deep dotted key": ("a." * 3000 + "a = 1", "nested too deeply"),
    "endless number": ("mode = " + "9" * 5000, "a number too long"),
    "endless hexadecimal number": ("mode = 0x" + "f" * 5000 + "\n" + ACCOUNT, "mode: found a very long number"),
    "thousand unknown keys": (ACCOUNT + "\n".join(f"k{i} = 1" for i in range(1000)), "900 more problems"),
    "json": ('{"mode": "act"}', "not TOML at column 1"),
    "yaml": ("mode: act\n", "not TOML at column 5"),
    "the same table twice": (ACCOUNT + ACCOUNT, "c.toml:3: not TOML"),
    "a terminal's escape in a key": ('"\\u001b[31mx" = 1\n' + ACCOUNT, r"\x1b[31mx: unknown key"),
    "a line end in a key": ('"a\\nb" = 1\n' + ACCOUNT, r"a\nb: unknown key"),
    "a long key": ("k" * 500 + " = 1\n" + ACCOUNT, f"1: {'k' * 30}…: unknown key"),
    "a setting of pydantic-settings": ('_env_file = "/etc/passwd"\n' + ACCOUNT, "_env_file: unknown key"),
    "our own argument": ("sources = []\n" + ACCOUNT, "sources: unknown key"),
    "self": ("self = 1\n" + ACCOUNT, "self: unknown key"),
    "nan": ("model_gap_alert = nan\n" + ACCOUNT, "found nan"),
    "nan in quotes": ('model_gap_alert = "nan"\n' + ACCOUNT, "found 'nan'"),
    "sigmas without end": (ACCOUNT + "[ladder]\nwatch = { sigmas = 1e999 }", "watch.sigmas: found inf"),
    "negative money": (ACCOUNT + '[limits]\nmax_per_day = "-5"', "max_per_day: found '-5'"),
    "no money": (ACCOUNT + '[limits]\nmax_per_day = "0"', "above 0"),
    "1e999 dollars": (ACCOUNT + '[limits]\nmax_per_day = "1e999"', "max_per_day: found '1e999'"),
    "euros": (ACCOUNT + '[limits]\nmax_per_day = "5 €"', "max_per_day: found '5 €'"),
    "trigger 0%": (BUDGET + 'trigger = "0%"\ntarget = "10%"', "trigger: found '0%'"),
    "target 100%": (BUDGET + 'trigger = "8%"\ntarget = "100%"', "target: found '100%'"),
    "trigger 200%": (BUDGET + 'trigger = "200%"\ntarget = "300%"', "trigger: found '200%'"),
    "two rules of one name": (ACCOUNT + RULE + RULE, "rules[1].name: found 'a' again"),
    "a name that no message could hold": (ACCOUNT + f'[[rules]]\nname = "{"n" * 81}"', "expected at most 80 letters"),
    "an invisible letter in a name": (ACCOUNT + '[[rules]]\nname = "a\u200bb"', r"found 'a\u200bb'"),
    "accounts as a list": ('[[accounts]]\nexchange = "binanceusdm"\n', "accounts: found a list, expected a table"),
    "an account as a list": ('[[accounts.main]]\nexchange = "x"\n', "accounts.main: found a list"),
    "an account as a number": ("accounts.name = 5\n", "accounts.name: found 5"),
    "rules as a table": (ACCOUNT + '[rules]\nname = "a"\n', "rules: found a table"),
    "rules in a list in a list": ("rules = [[{}]]\n" + ACCOUNT, "rules[0]: found a list, expected a table"),
    "an exchange with a very long name": (ACCOUNT.replace("binanceusdm", "x" * 500), f"found '{'x' * 30}…'"),
    "an exchange that is a path": (ACCOUNT.replace("binanceusdm", "../okx"), "accounts.main.exchange: found"),
    "an exchange of nothing": (ACCOUNT.replace("binanceusdm", "a\\u0000b"), "accounts.main.exchange: found"),
    "a date": ("mode = 2024-01-01\n" + ACCOUNT, "mode: found 2024-01-01"),
    "a time": (ACCOUNT + "poll_interval = { calm = 12:00:00 }", "calm: found 12:00:00"),
    "a look once in 274 years": (ACCOUNT + 'poll_interval = { calm = "99999d" }', "expected at most '1h'"),
    "a host with a space": (ACCOUNT + '[web]\nlisten = "a b:80"', "listen: found 'a b:80'"),
    "chat 0": (TELEGRAM + 'chat_id = 0\ntoken = "t"', "chat_id: found 0"),
    "a chat beyond 64 bits": (TELEGRAM + 'chat_id = 99999999999999999999\ntoken = "t"', "a very long number"),
    "a token on two lines": (TELEGRAM + 'chat_id = 1\ntoken = "canary\\ncanary"', "token: holds a line end"),
    "two proxies": (CCXT + 'httpProxy = "http://a:1"\nhttpsProxy = "http://b:1"', "httpsProxy: found a second proxy"),
    "half a proxy": (CCXT + 'httpsProxy = "http://u:can[ary@h:1"', "httpsProxy: expected a proxy"),
    "a header in the user agent": (CCXT + 'userAgent = "a\\r\\nX: y"', r"found 'a\r\nX: y'"),
    "a path in the host name": (CCXT + 'hostname = "example.org/"', "expected a host name"),
}
LOADED = {
    "byte order mark": b"\xef\xbb\xbf" + ACCOUNT.encode(),
    "carriage returns": ACCOUNT.replace("\n", "\r\n"),
    "dotted key": 'accounts.main.exchange = "binanceusdm"',
    "a rule in any script": ACCOUNT + '[[rules]]\nname = "щит 🛡"',
    "an unclosed pattern": ACCOUNT + '[[rules]]\nname = "a"\nmatch = { symbol = "[" }',
}
VARIABLES = {
    "empty": ({"GUARD_MODE": ""}, "env GUARD_MODE: mode: found ''"),
    "spaces": ({"GUARD_MODE": " shadow "}, "env GUARD_MODE: mode: found ' shadow ', expected observe"),
    "twice": ({"GUARD_MODE": "act", "guard_mode": "act"}, "env guard_mode: mode: env GUARD_MODE is set too"),
    "a list in JSON": ({"GUARD_RULES": '[{"name": "a"}]'}, "env GUARD_RULES: unknown variable"),
    "a table in JSON": ({"GUARD_LIMITS": '{"max_per_day": "1"}'}, "env GUARD_LIMITS: unknown variable"),
    "money in JSON": ({"GUARD_LIMITS__MAX_PER_DAY": '["1"]'}, "max_per_day: found '[\"1\"]'"),
    "not JSON": ({"GUARD_NOTIFY": "{"}, "env GUARD_NOTIFY: unknown variable"),
    "prefix alone": ({"GUARD_": "x"}, "env GUARD_: unknown variable"),
    "separators alone": ({"GUARD____": "x"}, "env GUARD____: unknown variable"),
    "too deep": ({"GUARD_MODE__X": "x"}, "env GUARD_MODE__X: unknown variable"),
    "our name for a key": ({"GUARD_LADDER__CRITICAL__HOLD": "2s"}, "did you mean 'GUARD_LADDER__CRITICAL__FOR'"),
    "bytes that are no text": ({"GUARD_ACCOUNTS__MAIN__PASSWORD": "canary\udcff"}, "password: is not text"),
    "two lines": ({"GUARD_ACCOUNTS__MAIN__PASSWORD": "canary\nX: y"}, "password: holds a line end"),
    "an endless file": ({"GUARD_ACCOUNTS__MAIN__PASSWORD_FILE": "/dev/zero"}, "password_file: that is no file"),
    "a long name": ({"GUARD_" + "X" * 5000: "x"}, "…: unknown variable"),
    "a terminal's escape": ({"GUARD_\x1b[31m": "\x1b[31m"}, r"env GUARD_\x1b[31m: unknown variable"),
    "no number": ({"GUARD_LADDER__WATCH__SIGMAS": "nan"}, "sigmas: found 'nan'"),
}


@pytest.fixture(autouse=True)
def _no_container_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(secret_files, "CONTAINER_SECRETS", tmp_path / "nowhere")


def write(tmp_path, content):
    config = tmp_path / "c.toml"
    config.write_bytes(content if isinstance(content, bytes) else content.encode())
    config.chmod(0o600)
    return config


def refusal(config, environ=KEYS):
    with pytest.raises(ConfigError) as refused:
        load(config, environ=environ)
    text = str(refused.value)
    assert "canary" not in text
    assert all(line.isprintable() for line in refused.value.problems)
    return text


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_config_is_refused_with_a_line_that_says_what_to_change(tmp_path, name):
    content, expected = REFUSED[name]
    assert expected in refusal(write(tmp_path, content))


@pytest.mark.parametrize("name", LOADED)
def test_what_only_looks_odd_is_read(tmp_path, name):
    assert load(write(tmp_path, LOADED[name]), environ=KEYS).accounts["main"].venue.exchange == "binanceusdm"


@pytest.mark.parametrize("name", VARIABLES)
def test_an_odd_variable_is_refused_by_its_name(tmp_path, name):
    variables, expected = VARIABLES[name]
    assert expected in refusal(write(tmp_path, ACCOUNT), KEYS | variables)


def test_a_variable_is_text_and_never_json(tmp_path):
    environ = KEYS | {"GUARD_ACCOUNTS__MAIN__PASSWORD": "12345"}
    assert load(write(tmp_path, ACCOUNT), environ=environ).accounts["main"].venue.password == "12345"


def test_variables_may_be_written_in_small_letters(tmp_path):
    environ = KEYS | {"guard_mode": "shadow", "Guard_Ladder__Critical__For": "2s"}
    settings = load(write(tmp_path, ACCOUNT), environ=environ)
    assert settings.mode.word == "shadow"
    assert settings.accounts["main"].terms.ladder.rungs[3].hold.total_seconds() == 2


def test_variables_of_this_process_count_only_where_they_are_given(tmp_path, monkeypatch):
    monkeypatch.setenv("GUARD_MODE", "shadow")
    assert load(write(tmp_path, ACCOUNT), environ=KEYS).mode.word == "observe"


def test_a_variable_does_not_hide_that_the_table_around_it_is_none(tmp_path):
    config = write(tmp_path, "notify = 5\n" + ACCOUNT + "poll_interval = 5\n")
    variables = {"GUARD_NOTIFY__CONSOLE__ENABLED": "true", "GUARD_ACCOUNTS__MAIN__POLL_INTERVAL__CALM": "5s"}
    assert refusal(config, KEYS | variables).splitlines() == [
        f"{config}:1: notify: found 5, expected a table",
        f"{config}:4: accounts.main.poll_interval: found 5, expected a table",
    ]


def test_variables_of_a_badly_named_account_do_not_invent_another(tmp_path):
    config = write(tmp_path, '[accounts.my__main]\nexchange = "okx"\napi_key = "k"\nsecret = "s"\n')
    found = refusal(config, {"GUARD_ACCOUNTS__MY__MAIN__MODE": "act"})
    assert found.count("accounts.my") == 1


def test_places_that_hold_no_config_say_so(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for name, expected in {
        ".": "that is no file",
        "pipe": "that is no file",
        "loop": "cannot be opened",
        "dangling": "no such file",
        "x" * 5000: "cannot be opened",
    }.items():
        assert f": {expected}" in refusal(tmp_path / name)
    assert "~nobody-here/c: no such file" in refusal(None, KEYS | {"GUARD_CONFIG": "~nobody-here/c"})


def test_odd_credentials_are_refused_by_their_place_and_never_block(tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir()
    (directory / "accounts__main__api_key").mkdir()
    os.mkfifo(directory / "accounts__main__secret")
    (directory / "accounts__main__password").symlink_to("accounts__main__password")
    (directory / "accounts__e\x1b\nvil").write_text("canary")
    (directory / "somebody's").symlink_to("nowhere")
    found = refusal(write(tmp_path, ACCOUNT), {"CREDENTIALS_DIRECTORY": str(directory)}).splitlines()
    assert [line.removeprefix(f"{directory}/").partition(": ")[0] for line in found] == [
        r"accounts__e\x1b\nvil",
        "accounts__main__api_key",
        "accounts__main__password",
        "accounts__main__secret",
    ]


@pytest.mark.parametrize("name", ["empty", "utf-16", "deep list", "rules in a list in a list", "half a proxy"])
def test_the_command_line_ends_in_78_for_an_odd_config(tmp_path, name):
    content, expected = REFUSED[name]
    config = write(tmp_path, content)
    environ = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | KEYS
    ended = subprocess.run(
        [sys.executable, "-m", "guard", "check", "--offline", "-c", config],
        capture_output=True, text=True, env=environ, timeout=30, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (78, "")
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr


def test_reading_a_config_needs_no_exchange_library():
    text = "import sys, guard.config; print(*{'ccxt', 'aiohttp', 'numpy', 'apscheduler'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=True)
    assert loaded.stdout.strip() == ""
