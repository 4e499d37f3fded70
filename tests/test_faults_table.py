"""docs/faults.md and docs/safety.md say which test shows what: every row once, every named test there."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
FAULTS = [f"F{number:02}" for number in range(1, 110)]
ROW = re.compile(r"^\| (F\d+) \| (.+?) \| (.+?) \| \*\*(covered|part|open|elsewhere)\*\*(.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@lru_cache
def _functions(path: Path) -> frozenset[str]:
    """Return what a file can be asked to show: its tests, and the stories that it lists for one to play."""
    tree = ast.parse(path.read_text())
    stories = {
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STORIES"
        for name in ast.walk(node.value)
        if isinstance(name, ast.Name)
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset({name for name in defined if name.startswith("test_") or name in stories})


def missing_tests(text: str) -> list[str]:
    """Return the tests that a text names and the tree does not have."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if not (TESTS / path).is_file() or name not in _functions(TESTS / path)
    ]


def odd_rows(text: str) -> list[str]:
    """Return the rows that claim something without showing it, or leave something open without its issue."""
    wrong = []
    for number, _, does, state, shown in ROW.findall(text):
        has_test, has_issue = bool(NAMED.search(shown)), "(issue " in does
        if (
            (state in {"covered", "part"} and not has_test)
            or (state in {"part", "open"} and not has_issue)
            or (state == "elsewhere" and not does.startswith("elsewhere: "))
        ):
            wrong.append(number)
    return wrong


def test_every_fault_has_its_row_once_and_in_order():
    assert [row[0] for row in ROW.findall((ROOT / "docs/faults.md").read_text())] == FAULTS


def test_a_row_shows_what_it_claims_and_names_the_issue_of_what_it_leaves_open():
    assert odd_rows((ROOT / "docs/faults.md").read_text()) == []


@pytest.mark.parametrize("document", ["docs/faults.md", "docs/safety.md"])
def test_every_test_that_a_document_names_is_there(document):
    text = (ROOT / document).read_text()
    assert NAMED.search(text)
    assert missing_tests(text) == []
    assert "::" not in NAMED.sub("", text).replace("name after `::`", ""), "a name that no test can be found by"


def test_a_row_or_a_name_that_is_wrong_is_noticed():
    assert missing_tests("`test_faults_table.py::test_that_nobody_wrote`") == [
        "test_faults_table.py::test_that_nobody_wrote"
    ]
    assert missing_tests("`daemon_e2e/daemon_kit.py::account`") == ["daemon_e2e/daemon_kit.py::account"]
    assert odd_rows("| F01 | a | b | **covered** |\n| F02 | a | b | **open** |\n| F03 | a | b | **elsewhere** |") == [
        "F01",
        "F02",
        "F03",
    ]
