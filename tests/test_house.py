"""The laws of the house that can be checked by reading: how the code is cut, what the core may touch, that the papers are true.

Each test gathers every breach, so that one failure shows the whole list.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("shared", "functions", "infra", "examples", "benchmarks")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def place(path: Path, line: int | None = None) -> str:
    return f"{path.relative_to(ROOT)}{f':{line}' if line else ''}"


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


# ---------------------------------------------------------------------------------------------------- how it is cut


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {place(path): text_of(path).count("\n") for path in sources(*SOURCES)}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    lengths = {
        f"{place(path, node.lineno)} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources(*SOURCES)
        for node in functions_of(path)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_every_source_file_opens_with_what_it_is() -> None:
    silent = [place(path) for path in sources(*SOURCES) if text_of(path).strip() and not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|NotImplemented" r"Error")
    assert list(lines_with(marks, sources(*SOURCES, "tests"))) == []


def test_no_test_replaces_code_under_the_codes_feet() -> None:
    assert list(lines_with(re.compile(r"mock\.pat" r"ch|Magic" r"Mock|unittest\.mo" r"ck"), sources("tests"))) == []


def test_no_test_sleeps() -> None:
    """Waiting for real time makes a test slow or flaky; the engine's clocks can be moved. Tasks under test may sleep, and
    whoever waits for another process has nothing but time."""
    tests = [path for path in sources("tests") if "ministack" not in path.parts]
    assert [place(path, line) for path in tests for line in calls_of(path, "sleep") if not in_task(path, line)] == []


TIMED = re.compile(r"assert\b.*\b(monotonic|perf_counter|process_time|time)\(\) - \w+ <|assert\b.*\btook(_s)? <")


def test_no_test_is_lost_to_a_slow_machine() -> None:
    """What takes how long is told by `treadle bench`; a test counts. Only what would take minutes of processor time in place of a
    second is held by its time."""
    files = [path for path in sources("tests") if path.name != "test_reading.py"]
    assert list(lines_with(TIMED, files)) == []


AROUND_TASKS = {
    "shared/treadle/deliveries.py",  # the dispatcher's own batch: what Powertools does for the other handlers
    "shared/treadle/engine/attempts.py",
    "shared/treadle/engine/outcome.py",
    "shared/treadle/hooks/__init__.py",  # whatever a hook does, the run goes on
    "shared/treadle/simulation/reference_steps.py",
    "shared/treadle/tasks/answering.py",  # a task as a Lambda of its own
    "shared/treadle/tasks/isolated.py",  # the end of a process that was forked for a task
}


def test_everything_is_caught_only_where_a_task_ends_and_where_lambda_ends() -> None:
    """Where a task's failure becomes a value (in the engine, and in the interpreter that it is compared with), and in the local
    runtime, which stands for Lambda and survives its functions. Anywhere else it would hide a fault of the engine."""
    broad = {
        place(path)
        for path in sources("shared", "functions")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node) and not reraises(node)
    }
    assert {name for name in broad if not name.startswith("shared/treadle/local/")} <= AROUND_TASKS


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if pattern.search(line):
                yield f"{place(path, number)} {line.strip()[:90]}"


def calls_of(path: Path, name: str) -> Iterator[int]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == name:
                yield node.lineno


def in_task(path: Path, line: int) -> bool:
    return any(
        node.lineno <= line <= (node.end_lineno or 0) and any("task" in ast.unparse(each) for each in node.decorator_list)
        for node in functions_of(path)
    )


def is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException"))


def reraises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


# ---------------------------------------------------------------------------------------------------- the core is pure

# fmt: off
PURE = {
    "__future__", "bisect", "calendar", "collections", "dataclasses", "datetime", "enum", "functools", "graphlib",
    "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "operator", "re", "types", "typing",
}
# fmt: on


def test_the_core_imports_nothing_that_could_tell_two_calls_apart() -> None:
    core = sources("shared/treadle/core")
    assert core
    impure = [f"{place(path, node.lineno)} {name}" for path in core for node, name in imports_of(path) if name.split(".")[0] not in PURE]
    assert impure == []


def test_the_core_never_asks_what_time_it_is() -> None:
    core = sources("shared/treadle/core")
    assert [place(path, line) for path in core for name in ("now", "utcnow", "today") for line in calls_of(path, name)] == []


def imports_of(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Absolute imports, and relative ones that leave the file's own package."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            yield node, "." * node.level + (node.module or "")


# ---------------------------------------------------------------------------------------------------- the papers are true

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def papers() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def anchors_of(path: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in papers():
        for target in LINK.findall(FENCE.sub("", text_of(page))):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors_of(there)):
                broken.append(f"{place(page)} -> {target}")
    assert broken == []


def test_every_make_target_that_is_written_about_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {(name, place(page)) for page in papers() for name in re.findall(r"`make ([a-z]+)", text_of(page))}
    assert {(name, page) for name, page in named if name not in targets} == set()


def test_every_path_that_is_written_about_exists() -> None:
    """`shared/treadle/core/advance.py` and the like, in backquotes."""
    shape = re.compile(r"`((?:shared|functions|infra|events|tests|docs|examples|benchmarks)/[\w./-]+)`")
    assert [f"{place(page)} -> {name}" for page in papers() for name in shape.findall(text_of(page)) if not (ROOT / name).exists()] == []


def test_decisions_say_what_why_and_what_follows() -> None:
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    numbers = [path.name[:4] for path in records]
    assert numbers == [f"{n:04d}" for n in range(1, len(records) + 1)]
    missing = [
        f"{place(path)}: {part}"
        for path in records
        for part in ("# ", "## Context", "## Decision", "## Consequences")
        if part not in text_of(path)
    ]
    assert missing == []


# ---------------------------------------------------------------------------------------------------- what is installed


@pytest.mark.parametrize("lock", ["runtime", "local", "dev"])
def test_a_lock_pins_and_hashes_everything_and_names_no_index(lock: str) -> None:
    text = text_of(ROOT / f"requirements/{lock}.txt")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip(), flags=re.IGNORECASE)
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)


def test_locks_agree_with_each_other() -> None:
    pins = {lock: dict(pins_of(ROOT / f"requirements/{lock}.txt")) for lock in ("runtime", "local", "dev")}
    assert pins["runtime"].items() <= pins["local"].items() <= pins["dev"].items()


def pins_of(path: Path) -> Iterator[tuple[str, str]]:
    for name, version in re.findall(r"^([A-Za-z0-9_.\[\]-]+)==([^\s;]+)", text_of(path), re.MULTILINE):
        yield name.lower(), version


HEAVY = ("pydantic", "yaml", "jsonschema", "click", "moto", "aws_cdk", "aws_lambda_powertools.event_handler")


def test_the_dispatcher_starts_without_what_only_readers_of_definitions_need() -> None:
    loaded = f"import sys, functions.dispatcher.handler; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
