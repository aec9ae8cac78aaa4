"""The engine against the reference interpreter: the same definition in both, and what differs.

    python -m treadle.simulation.compare --count 50000 --seed 1

The engine runs once, its messages in a random order. The reference runs with as many seeds as it takes to explain what
the engine did, at most MOST_SAMPLES: only a value that none of them has is a difference. Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.durations import parse_duration
from ..core.errors import NotFound, TreadleError, WrongState
from ..definition import Checker
from ..tasks import Registry
from ..views import RunView
from .driver import MemoryEngine
from .generate import Case, Notebook, case
from .reference import Reference, Result
from .reference_values import ANY_TEXT
from .shrinking import shrunk

MOST_SAMPLES = 400
SHRINKING_SAMPLES = 200
SLACK_MS = 50_000  # the engine's timers may be late by that much, never early; generated durations are whole minutes

# What an engine with a fault raises in the middle of its work: such a one differs as well.
BREAKDOWNS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TreadleError, TypeError, ValueError)

Facts = dict[str, Any]  # what is compared, by name: `status`, `s1.output`, `log` ...


@dataclass(frozen=True)
class Difference:
    """`expected`: the values that the reference came to."""

    name: str
    expected: tuple[Any, ...]
    got: Any

    def __str__(self) -> str:
        shown = " or ".join(json.dumps(value) for value in self.expected[:4])
        return f"{self.name}: expected {shown or 'nothing'}, got {json.dumps(self.got)}"


# ------------------------------------------------------------------------------------------------- both sides as facts


def engine_facts(given: Case, seed: int) -> Facts:
    notebook = Notebook()
    engine = MemoryEngine(notebook.tasks(), seed=seed)
    for workflow in given.workflows:
        engine.register(workflow)
    run_id = engine.start(given.definition, given.input)
    begin = engine.now()
    refused = []
    for number, entry in sorted(enumerate(given.script), key=lambda one: parse_duration(one[1]["at"])):
        engine.advance(begin + parse_duration(entry["at"]))
        try:
            _act(engine, run_id, entry)
        except (NotFound, WrongState):
            refused.append(number)
    loops = set(_loops(given.definition))
    run = _rest(engine, run_id).model_dump(mode="json", by_alias=True)
    facts = _facts(run["status"], run["output"], _name(run["error"]), run["compensated"], notebook.labels.get(run_id, []), sorted(refused))
    if run["endedAt"]:
        facts["ended"] = _moment(run["endedAt"]) - begin
    for path, step in run["steps"].items():
        facts |= _step_facts(path, step["status"], step["output"], _name(step["error"]), None if _id(path) in loops else step["attempts"])
        if step["status"] in ("succeeded", "failed"):
            facts[f"{path}.ended"] = _moment(step["endedAt"]) - begin
    return facts


def _rest(engine: MemoryEngine, run_id: str) -> RunView:
    """At its end, or where it waits for ever."""
    try:
        return engine.wait(run_id)
    except TimeoutError:
        return engine.show(run_id)


def _act(engine: MemoryEngine, run_id: str, entry: Mapping[str, Any]) -> None:
    match entry["do"]:
        case "signal":
            engine.signal(run_id, entry["name"], entry["payload"])
        case "approve":
            engine.approve(run_id, entry["step"], by=entry["by"])
        case "reject":
            engine.reject(run_id, entry["step"], by=entry["by"])
        case "decide":
            output = entry["output"] if entry["choice"] == "skip" else None
            engine.decide(run_id, entry["step"], entry["choice"], output=output)
        case "cancel":
            engine.cancel(run_id)
        case "pause":
            engine.pause(run_id)
        case "resume":
            engine.resume(run_id)


def reference_facts(given: Case, seed: int) -> tuple[Facts, Result]:
    notebook = Notebook()
    result = Reference(Registry.load(notebook.tasks(), plugins=False), given.workflows).run(
        given.definition, given.input, seed=seed, script=given.script
    )
    log = notebook.labels.get("run", [])
    facts = _facts(result.status, result.output, result.error, result.compensated, log, sorted(result.refused))
    if result.status not in ("waiting", "paused"):
        facts["ended"] = result.elapsed_ms
    loops = set(_loops(given.definition))
    for path, record in result.steps.items():
        facts |= _step_facts(path, record.status, record.output, record.error, None if _id(path) in loops else record.attempts)
        if record.status in ("succeeded", "failed") and record.ended_at is not None:
            facts[f"{path}.ended"] = record.ended_at - (result.ended_at - result.elapsed_ms)
    return facts, result


def _facts(status: str, output: Any, error: str | None, compensated: bool | None, log: list[Any], refused: list[int]) -> Facts:
    facts: Facts = {"status": status, "error": error, "log": log, "refused": refused}
    if status not in ("failed", "timedOut"):  # what else has an error is not said
        del facts["error"]
    if status == "succeeded":
        facts["output"] = output
    if status == "failed":
        facts["compensated"] = bool(compensated)
    return facts


def _step_facts(path: str, status: str, output: Any, error: str | None, attempts: int | None) -> Facts:
    """A step that never started may be shown as skipped or not at all, one that never ends in more than one way.

    `attempts`: None for a loop, which has none of its own."""
    if status in ("skipped", "pending", "queued", "running", "waiting"):
        return {}
    facts: Facts = {f"{path}.status": status}
    if status == "succeeded":
        facts |= {f"{path}.output": output}
    if status == "failed":
        facts |= {f"{path}.error": error}
    if attempts is not None and status != "cancelled" and error != "ExpressionError":
        facts[f"{path}.attempts"] = attempts
    return facts


def _loops(scope: Mapping[str, Any]) -> Iterator[str]:
    for step in scope["steps"]:
        if "forEach" in step or "repeat" in step:
            yield step["id"]
        if "group" in step:
            yield from _loops(step["group"])


def _id(path: str) -> str:
    """`s3` of `s1[2].s3`, but `s3[0]` of `s3[0]`: an item has attempts."""
    return path.rpartition(".")[2]


def _name(error: Mapping[str, Any] | None) -> str | None:
    return error["name"] if error else None


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# ----------------------------------------------------------------------------------------------------------- comparing


def is_same(name: str, expected: Any, got: Any) -> bool:
    if name.endswith("ended"):
        return (got is None and expected is None) or (got is not None and expected is not None and expected <= got <= expected + SLACK_MS)
    if name.endswith(".attempts") and expected == 0:
        return True  # whether a step that failed before its action has made an attempt is not said
    return _is_equal(expected, got)


def _is_equal(expected: Any, got: Any) -> bool:
    if expected == ANY_TEXT:
        return isinstance(got, str)
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(_is_equal(expected[key], got[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(_is_equal, expected, got))
    return isinstance(expected, bool) == isinstance(got, bool) and bool(expected == got)


def differences(given: Case, seed: int, most_samples: int = MOST_SAMPLES) -> list[Difference]:
    """What no order of what happens at one instant explains."""
    samples: list[Facts] = []
    facts: Facts | None = None
    open_names: set[str] = set()
    for number in range(most_samples):
        expected, result = reference_facts(given, number)
        if result.doubts:
            return []
        samples.append(expected)
        if facts is None:
            facts = engine_facts(given, seed)
            open_names = facts.keys() | expected.keys()
        open_names = {name for name in open_names if not is_same(name, expected.get(name), facts.get(name))}
        if not open_names:
            return []
    got = facts or {}
    if any(entry["do"] == "pause" for entry in given.script):
        # A pause does not say when what ends meanwhile is noticed.
        open_names = {name for name in open_names if name != "refused" and not name.endswith("ended")}
    found = [Difference(name, _distinct(sample.get(name) for sample in samples), got.get(name)) for name in sorted(open_names)]
    return [one for one in found if not _is_other_order(one)]


def _distinct(values: Iterator[Any]) -> tuple[Any, ...]:
    return tuple(json.loads(text) for text in dict.fromkeys(json.dumps(value) for value in values))


def _is_other_order(one: Difference) -> bool:
    """A log that no sample had: allowed if each step is in it as often as in some sample, and each two in an order that some sample had."""
    if one.name != "log":
        return False
    got, logs = _numbered(one.got), [_numbered(log) for log in one.expected]
    labels = {label for log in [one.got, *one.expected] for label in log}
    if any(all(log.count(label) != one.got.count(label) for log in one.expected) for label in labels):
        return False
    pairs = [(a, b) for at, a in enumerate(got) for b in got[at + 1 :]]
    return not any(_is_always_the_other_way(a, b, logs) for a, b in pairs)


def _is_always_the_other_way(a: str, b: str, logs: Sequence[Sequence[str]]) -> bool:
    both = [log for log in logs if a in log and b in log]
    return bool(both) and all(log.index(b) < log.index(a) for log in both)


def _numbered(log: Sequence[str]) -> list[str]:
    """A step that a group runs twice is written down twice: `s1.s2 1`, `s1.s2 2`."""
    return [f"{label} {log[: at + 1].count(label)}" for at, label in enumerate(log)]


@dataclass(frozen=True)
class Compared:
    """What came of the definition with this number. `breakdown`: how the engine broke, if it did."""

    number: int
    case: Case
    found: tuple[Difference, ...] = ()
    breakdown: str | None = None

    @property
    def differs(self) -> bool:
        return bool(self.found or self.breakdown)

    def __str__(self) -> str:
        told = json.dumps({"definition": self.case.definition, "script": self.case.script, "input": self.case.input})
        lines = [self.breakdown] if self.breakdown else [str(one) for one in self.found]
        return "\n  ".join([f"--one {self.number}: {told}", *lines])


def compare(number: int, given: Case | None = None, most_samples: int = MOST_SAMPLES) -> Compared:
    """`given`: another case than the one with this number (a smaller one); the number still seeds the order of messages."""
    given = given or case(number)
    try:
        return Compared(number, given, tuple(differences(given, number, most_samples)))
    except BREAKDOWNS as error:
        return Compared(number, given, breakdown=f"{type(error).__name__}: {error}")


def smallest(one: Compared, valid: Checker) -> Compared:
    """The same difference, or another, in as small a definition as was found."""
    given = shrunk(one.case, valid, lambda smaller: compare(one.number, smaller, SHRINKING_SAMPLES).differs)
    return compare(one.number, given)


# ------------------------------------------------------------------------------------------------------------- command


def checker() -> Checker:
    engine = MemoryEngine(Notebook().tasks())
    return Checker(engine.tasks, engine.world.expressions)


def main() -> int:
    options = argparse.ArgumentParser(description="the engine against the reference interpreter")
    options.add_argument("--count", type=int, default=1000, help="definitions to compare")
    options.add_argument("--seed", type=int, default=0, help="of the definitions' numbers")
    options.add_argument("--one", type=int, metavar="NUMBER", help="only this definition, as a difference names it")
    options.add_argument("--stop-after", type=int, default=10, metavar="N", help="differences to look for")
    chosen = options.parse_args()

    numbers = random.Random(chosen.seed)
    wanted = [chosen.one] if chosen.one is not None else [numbers.getrandbits(48) for _ in range(chosen.count)]
    valid = checker()
    begin = time.perf_counter()
    done = found = 0
    for number in wanted:
        compared = compare(number)
        done += 1
        if compared.differs:
            found += 1
            print(smallest(compared, valid), flush=True)
        if found >= chosen.stop_after:
            break
        if done % 1000 == 0:
            print(f"{done} compared, {found} differ", file=sys.stderr, flush=True)
    print(f"{done} compared, {found} differ; {done / (time.perf_counter() - begin):.0f} a second")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
