"""One config file, mutilated and loaded: settings, or one clear error that repeats no secret."""

import random
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mutations import BYTES, TEXTS, Dice
from noting import noting_bugs

from guard.config import load
from guard.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"
CANARIES = {
    "key": "canary-key-k1a77880042", "secret": "canary-secret-s9f3c1a7788", "password": "canary-pass-pq20c17b44e",
    "token": "1234567:canary-token-t66ab01f9c2", "hook": "whsec_aG9vay13MzNjOGI5YTE1MC1hbmQtbWFueS1tb3JlISE=",
    "path": "canary-path-u55e0d1c3b7", "user": "canary-user-v44d9c0b2a6",
}  # fmt: skip
WHOLE = """\
mode = "act"
model_gap_alert = "10%"
[limits]
max_per_day = "5000"
[accounts.main]
exchange = "binanceusdm"
api_key = "{key}"
secret = "{secret}"
password = "{password}"
mode = "shadow"
poll_interval = {{ calm = "60s", near = "5s" }}
[accounts.main.ccxt]
rateLimit = 50
httpsProxy = "http://{user}:{password}@proxy.example:3128"
options = {{ recvWindow = 5000 }}
[ladder]
watch = {{ distance = "25%", sigmas = 5, for = "0s" }}
critical = {{ distance = "4%", repeat_interval = "2m", clear = "6%" }}
[[rules]]
name = "shield"
match = {{ account = "main", symbol = "BTC/*", side = "long", margin_mode = "isolated" }}
mode = "act"
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_action = "0.5x"
max_per_position = "3000"
max_per_day = "0.1 BTC"
reserve = "10%"
cooldown = "120s"
when_short = "spend"
priority = 3
[notify.telegram.me]
token = "{token}"
chat_id = -1001234567890
from_level = "watch"
[notify.webhook.ops]
url = "https://ops.example/{path}"
secret = "{hook}"
[heartbeat]
url = "https://alive.example/{path}"
interval = "60s"
[journal]
path = "journal.db"
[web]
listen = "127.0.0.1:8080"
"""
MINIMAL = """\
[accounts.main]
exchange = "binanceusdm"
api_key_file = "key"
secret = "{secret}"
"""
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][\w.-]*|-?\d+(?:\.\d+)?|\[\[|\]\]|[\[\]{}=,#]|\n')
WORDS = (
    *("true", "false", "nan", "inf", "-inf", "1e999", "9" * 5000, "0x" + "f" * 100, "1979-05-27T07:32:00Z", "12:00:00"),
    *(
        '""',
        "''",
        '"""',
        "'''",
        "[",
        "]",
        "{",
        "}",
        "[[",
        "]]",
        "=",
        ",",
        ".",
        "#",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\x00",
        "\x1b[31m",
    ),
    *(
        '"\\u0000"',
        '"\\ud800"',
        '"\\uFFFFFFFF"',
        '"a\\nb"',
        '"' + "x" * 3000 + '"',
        '"-5%"',
        '"101%"',
        '"1e5%"',
        '"5 €"',
        '"∞"',
    ),
    *(
        '"99999999999999999999d"',
        '"1e400"',
        '"0.0000000000000000000000000001"',
        '"5x"',
        '"-1x"',
        '"1e9x"',
        '"5 BTC"',
        '"5 \u202eBTC"',
    ),
    *(
        "[" * 60 + "]" * 60,
        "{a = " * 60 + "1" + "}" * 60,
        "a." * 100 + "b",
        "{}",
        "[]",
        "[{}]",
        "[1, 2]",
        "0",
        "-1",
        "1.5",
        "_",
        "accounts",
    ),
    *(
        '"http://[::1"',
        '"http://\x7f/"',
        '"https://a:b@c:d/"',
        '"file:///etc/passwd"',
        '"/dev/zero"',
        '"../../../etc/shadow"',
        '"$HOME"',
    ),
)
PLACE = re.compile(r"(/[^\n:]*)?c\.toml(:\d+)?: |\.\.\. and \d+ more problems|… and \d+ more problems")
LINES_MAX = 120
LETTERS_MAX = 700  # Of one line.


@dataclass(kw_only=True)
class ConfigCase:
    text: bytes
    outcome: str = ""
    said: str = ""
    wrong: list[str] = field(default_factory=list)


class ConfigFuzz:
    """Loads one mutilated file per seed, as `guard` does with nothing in the environment."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "c.toml"
        self._path.touch(mode=0o600)
        (folder / "key").touch(mode=0o600)
        (folder / "key").write_text(CANARIES["key"])
        example = EXAMPLE.read_text(encoding="utf-8")
        full = WHOLE.format(**CANARIES)
        self._texts = (full, full, full, MINIMAL.format(**CANARIES), example, _uncommented(example))
        self.counts: Counter[str] = Counter()

    def play(self, seed: int) -> ConfigCase:
        dice = random.Random(f"config {seed}")  # noqa: S311 - a mutation, not a secret.
        text = dice.choice(self._texts)
        for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 6))):
            text = _changed(text, dice)
        raw = text.encode("utf-8", "surrogatepass")
        if dice.random() < 0.1:
            raw = dice.choice(BYTES)(raw or b" ", dice)
        case = ConfigCase(text=raw)
        self._path.write_bytes(raw)
        with noting_bugs(case):
            try:
                case.said, case.outcome = repr(load(self._path, environ={})), "loaded"
            except ConfigError as error:
                case.said, case.outcome = str(error), "refused"
                _check(case, error.problems)
        leaked = [name for name, canary in CANARIES.items() if _stands_in(canary, case.said) and _is_known(name, case)]
        if leaked:
            case.wrong.append(f"{leaked} in what was said: {case.said[:300]!r}")
        self.counts[case.outcome] += 1
        return case


def _stands_in(canary: str, said: str) -> bool:
    """Say whether any ten letters of a canary, after the word that all have in common, stand in a text."""
    own = canary.partition("canary-")[2] or canary
    return any(own[at : at + 10] in said for at in range(max(1, len(own) - 9)))


def _is_known(name: str, case: ConfigCase) -> bool:
    """Say whether the file still holds this canary where such a secret belongs: elsewhere nobody can know it for one."""
    line = next(line for line in WHOLE.splitlines() if f"{{{name}}}" in line).format(**CANARIES)
    try:
        written = tomllib.loads(case.text.decode())
    except (ValueError, RecursionError):
        return "annot declare" not in case.said  # Only the names of tables and keys are ever repeated.
    if case.outcome == "loaded":  # A rule may be called anything, and its name is told.
        rules = " ".join(str(rule.get("name")) for rule in written.get("rules", ()))
        is_a_name = _stands_in(CANARIES[name], rules)
        return not is_a_name and case.text.count(CANARIES[name].encode()) <= WHOLE.count(f"{{{name}}}")
    return f"\n{line}\n".encode() in case.text


def _check(case: ConfigCase, problems: tuple[str, ...]) -> None:
    if not problems or len(problems) > LINES_MAX:
        case.wrong.append(f"{len(problems)} lines")
    for line in problems:
        if not line.isprintable():
            case.wrong.append(f"a line that is not printable: {line[:200]!r}")
        if len(line) > LETTERS_MAX:
            case.wrong.append(f"a line of {len(line)} letters: {line[:200]!r}")
        if PLACE.match(line) is None:
            case.wrong.append(f"a line that names no place: {line[:200]!r}")


def _uncommented(text: str) -> str:
    """Return the example with everything in force that it only shows."""
    return re.sub(r"^#(?=\[|\w+ = )", "", text, flags=re.MULTILINE)


def _changed(text: str, dice: Dice) -> str:
    """Change one token, one line, or a piece of the text."""
    tokens = list(TOKEN.finditer(text))
    kind = dice.randrange(10)
    if kind <= 5 and tokens:
        one = dice.choice(tokens)
        return text[: one.start()] + _other(one.group(), tokens, dice) + text[one.end() :]
    lines = text.split("\n")
    at = dice.randrange(len(lines))
    match kind:
        case 6:
            del lines[at]
        case 7:
            lines.insert(dice.randrange(len(lines) + 1), lines[at])
        case 8:
            lines[at] = " ".join(lines[at].split(" ")[::-1])
        case _:
            place = dice.randrange(len(text) + 1)
            return text[:place] + dice.choice((*WORDS, *TEXTS)) + text[place + dice.choice((0, 0, 1, 5, 40)) :]
    return "\n".join(lines)


def _other(token: str, tokens: "list[re.Match[str]]", dice: Dice) -> str:
    """Return another token: any word, one of the file's own, or this one with a letter off."""
    kind = dice.randrange(6)
    if kind <= 1:
        return dice.choice(WORDS)
    if kind == 2:
        secrets = [one for one in tokens if "canary" in one.group()]  # What is pasted in the wrong place.
        return dice.choice(secrets if secrets and dice.random() < 0.7 else tokens).group()
    if kind == 3 and token.startswith('"'):
        return '"' + dice.choice(TEXTS).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if kind == 4:
        return token * dice.choice((0, 2, 3))
    place = dice.randrange(len(token))
    return (
        token[:place]
        + chr(dice.choice((0x20, 0x22, 0x2E, 0x30, 0x39, 0x5B, 0x61, 0xE9, 0x200B, 0x1F600)))
        + token[place + 1 :]
    )
