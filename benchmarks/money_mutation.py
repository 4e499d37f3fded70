"""Mutation testing of the modules that move money, or decide about it: which planted faults do their tests notice?

    python benchmarks/money_mutation.py FOLDER                  # prepares a copy of the tree there, plants, counts
    python benchmarks/money_mutation.py FOLDER --only top_up,policy.budget      # these modules, in this order
    python benchmarks/money_mutation.py FOLDER --only top_up --again            # only what survived, once more
    python benchmarks/money_mutation.py FOLDER --every 4        # of each module the first mutant, the fifth and so on:
                                                                # where the time is short, a sample and not a beginning
    python benchmarks/money_mutation.py FOLDER --results        # the counts, and what each survivor changes

Where only a part was tried, `--results` gives a 95 % interval (Wilson's) of the share that all would have.

A FOLDER that is prepared already goes on where it was stopped, with the tests as they are now.

`TESTS` says which tests ought to notice a fault in which module. They are collected once, and run once to see how
long each takes and which functions it calls in its own process. A mutant is a fork in which those of its module run
that call its function, for to the others it is the same program: the quickest first, before them those that noticed
another, until one fails and fails again. What fails only once, as happens on a busy machine, is printed and has
noticed nothing. A test that computes for longer than five times its usual has noticed the mutant (timed out), and so
has one that waits for `WAIT_S`, and again when all others have been tried (waited); a mutant that takes `MUTANT_S` in
all without a failure is counted apart, as not judged. `found.json` says which test noticed which. Journals cost less
where TMPDIR is memory.

How the mutants come about is told in mutation.py, and how it ended in docs/mutation.md.
"""

import argparse
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mutation import CHOSEN, GENERATE, PROFILE, ROOT, difference, fails, undecorated
from mutmut.mutation import trampoline

WAIT_S = 15  # Of one test, beyond ten times what it usually takes.
MUTANT_S = 300
FEWER = [(r"max_examples=\d+", "max_examples=12"), (r'"seed", range\(40\)', '"seed", range(6)')]
_POLICY = ("policy/test_[dpstu]*.py",)  # Without the long ladders, which are about telling and not about money.
_ACTS = ("top_up/test_[est]*.py", "top_up/test_money_moves_once.py")  # Without the processes that are killed.
_CYCLES = ("attack/test_attack_[bhjlru]*.py",)  # Whole cycles over sockets: for what nothing smaller asks.
_JOURNAL = ("journal/test_*.py", "daemon/test_past*.py", "daemon/test_endings.py")
# Those that would take minutes a mutant are left out (every answer cut at every byte, processes that are killed), so
# that a survivor here may still fall to them; it is not counted as if it did.
TESTS = {
    "top_up": _ACTS,
    "journal.intents": ("journal/test_*.py", *_ACTS),
    "venues.write_answers": ("venues/test_write_answers.py",),
    "venues.margin_difference": ("venues/test_margin_difference.py",),
    "policy.budget": _POLICY,
    "policy.rescue": _POLICY,
    "daemon.fences": ("top_up/test_fences.py",),
    "venues.gate": ("venues/test_gate*.py", "venues/test_shared.py", "venues/test_binance_write.py"),
    "venues.binance_margin": (
        "venues/test_binance_[hip]*.py",
        "venues/test_binance_settle.py",
        "venues/test_binance_write.py",
        "venues/binance/test_coinm_rows.py",
    ),
    "policy.allotment": _POLICY,
    "policy.triage": _POLICY,
    "journal.disarm_marker": _JOURNAL,
    "journal.lives": _JOURNAL,
    "journal.past": _JOURNAL,
    "journal.audits": _JOURNAL,
    "journal.arming": _JOURNAL,
    "journal.store": _JOURNAL,
    "policy.decide": ("policy/test_*.py",),
    "daemon.past": ("daemon/test_past*.py", *_CYCLES),
    "daemon.acting": ("daemon/test_acting*.py", *_CYCLES),
}
SETTINGS = """
[tool.mutmut]
source_paths = ["guard"]
only_mutate = {modules}
also_copy = ["docs", "tests"]
"""


