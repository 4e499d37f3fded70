"""The house rules that no linter knows, each as a function of one file: path and text in, complaints out.

They take text, so that each can be seen failing on a planted fault. `RULES` is run over the tree by test_house.py.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
WORDS_THAT_SAY_NOTHING = frozenset({"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"})
PURE_ROOMS = ("guard/snapshot/", "guard/margin/", "guard/outlook/", "guard/policy/")
EXACT_ROOMS = ("guard/snapshot/", "guard/margin/", "guard/policy/", "guard/top_up")
MONEY_ROOMS = ("guard/venues/", "guard/top_up", "guard/demo/")

# Where a failure of any kind may end. Everywhere else a broad `except` hands it on.
LAST_STOPS = {
    "guard/cli/__init__.py": "our own bug gets its own exit status",
    "guard/daemon/": "a bug in judging one account must not stop watching the others",
    "guard/notify/delivery.py": "a bug over one message must not silence its channel",
    "guard/venues/lazy_ccxt.py": "whatever the lazy import stumbles over, the plain one does not",
    "tests/canary_scan.py": "what the scan stumbles over must not fail the test that it looks at",
}
# Calls that no rule of ours allows, but for these places.
ALLOWED_CALLS = {("guard/venues/lazy_ccxt.py", "exec")}  # It runs ccxt's own __init__, without the imports of others.
FORBIDDEN_CALLS = frozenset({"eval", "exec", "os.system", "os.popen", "yaml.load", "ssl._create_unverified_context"})
FORBIDDEN_IMPORTS = frozenset({"pickle", "marshal", "shelve", "dill"})
FORBIDDEN_ARGUMENTS = {
    "shell": True,
    "trust_env": True,
    "verify": False,
    "verify_ssl": False,
    "ssl": False,
    "check_hostname": False,
}
CLOCKS = frozenset({"now", "utcnow", "today", "monotonic", "perf_counter"})

# A participle that does not end in -ed, or a state that a log event may also name.
_PARTICIPLE = re.compile(
    r"(ed|made|held|read|lost|sent|met|built|broken|found|begun|gone|kept|left|shown|taken|told|spent|cut)$|^un\w+able$"
)
_EVENT = re.compile(r"^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$")
_HOME_DIRECTORY = re.compile(r"(?<![\w.~-])/(?:root|home/\w+|Users/\w+|work(?:space)?|tmp/\w+)/\w")

Complaints = Iterator[str]
Rule = Callable[[str, str], Complaints]


@lru_cache(maxsize=512)
def _tree(source: str) -> ast.Module:
    return ast.parse(source)


def _functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def short_files(path: str, source: str) -> Complaints:
    lines = source.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{path}: {lines} lines, at most {FILE_LINES_MAX}"


def short_functions(path: str, source: str) -> Complaints:
    for function in _functions(source):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{path}:{function.lineno}: {function.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def telling_names(path: str, source: str) -> Complaints:
    stem = path.rsplit("/", 1)[-1].removesuffix(".py").replace("service_manager", "")  # systemd's name for itself.
    if WORDS_THAT_SAY_NOTHING & set(stem.split("_")):
        yield f"{path}: a file is named for what it is about"
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?)$", node.name):
            yield f"{path}:{node.lineno}: {node.name}: a class is named for what it is"


def no_dangerous_calls(path: str, source: str) -> Complaints:
    for call in _calls(_tree(source)):
        name = _dotted(call.func)
        if name in FORBIDDEN_CALLS and (path, name) not in ALLOWED_CALLS:
            yield f"{path}:{call.lineno}: {name}()"
        for keyword in call.keywords:
            value = keyword.value
            forbidden = FORBIDDEN_ARGUMENTS.get(keyword.arg or "")
            if forbidden is not None and isinstance(value, ast.Constant) and value.value is forbidden:
                yield f"{path}:{call.lineno}: {keyword.arg}={value.value}"


def no_dangerous_imports(path: str, source: str) -> Complaints:
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.split(".")[0] in FORBIDDEN_IMPORTS:
                yield f"{path}:{node.lineno}: import {name}: it runs what it reads"


def pure_rooms_stay_pure(path: str, source: str) -> Complaints:
    if not path.startswith(PURE_ROOMS):
        return
    waiting = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
    for node in ast.walk(_tree(source)):
        if isinstance(node, waiting):
            yield f"{path}:{node.lineno}: a pure room does not wait"
        elif isinstance(node, ast.Call) and (name := _dotted(node.func)):
            if name in {"print", "open", "input"}:
                yield f"{path}:{node.lineno}: {name}() in a pure room"
            elif name.rsplit(".", 1)[-1] in CLOCKS:
                yield f"{path}:{node.lineno}: {name}(): in a pure room `now` is an argument"


def money_is_decimal(path: str, source: str) -> Complaints:
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Call) and _dotted(node.func) == "Decimal" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, float):
                yield f"{path}:{node.lineno}: Decimal of a float: write it as a string"
        if not path.startswith(EXACT_ROOMS):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{path}:{node.lineno}: the float {node.value} where amounts are exact"
        elif isinstance(node, ast.Call) and _dotted(node.func) == "float":
            yield f"{path}:{node.lineno}: float() where amounts are exact"


def broad_excepts_hand_on(path: str, source: str) -> Complaints:
    if any(path.startswith(stop) for stop in LAST_STOPS):
        return
    raised_after = {  # `failure = ...` in the handler, `raise failure` behind it: nothing foreign hangs on the error.
        first
        for function in _functions(source)
        for first, second in pairwise(function.body)
        if isinstance(first, ast.Try) and isinstance(second, ast.Raise)
    }
    for node in ast.walk(_tree(source)):
        for handler in node.handlers if isinstance(node, ast.Try) and node not in raised_after else []:
            if _is_broad(handler.type) and not isinstance(handler.body[-1], ast.Raise):
                yield f"{path}:{handler.lineno}: failures of any kind end here; only {', '.join(LAST_STOPS)} may do that"


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each) for each in caught.elts)
    return caught is None or _dotted(caught) in {"Exception", "BaseException"}


def money_moves_in_few_rooms(path: str, source: str) -> Complaints:
    if not path.startswith("guard/") or path.startswith(MONEY_ROOMS):
        return
    for node in ast.walk(_tree(source)):
        if _called(node) == "add_margin":
            yield f"{path}:{node.lineno}: add_margin() is called in {', '.join(MONEY_ROOMS)} only"
    for number, line in enumerate(source.splitlines(), start=1):
        if re.search(r"positionMargin", line, re.IGNORECASE):
            yield f"{path}:{number}: the exchange's words for moving margin stand in {', '.join(MONEY_ROOMS)} only"


def events_are_noun_and_participle(path: str, source: str) -> Complaints:
    for call in _calls(_tree(source)):
        function = call.func
        if not (isinstance(function, ast.Attribute) and _is_log_method(function) and call.args):
            continue
        event = call.args[0]
        if not (isinstance(event, ast.Constant) and isinstance(event.value, str)):
            yield f"{path}:{call.lineno}: a log event is a constant; facts are keys"
        elif not _is_event(event.value):
            yield f"{path}:{call.lineno}: the log event {event.value!r} is not `noun.verb_past`"


def _is_log_method(function: ast.Attribute) -> bool:
    levels = {"debug", "info", "warning", "error", "critical", "exception"}
    return function.attr in levels and _dotted(function.value).rsplit(".", 1)[-1] in {"log", "_log", "logger"}


def _is_event(event: str) -> bool:
    return bool(_EVENT.match(event)) and any(_PARTICIPLE.search(word) for word in event.split(".")[1].split("_"))


def no_path_of_a_machine(path: str, source: str) -> Complaints:
    for number, line in enumerate(source.splitlines(), start=1):
        if found := _HOME_DIRECTORY.search(line):
            yield f"{path}:{number}: {found[0]}...: a path of somebody's machine"


def tests_can_fail(path: str, source: str) -> Complaints:
    for function in _functions(source):
        if not function.name.startswith("test_"):
            continue
        if not any(_can_fail(node, source) for node in ast.walk(function)):
            yield f"{path}:{function.lineno}: {function.name} asserts nothing"
        for node in ast.walk(function):
            if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant | ast.Tuple | ast.JoinedStr):
                yield f"{path}:{node.lineno}: this assert is decided before it runs"


def _can_fail(node: ast.AST, source: str) -> bool:
    return (
        isinstance(node, ast.Assert | ast.Raise) or _called(node) in _asserting(source) or _is_assertion(_called(node))
    )


def _called(node: ast.AST) -> str:
    return _dotted(node.func).rsplit(".", 1)[-1] if isinstance(node, ast.Call) else ""


def _is_assertion(name: str) -> bool:
    return name in {"raises", "warns", "fail"} or name.startswith("assert_")


@lru_cache(maxsize=512)
def _asserting(source: str) -> frozenset[str]:
    """Return the functions of a test file, other than tests, that assert, themselves or through one another."""
    others = [function for function in _functions(source) if not function.name.startswith("test_")]
    found: frozenset[str] = frozenset()
    while True:
        more = frozenset(
            function.name
            for function in others
            if any(isinstance(node, ast.Assert) or _called(node) in found for node in ast.walk(function))
        )
        if more == found:
            return found
        found = more


def tests_are_sentences(path: str, source: str) -> Complaints:
    for function in _functions(source):
        if function.name.startswith("test_") and len(function.name.split("_")) < 4:
            yield f"{path}:{function.lineno}: {function.name}: the name of a test is a sentence about the guard"


OF_PYTHON: tuple[Rule, ...] = (
    short_files,
    short_functions,
    telling_names,
    no_dangerous_calls,
    no_dangerous_imports,
    pure_rooms_stay_pure,
    money_is_decimal,
    broad_excepts_hand_on,
    money_moves_in_few_rooms,
    events_are_noun_and_participle,
)
OF_TESTS: tuple[Rule, ...] = (tests_can_fail, tests_are_sentences)
OF_EVERY_TEXT: tuple[Rule, ...] = (no_path_of_a_machine,)
