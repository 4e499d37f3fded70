"""The house rules hold in the whole tree, and each of them notices the fault it is for."""

import ast
import subprocess
import sys
import sysconfig
import tomllib
from collections import Counter
from pathlib import Path

import house_rules
import pytest

ROOT = Path(__file__).parents[1]
OURS = ("guard", "tests", "benchmarks", "docs", "systemd", ".ci")
TEXT = {".py", ".md", ".toml", ".yaml", ".service", ".sql", ".csv", ".lock", ""}
TOP_LEVEL = {"guard", "tests", "systemd", "docs", "benchmarks", "pyproject.toml", "Dockerfile", "LICENSE", "README.md", "config.example.toml"}  # fmt: skip


def files_below(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in TEXT
    ]


def texts() -> list[Path]:
    top = [path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name in TOP_LEVEL]
    return top + files_below(*OURS)


def complaints(rule: house_rules.Rule, paths: list[Path]) -> list[str]:
    return [
        complaint
        for path in paths
        for complaint in rule(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


PYTHON = [path for path in files_below("guard", "tests", "benchmarks") if path.suffix == ".py"]


@pytest.mark.parametrize("rule", house_rules.OF_PYTHON, ids=lambda rule: rule.__name__)
def test_every_python_file_keeps_the_rule(rule):
    broken = complaints(rule, PYTHON)

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", house_rules.OF_TESTS, ids=lambda rule: rule.__name__)
def test_every_test_keeps_the_rule(rule):
    broken = complaints(rule, [path for path in PYTHON if path.is_relative_to(ROOT / "tests")])

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", house_rules.OF_EVERY_TEXT, ids=lambda rule: rule.__name__)
def test_every_text_of_the_tree_keeps_the_rule(rule):
    broken = complaints(rule, texts())

    assert not broken, "\n".join(broken)


PLANTED = {
    "short_files": ("guard/a.py", "x = 1\n" * 401),
    "short_functions": ("guard/a.py", "def f():\n" + "    x = 1\n" * 60),
    "telling_names": ("guard/order_utils.py", ""),
    "no_dangerous_calls": ("guard/a.py", "subprocess.run(command, shell=True)"),
    "no_dangerous_imports": ("guard/a.py", "import pickle"),
    "pure_rooms_stay_pure": ("guard/margin/a.py", "async def f(): ..."),
    "money_is_decimal": ("guard/venues/a.py", "Decimal(0.1)"),
    "broad_excepts_hand_on": ("guard/margin/a.py", "try:\n    f()\nexcept Exception:\n    pass"),
    "money_moves_in_few_rooms": ("guard/daemon/a.py", "await venue.add_margin(intent)"),
    "events_are_noun_and_participle": ("guard/a.py", "log.info('Adding margin')"),
    "tests_can_fail": ("tests/test_a.py", "def test_the_guard_does_nothing(): guard()"),
    "tests_are_sentences": ("tests/test_a.py", "def test_it(): assert x"),
    "no_path_of_a_machine": ("docs/a.md", "see /ho" + "me/somebody/guard"),
}


@pytest.mark.parametrize(
    "rule",
    [*house_rules.OF_PYTHON, *house_rules.OF_TESTS, *house_rules.OF_EVERY_TEXT],
    ids=lambda rule: rule.__name__,
)
def test_each_rule_notices_the_fault_it_is_for(rule):
    assert len(list(rule(*PLANTED[rule.__name__]))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        ("telling_names", "guard/a.py", "class OrderManager: ..."),
        ("no_dangerous_calls", "guard/a.py", "eval('1')"),
        ("no_dangerous_calls", "guard/a.py", "yaml.load(text)"),
        ("no_dangerous_calls", "guard/a.py", "ClientSession(trust_env=True)"),
        ("no_dangerous_calls", "guard/a.py", "requests.get(url, verify=False)"),
        ("no_dangerous_calls", "guard/a.py", "TCPConnector(ssl=False)"),
        ("no_dangerous_imports", "guard/a.py", "from marshal import loads"),
        ("pure_rooms_stay_pure", "guard/policy/a.py", "at = datetime.now(UTC)"),
        ("pure_rooms_stay_pure", "guard/policy/a.py", "print(1)"),
        ("money_is_decimal", "guard/margin/a.py", "rate = 0.004"),
        ("money_is_decimal", "guard/top_up/a.py", "float(amount)"),
        (
            "broad_excepts_hand_on",
            "guard/web/a.py",
            "try:\n    f()\nexcept (OSError, Exception):\n    log.error('a.lost')",
        ),
        ("broad_excepts_hand_on", "guard/web/a.py", "try:\n    f()\nexcept:\n    pass"),
        ("money_moves_in_few_rooms", "guard/cli/a.py", "path = '/fapi/v1/positionMargin'"),
        ("events_are_noun_and_participle", "guard/a.py", "self._log.info(f'{symbol}.read')"),
        ("events_are_noun_and_participle", "guard/a.py", "log.info('margin.add')"),
        ("tests_can_fail", "tests/test_a.py", "def test_the_guard_is_there():\n    assert True"),
        ("tests_can_fail", "tests/test_a.py", "def test_the_guard_is_there():\n    assert (guard, 'is there')"),
    ],
)
def test_a_rule_notices_the_other_ways_to_break_it(rule, path, source):
    assert list(getattr(house_rules, rule)(path, source))


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        ("broad_excepts_hand_on", "guard/journal/a.py", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
        (
            "broad_excepts_hand_on",
            "guard/daemon/a.py",
            "try:\n    f()\nexcept Exception:\n    log.critical('job.failed')",
        ),
        ("money_moves_in_few_rooms", "guard/top_up/a.py", "await venue.add_margin(intent)"),
        ("money_is_decimal", "guard/outlook/a.py", "decay = 0.94"),
        ("events_are_noun_and_participle", "guard/a.py", "log.info('top_up.not_made', amount=amount)"),
        (
            "tests_can_fail",
            "tests/test_a.py",
            "def test_it_says_so():\n    with pytest.raises(ValueError):\n        f()",
        ),
        (
            "tests_can_fail",
            "tests/test_a.py",
            "def play(): check()\ndef check(): assert x\ndef test_one_run_is_safe(): play()",
        ),
        ("no_path_of_a_machine", "docs/a.md", "docker run --tmpfs /tmp and ~/.config/guard/config.toml"),
    ],
)
def test_a_rule_lets_pass_what_is_right(rule, path, source):
    assert list(getattr(house_rules, rule)(path, source)) == []