def file_of(module: str) -> str:
    return f"guard/{module.replace('.', '/')}.py"


def module_of(mutant: str) -> str:
    return mutant.rpartition(".")[0].removeprefix("guard.")


def prepare(folder: Path) -> None:
    """Copy the tree and plant every mutant of every module into the copy, each asleep until it is chosen."""
    ignored = shutil.ignore_patterns("__pycache__", ".git")
    for name in ("guard", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for module in TESTS:
        path = folder / file_of(module)
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "mutants").mkdir()
    copy_tests(folder)
    subprocess.run([sys.executable, "-c", GENERATE], cwd=folder, check=True)  # noqa: S603  # Our own words.


def copy_tests(folder: Path) -> None:
    """Bring the tests of the copy to what they are now, with fewer examples of each law and always the same."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    modules = json.dumps([file_of(module) for module in TESTS])
    for copy in (folder / "tests", folder / "mutants/tests"):
        (copy.parent / "pyproject.toml").write_text(project + SETTINGS.format(modules=modules), encoding="utf-8")
        shutil.copytree(ROOT / "tests", copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        conftest = copy / "conftest.py"
        conftest.write_text(conftest.read_text(encoding="utf-8") + PROFILE, encoding="utf-8")
        for path in copy.rglob("test_*.py"):
            text = path.read_text(encoding="utf-8")
            for whole, few in FEWER:
                text = re.sub(whole, few, text)
            path.write_text(text, encoding="utf-8")


def mutants(folder: Path, modules: list[str], every: int = 1) -> list[str]:
    metas = (folder / "mutants" / f"{file_of(module)}.meta" for module in modules)
    return [
        name
        for meta in metas
        for name in list(json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"])[::every]
    ]


def tests_of(module: str) -> list[Path]:
    return [path for pattern in TESTS[module] for path in sorted(Path("tests").glob(pattern))]


@contextmanager
def calls_seen() -> Iterator[set[str]]:
    """Note which functions with mutants are called meanwhile."""
    called: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trampoline, "get_mutant_under_test", lambda: "stats")
        patch.setattr(trampoline, "record_trampoline_hit", lambda name, **_: called.add(name))
        yield called


@dataclass(frozen=True)
class Trial:
    """A mutant that is being tried in a process of its own."""

    name: str
    reading: int
    began: float
    items: list[pytest.Item]


WORDS = "SELECT|CREATE|INSERT|UPDATE|DELETE|DROP|ORDER|FROM|WHERE|AND|SET|VALUES|PRAGMA|BEGIN|COMMIT|ROLLBACK"
SQL = re.compile(rf"\b({WORDS})\b|^\(?\w+(, \w+){{3,}}\)|^\w+ = \?$")
LITERAL = re.compile(r'(\[?)"([^"]*)"')
VALUE = re.compile("'[^']*'")
ENDS = {signal.SIGALRM: "waited", signal.SIGPROF: "timed out"}
NOTICED = {"killed", *ENDS.values()}


class EachMutant:
    """Runs the collected tests once as they are, and then those of a mutant's module in a fork for each mutant."""

    def __init__(self, folder: Path, modules: list[str], *, again: bool, every: int, jobs: int) -> None:
        self.found = folder / "found.json"
        self.folder = folder
        self.jobs = jobs
        self.states: dict[str, tuple[str, str]] = {}  # What this run found, and which test noticed it.
        known = states_of(folder)
        left = {name for name, (state, _) in known.items() if state not in NOTICED}
        left = {name for name in left if not is_same_sql(difference(folder, name))} if again else left
        planted = mutants(folder, modules, every)
        self.names = [name for name in planted if (name in left if again else name not in known)]
        self.items: dict[str, list[pytest.Item]] = {}
        self.called: dict[pytest.Item, set[str]] = {}  # Functions, as mutmut names them.
        self.noticing: dict[str, list[pytest.Item]] = {module: [] for module in modules}
        self.trials: dict[int, Trial] = {}
        self.limits_s: dict[pytest.Item, float] = {}
        self.waits_s: dict[pytest.Item, float] = {}
        self.waited: set[str] = set()  # Mutants with which a test waited without end; they are tried a second time.

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        costs_s = {}
        for item in session.items:
            began, computed = time.monotonic(), time.process_time()
            with calls_seen() as self.called[item]:
                assert not fails(item), f"{item.nodeid} fails without a mutant"
            self.limits_s[item] = 1 + 5 * (time.process_time() - computed)  # A mutant may loop without end.
            costs_s[item] = time.monotonic() - began
            self.waits_s[item] = WAIT_S + 10 * costs_s[item]
        for module in self.noticing:
            paths = {path.resolve() for path in tests_of(module)}
            self.items[module] = sorted((i for i in session.items if i.path in paths), key=costs_s.__getitem__)
            print(
                f"{module}: {len(self.items[module])} tests, {sum(map(costs_s.__getitem__, self.items[module])):.1f} s"
            )
        print(f"{len(self.names)} mutants", flush=True)
        for count, name in enumerate(self.names, 1):
            self._begin(name)
            while len(self.trials) >= self.jobs or (self.trials and count == len(self.names)):
                self._end_one()
            if count % 10 == 0:
                self._save(count)
        self._save(len(self.names))
        return True

    def _begin(self, name: str) -> None:
        noticing = self.noticing[module_of(name)]
        items = [*noticing, *(item for item in self.items[module_of(name)] if item not in noticing)]
        items = [item for item in items if name.rpartition("__mutmut_")[0] in self.called[item]]
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.environ[CHOSEN] = name
            try:
                noticed = next((place for place, item in enumerate(items) if self._notices(item, name)), None)
                if noticed is not None:
                    os.write(writing, str(noticed).encode())
                os._exit(0)
            finally:
                os._exit(1)  # What ends pytest itself would go on here as a second parent.
        os.close(writing)
        self.trials[child] = Trial(name, reading, time.monotonic(), items)

    def _notices(self, item: pytest.Item, name: str) -> bool:
        signal.setitimer(signal.ITIMER_REAL, self.waits_s[item])  # Takes the process along.
        if not fails(item, self.limits_s[item]):
            return False
        signal.setitimer(signal.ITIMER_REAL, self.waits_s[item])
        if fails(item, self.limits_s[item]):
            return True
        print(f"{item.nodeid} failed only once with {name}", flush=True)
        return False

    def _end_one(self) -> None:
        """Wait until one of the mutants tried now is through, and note how it ended."""
        while True:
            for child, trial in self.trials.items():
                ended, status = os.waitpid(child, os.WNOHANG)
                is_late = time.monotonic() - trial.began > MUTANT_S
                if is_late and not ended:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                if ended or is_late:
                    self._note(self.trials.pop(child), status, is_late=not ended)
                    return
            time.sleep(0.005)

    def _note(self, trial: Trial, status: int, *, is_late: bool) -> None:
        noticed = os.read(trial.reading, 16).decode()
        os.close(trial.reading)
        if noticed:
            noticing, item = self.noticing[module_of(trial.name)], trial.items[int(noticed)]
            self.states[trial.name] = "killed", item.nodeid
            if item in noticing:
                noticing.remove(item)
            noticing.insert(0, item)  # Mutants of one function stand together, and fall to the same test.
        elif is_late or (os.WIFEXITED(status) and os.WEXITSTATUS(status)):
            self.states[trial.name] = "not judged", ""
        elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM and trial.name not in self.waited:
            self.waited.add(trial.name)
            self.names.append(trial.name)
        else:
            self.states[trial.name] = ENDS.get(os.WTERMSIG(status), "not judged") if status else "survived", ""

    def _save(self, count: int) -> None:
        """Add what was found to what is in the file by now: another run may try other modules beside this one."""
        beside = self.found.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(states_of(self.folder) | self.states), encoding="utf-8")
        beside.replace(self.found)
        print(f"{count} {dict(Counter(state for state, _ in self.states.values()))}", flush=True)


