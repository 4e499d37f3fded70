"""Mutation testing of guard/margin with mutmut: how many planted faults do the tests of the room notice?

    python benchmarks/mutation.py FOLDER            # prepares a copy of the tree there and runs mutmut in it
    python benchmarks/mutation.py FOLDER --results  # prints the counts per file and every survivor

mutmut leaves functions with decorators alone. In the copy `@exact def f` is therefore written `f = exact(f)` behind the
function, which is the same program; and the property tests try fewer pools, always the same ones. docs/mutation.md has
the counts as measured and says why the survivors are no other program.
"""

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = """
[tool.mutmut]
source_paths = ["guard"]
only_mutate = ["guard/margin/*.py"]
also_copy = ["docs"]
pytest_add_cli_args = ["-x", "--hypothesis-seed=0", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = [{tests}]
"""
# They read files and commands, and say nothing that the others do not say of the model.
OTHER_TESTS = {"test_account_file.py", "test_calc_command.py"}
# Collecting hundreds of tests takes longer than running those that notice a fault.
FEWER = [
    (r"max_examples=\d+", "max_examples=12, derandomize=True"),
    (r'"seed", range\((\d+)(?:, \d+)?\)', r'"seed", range(\1, \1 + 4)'),
    (r"SEEDS = range\((\d+), \d+\)", r"SEEDS = range(\1, \1 + 4)"),
    (r"range\(0, \d+, (2 \* )?CHUNK\)", r"range(0, 2 * \1CHUNK, \1CHUNK)"),
]
STATES = {
    None: "not yet run",
    0: "survived",
    1: "killed",
    3: "killed",
    33: "not covered",
    24: "timed out",
    -24: "timed out",
    36: "timed out",
}
CAUGHT = {"killed", "timed out"}


def undecorated(source: str) -> str:
    """Return the same program with the decorators of functions written as assignments behind them."""
    lines = source.split("\n")
    found = [(node, None) for node in ast.parse(source).body]
    found += [(inner, node) for node, _ in found if isinstance(node, ast.ClassDef) for inner in node.body]
    for node, owner in sorted(found, key=lambda pair: -pair[0].lineno):
        if not isinstance(node, ast.FunctionDef) or not node.decorator_list:
            continue
        names = [ast.unparse(decorator) for decorator in node.decorator_list]
        if names == ["staticmethod"]:
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


def prepare(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".git")
    for name in ("guard", "tests/margin", "tests/golden", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(ROOT / "tests/conftest.py", folder / "tests")
    for path in (folder / "guard/margin").glob("*.py"):
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in (folder / "tests/margin").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for whole, few in FEWER:
            text = re.sub(whole, few, text)
        path.write_text(text, encoding="utf-8")
    tests = [path for path in sorted((folder / "tests/margin").glob("test_*.py")) if path.name not in OTHER_TESTS]
    settings = SETTINGS.format(tests=", ".join(f'"tests/margin/{path.name}"' for path in tests))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(project + settings, encoding="utf-8")


def results(folder: Path) -> None:
    counts: dict[str, Counter[str]] = {}
    survivors = []
    for path in sorted((folder / "mutants/guard/margin").glob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        counts[path.name.removesuffix(".meta")] = Counter(STATES.get(code, f"exit {code}") for code in codes.values())
        survivors += [key for key, code in codes.items() if STATES.get(code) not in CAUGHT | {"not yet run"}]
    total: Counter[str] = sum(counts.values(), Counter())
    for name, count in [*counts.items(), ("all", total)]:
        caught, every = sum(count[state] for state in CAUGHT), sum(count.values())
        if every:
            print(f"{name:20} {caught:5} of {every:5}  {caught / every:6.1%}  {dict(count)}")
    print("\n".join(survivors))


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--results", action="store_true")
    options = asked.parse_args()
    if options.results:
        results(options.folder)
        return
    prepare(options.folder)
    subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", "1"], cwd=options.folder, check=False)


if __name__ == "__main__":
    main()
