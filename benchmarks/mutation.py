"""Mutation testing of guard/margin: how many planted faults do the tests of the room notice?

    python benchmarks/mutation.py FOLDER            # prepares a copy of the tree there, plants each fault, counts
    python benchmarks/mutation.py FOLDER --books    # the same for guard/margin/books, which stands above the model
    python benchmarks/mutation.py FOLDER --resume   # goes on where it was stopped
    python benchmarks/mutation.py FOLDER --only bends,curve   # plants faults into these files of the model only, in
                                                              # this order, without the tests of what stands above it
    python benchmarks/mutation.py FOLDER --results  # prints the counts per file, and what each survivor changes

mutmut makes the mutants (all of them in one tree, chosen by an environment variable). It leaves functions with
decorators alone, so in the copy `@exact def f` is written `f = exact(f)` behind the function, which is the same
program. It also collects the tests anew for each mutant, which takes longer than they do: here they are collected once,
and each mutant is a fork in which they run until one fails. Property tests try fewer pools, always the
same ones. docs/mutation.md has the counts as measured and says why the survivors are no other program.
"""

import argparse
import ast
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).parents[1]
SETTINGS = """
[tool.mutmut]
source_paths = ["guard"]
only_mutate = ["guard/margin/*.py"]
do_not_mutate = [{left_out}]
also_copy = ["docs"]
"""
# They read files and commands, and say nothing that the others do not say of the model.
OTHER_TESTS = {"test_account_file.py", "test_calc_command.py"}
# They ask what stands above the model, and take longer than all that ask the model itself.
BOOK_TESTS = {"test_compare.py", "test_stress_laws.py", "test_whatif.py"}
FEWER = [
    (r"max_examples=\d+", "max_examples=12"),
    (r'"seed", range\((\d+)(?:, \d+)?\)', r'"seed", range(\1, \1 + 4)'),
    (r"SEEDS = range\((\d+), \d+\)", r"SEEDS = range(\1, \1 + 4)"),
    (r"range\(0, \d+, (2 \* )?CHUNK\)", r"range(0, 2 * \1CHUNK, \1CHUNK)"),
]
PROFILE = """
from hypothesis import Phase, settings

settings.register_profile(
    "mutation", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("mutation")
"""
GENERATE = """
from mutmut import __main__ as mutmut

mutmut.set_mutant_under_test("mutant_generation")
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.setup_source_paths()
mutmut.store_lines_covered_by_tests()
mutmut.create_mutants(1)
"""
BOOKS = ["guard/margin/books/*"]
MODEL = [f"guard/margin/{path.name}" for path in sorted((ROOT / "guard/margin").glob("*.py"))]
CHOSEN = "MUTANT_UNDER_TEST"
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def undecorated(source: str) -> str:
    """Return the same program with the decorators of functions written as assignments behind them."""
    lines = source.split("\n")
    found = [(node, None) for node in ast.parse(source).body]
    found += [(inner, node) for node, _ in found if isinstance(node, ast.ClassDef) for inner in node.body]
    for node, owner in sorted(found, key=lambda pair: -pair[0].lineno):
        if not isinstance(node, FUNCTION) or not node.decorator_list:
            continue
        names = [ast.unparse(decorator) for decorator in node.decorator_list]
        if names in (["staticmethod"], ["classmethod"]):  # mutmut looks into these.
            continue
        indent, name = " " * node.col_offset, node.name
        if names[0] == "staticmethod":  # Stays one inside its class; the rest is put on behind the class.
            wrapped = "".join(f"{one}(" for one in names) + f"{owner.name}.{name}" + ")" * len(names)
            lines.insert(owner.end_lineno, f"\n\n{owner.name}.{name} = {wrapped}")
            del lines[node.decorator_list[1].lineno - 1 : node.lineno - 1]
        else:
            wrapped = "".join(f"{one}(" for one in names) + name + ")" * len(names)
            lines.insert(node.end_lineno, f"\n{indent}{name} = {wrapped}\n")
            del lines[node.decorator_list[0].lineno - 1 : node.lineno - 1]
    return "\n".join(lines)


def prepare(folder: Path, left_out: list[str]) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".git")
    for name in ("guard", "tests/margin", "tests/golden", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    conftest = (ROOT / "tests/conftest.py").read_text(encoding="utf-8")
    (folder / "tests/conftest.py").write_text(conftest + PROFILE, encoding="utf-8")
    for path in (folder / "guard/margin").rglob("*.py"):
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in (folder / "tests/margin").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for whole, few in FEWER:
            text = re.sub(whole, few, text)
        path.write_text(text, encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        project + SETTINGS.format(left_out=json.dumps(left_out)[1:-1]), encoding="utf-8"
    )
    (folder / "mutants").mkdir()
    subprocess.run([sys.executable, "-c", GENERATE], cwd=folder, check=True)  # noqa: S603  # Our own words.


def mutants(folder: Path, only: list[str]) -> list[str]:
    metas = sorted((folder / "mutants/guard/margin").rglob("*.meta"))
    names = [name for meta in metas for name in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]]
    return [name for file in only for name in names if file_of(name) == file] if only else names