def states_of(folder: Path) -> dict[str, tuple[str, str]]:
    found = folder / "found.json"
    return json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}


def run(folder: Path, modules: list[str], *, again: bool, every: int, jobs: int) -> None:
    os.chdir(folder / "mutants")
    os.environ[CHOSEN] = ""
    sys.path[:0] = [str(folder / "mutants")]
    os.environ["PYTHONPATH"] = sys.path[0]
    paths = dict.fromkeys(str(path) for module in modules for path in tests_of(module))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:xdist", "--tb=native"]
    pytest.main([*options, *paths], plugins=[EachMutant(folder, modules, again=again, every=every, jobs=jobs)])


def interval(killed: int, tried: int) -> str:
    """Return between which shares that of all mutants lies, by those that were tried (Wilson, 95 %)."""
    z, share = 1.96, killed / tried
    middle, half = share + z * z / (2 * tried), z * math.sqrt(share * (1 - share) / tried + (z / (2 * tried)) ** 2)
    return " to ".join(f"{bound / (1 + z * z / tried):.1%}" for bound in (middle - half, middle + half))


def is_same_sql(changed: list[str]) -> bool:
    """Say whether a change is one of capital and small letters in SQL or a column's name, which SQLite does not see."""
    before, after = ("\n".join(line[1:] for line in changed if line[0] == sign) for sign in "-+")
    texts = zip(LITERAL.findall(before), LITERAL.findall(after), strict=False)
    return before.lower() == after.lower() and all(
        one == other or ((bracket or SQL.search(one)) and VALUE.findall(one) == VALUE.findall(other))
        for (bracket, one), (_, other) in texts
    )