def rooms() -> dict[str, Path]:
    """Return each room's first file: a package, or a module that stands for one."""
    package = ROOT / "guard"
    files = [*package.glob("*/__init__.py"), *(path for path in package.glob("*.py") if not path.stem.startswith("__"))]
    return {path.parent.name if path.stem == "__init__" else path.stem: path for path in sorted(files)}


def test_every_room_says_what_it_is_for_and_stands_in_the_architecture():
    architecture = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    assert rooms()
    assert [room for room, file in rooms().items() if not ast.get_docstring(ast.parse(file.read_text()))] == []
    assert [room for room in rooms() if f"`guard.{room}`" not in architecture] == []


def test_the_arrows_of_the_house_go_down_only():
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"

    judged = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert judged.returncode == 0, judged.stdout


def test_an_arrow_that_goes_up_is_noticed(tmp_path):
    package = tmp_path / "guard"
    for room in ("margin", "policy"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "margin" / "__init__.py").write_text("import guard.policy\n")
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = guard\n[importlinter:contract:1]\nname = down\ntype = layers\n"
        "layers =\n    guard.policy\n    guard.margin\n"
    )
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"

    judged = subprocess.run(
        [sys.executable, lint_imports, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert judged.returncode == 1
    assert "guard.margin -> guard.policy" in judged.stdout


def test_no_two_test_files_have_one_name():
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")

    assert [name for name, count in names.items() if count > 1] == []


def test_the_version_is_the_same_wherever_it_stands():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert f'__version__ = "{project["version"]}"' in (ROOT / "guard/__init__.py").read_text(encoding="utf-8")
    assert f"image: guard:{project['version']}" in (ROOT / "docs/compose.yaml").read_text(encoding="utf-8")