def file_of(name: str) -> str:
    return ".".join(name.split(".")[2:-1])


class EachMutant:
    """Runs the collected tests once as they are, and then once in a fork for each mutant."""

    def __init__(self, folder: Path, only: list[str]) -> None:
        self.found = folder / "found.json"
        self.states = json.loads(self.found.read_text(encoding="utf-8")) if self.found.exists() else {}
        self.names = [name for name in mutants(folder, only) if name not in self.states]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        durations = {}
        for item in session.items:
            began = time.process_time()
            assert not fails(item), f"{item.nodeid} fails without a mutant"
            durations[item] = time.process_time() - began
        items = sorted(session.items, key=lambda item: durations[item])
        limits = {item: 1 + 5 * durations[item] for item in items}  # A mutant may loop without end.
        print(f"{len(items)} tests, {sum(durations.values()):.1f} s; {len(self.names)} mutants", flush=True)
        noticing: set[pytest.Item] = (
            set()
        )  # They go first, the quickest before: mutants of a function fall to few tests.
        for count, name in enumerate(self.names, 1):
            self.states[name], notices = state_of(name, items, limits)
            if notices is not None and notices not in noticing:
                noticing.add(notices)
                items.sort(key=lambda item: (item not in noticing, durations[item]))
            if count % 25 == 0 or count == len(self.names):
                self.found.write_text(json.dumps(self.states), encoding="utf-8")
                print(f"{count} {dict(Counter(self.states.values()))}", flush=True)
        return True


def fails(item: pytest.Item, limit_s: float = 0) -> bool:
    """Run a test. One that computes for longer than its limit takes its process along; 0: it may."""
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def state_of(name: str, items: list[pytest.Item], limits_s: dict[pytest.Item, float]) -> tuple[str, pytest.Item | None]:
    """Run the tests in a fork. Return how that ended, and the test that noticed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ[CHOSEN] = name
        noticed = next((place for place, item in enumerate(items) if fails(item, limits_s[item])), None)
        if noticed is not None:
            os.write(writing, str(noticed).encode())
        os._exit(0)
    os.close(writing)
    noticed = os.read(reading, 16).decode()
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if noticed:
        return "killed", items[int(noticed)]
    return "timed out" if os.WIFSIGNALED(status) else "survived", None


def run(folder: Path, only: list[str]) -> None:
    os.chdir(folder / "mutants")
    os.environ[CHOSEN] = ""
    sys.path[:0] = [str(folder / "mutants")]
    left_out = OTHER_TESTS | BOOK_TESTS if only else OTHER_TESTS
    tests = sorted(str(path) for path in Path("tests/margin").glob("test_*.py") if path.name not in left_out)
    pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[EachMutant(folder, only)])


def results(folder: Path) -> None:
    states = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    counts: dict[str, Counter[str]] = {}
    for name, state in states.items():
        counts.setdefault(file_of(name), Counter())[state] += 1
    for file, count in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        caught, every = count["killed"] + count["timed out"], sum(count.values())
        print(f"{file:24} {caught:5} of {every:5}  {caught / every:6.1%}  {dict(count)}")
    for name, state in states.items():
        if state == "survived":
            print(f"\n{name}")
            print("\n".join(difference(folder, name)))


@cache
def functions_in(path: Path) -> dict[str, list[str]]:
    """Return the lines of each function, by its name."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTION))
    return {node.name: lines[node.lineno : node.end_lineno] for node in nodes}


def difference(folder: Path, name: str) -> list[str]:
    """Return the lines in which a mutant differs from the function that it was made of."""
    module, _, mutant = name.rpartition(".")
    bodies = functions_in(folder / "mutants" / (module.replace(".", "/") + ".py"))
    before, after = bodies[re.sub(r"__mutmut_\d+$", "__mutmut_orig", mutant)], bodies[mutant]
    return [
        line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")
    ]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--books", action="store_true")
    asked.add_argument("--resume", action="store_true")
    asked.add_argument("--results", action="store_true")
    asked.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="FILES")
    options = asked.parse_args()
    folder = options.folder.resolve()
    if options.results:
        results(folder)
        return
    if not options.resume:
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder, MODEL if options.books else BOOKS)
    run(folder, options.only)
    results(folder)


if __name__ == "__main__":
    main()