def results(folder: Path) -> None:
    """Print a row per module, and each survivor. What is the same to SQLite was not tried: it is no other program."""
    states = {name: state for name, (state, _) in states_of(folder).items()}
    changes = {name: difference(folder, name) for name, state in sorted(states.items()) if state not in NOTICED}
    states |= {name: "same SQL" for name, changed in changes.items() if is_same_sql(changed)}
    every = Counter(module_of(name) for name in mutants(folder, list(TESTS)))
    counts = {module: Counter(state for name, state in states.items() if module_of(name) == module) for module in TESTS}
    print("| module | made | same SQL | tried | killed | survived | share | 95 % interval | waited | not judged |")
    for module, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        made, killed = every[module] or every.total(), sum(count[state] for state in NOTICED)
        tried = killed + count["survived"]
        share = f"{killed / tried:.1%}" if tried else "-"
        is_whole = tried + count["same SQL"] == made
        between = "all tried" if is_whole else interval(killed, tried) if tried else "-"
        figures = f"{made:5} | {count['same SQL']:4} | {tried:5} | {killed:5} | {count['survived']:4} | {share:>6}"
        print(f"| {module:24} | {figures} | {between:14} | {count['waited']:4} | {count['not judged']:4} |")
    for name, changed in changes.items():
        if states[name] != "same SQL":
            print(f"\n{name} {states[name]}", *changed, sep="\n")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--only", type=lambda text: text.split(","), default=list(TESTS), metavar="MODULES")
    asked.add_argument("--again", action="store_true")
    asked.add_argument("--every", type=int, default=1, metavar="N")
    asked.add_argument("--jobs", type=int, default=2, metavar="N", help="so many mutants at a time")
    asked.add_argument("--results", action="store_true")
    options = asked.parse_args()
    folder = options.folder.resolve()
    if not options.results:
        if not (folder / "mutants").exists():
            folder.mkdir(parents=True, exist_ok=True)
            prepare(folder)
        else:
            copy_tests(folder)
        run(folder, options.only, again=options.again, every=options.every, jobs=options.jobs)
    results(folder)


if __name__ == "__main__":
    main()
