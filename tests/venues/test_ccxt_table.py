"""docs/ccxt.md names for each of ccxt's traps the test that catches it, and what was put in to see it fail."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs/ccxt.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def wrong(text):
    """Return the rows with a gap in them, and the tests that are not there."""
    found = []
    for row in rows(text):
        if len(row) != 4 or not all(row) or not NAMED.search(row[2]):
            found.append(row[0])
            continue
        found += [f"{path}::{name}" for path, name in NAMED.findall(row[2]) if name not in _tests_of(path)]
    return found


def _tests_of(path):
    file = TESTS / path
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module(body=[])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_trap_has_what_guard_does_a_test_that_is_there_and_a_fault():
    text = TABLE.read_text()
    assert len(rows(text)) >= 30
    assert wrong(text) == []


def test_a_trap_without_its_test_is_noticed():
    head = "| trap | does | shown | fault |\n|---|---|---|---|\n"
    assert wrong(head + "| a | b | `venues/test_ccxt_table.py::test_that_nobody_wrote` | c |") == [
        "venues/test_ccxt_table.py::test_that_nobody_wrote"
    ]
    assert wrong(head + "| a | b | nothing | c |") == ["a"]
    assert wrong(head + "| a | b | `nowhere.py::test_of_no_file` | c |") == ["nowhere.py::test_of_no_file"]
