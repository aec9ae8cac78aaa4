"""The engine against the reference interpreter: the same definition in both, and what differs.

    python -m treadle.simulation.compare --count 50000 --seed 1

The engine runs once, its messages in a random order. The reference then goes through the order in which the engine did
things at each instant (`following`): all that the two come to must be the same, in one such order. What the engine's order
leaves open is tried by chance, at most MOST_SAMPLES times. Exit status 1 if there is any difference.
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
from .following import END, Trail
from .generate import Case, Notebook, case
from .reference import START_MS, Reference
from .reference_values import ANY_TEXT, Choices
from .shrinking import shrunk

MOST_SAMPLES = 40
FOLLOWING = 30  # so many samples follow the engine; the rest goes by chance alone
SLACK_MS = 50_000  # the engine's timers may be late by that much, never early; generated durations are whole minutes

# What an engine with a fault raises in the middle of its work: such a one differs as well.
BREAKDOWNS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TreadleError, TypeError, ValueError)

FOREVER = 1 << 60

Span = tuple[int, int]  # ms since the start
Facts = dict[str, Any]  # what is compared, by name: `status`, `s1.output`, `log` ...


@dataclass(frozen=True)
class Difference:
    """`expected`: what the reference came to, in the order of things in which the two differ least."""

    name: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.name}: expected {json.dumps(self.expected)}, got {json.dumps(self.got)}"


# ------------------------------------------------------------------------------------------------- both sides as facts


def engine_facts(given: Case, seed: int) -> tuple[Facts, Trail]:
    """What the engine came to, and the order in which it did."""
    notebook = Notebook()
    engine = MemoryEngine(Registry.load(notebook.tasks(), plugins=False), seed=seed)
    begin = engine.now()
    trail = Trail(engine.now, begin - START_MS)
    for workflow in given.workflows:
        engine.register(workflow)
    engine.cloud.store.wrote = trail.wrote
    run_id = engine.start(given.definition, given.input)
    refused = []
    for number, entry in sorted(enumerate(given.script), key=lambda one: parse_duration(one[1]["at"])):
        engine.advance(begin + parse_duration(entry["at"]))
        trail.note(f"!{number}", END)
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
    return facts, trail


def _rest(engine: MemoryEngine, run_id: str) -> RunView:
    """At its end, or where it waits for ever."""
    engine.rest()
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


def reference_facts(given: Case, seed: int, choices: Choices | None = None) -> Facts:
    notebook = Notebook()
    result = Reference(Registry.load(notebook.tasks(), plugins=False), given.workflows).run(
        given.definition, given.input, seed=seed, script=given.script, choices=choices
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
    return facts


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


def is_same(name: str, expected: Any, got: Any, paused: Sequence[Span] = ()) -> bool:
    """`paused`: when the run was. It is not said when the end of what was under way then is noticed, up to the run's going on."""
    if name.endswith("ended"):
        if got is None or expected is None:
            return got is expected
        is_open = any(begin <= expected <= end and begin <= got <= end + SLACK_MS for begin, end in paused)
        return is_open or bool(expected <= got <= expected + SLACK_MS)
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


def compare(number: int, given: Case | None = None) -> Compared:
    """`given`: another case than the one with this number (a smaller one); the number still seeds the order of messages."""
    given = given or case(number)
    try:
        facts, trail = engine_facts(given, number)
    except BREAKDOWNS as error:
        return Compared(number, given, breakdown=f"{type(error).__name__}: {error}")
    nearest: tuple[Difference, ...] = ()
    for sample in range(MOST_SAMPLES):
        expected = reference_facts(given, sample, trail if sample < FOLLOWING else None)
        found = tuple(_differing(expected, facts, _pauses(given)))
        if not found:
            return Compared(number, given)
        if not nearest or len(found) < len(nearest):
            nearest = found
    return Compared(number, given, nearest)


def _differing(expected: Facts, facts: Facts, paused: Sequence[Span]) -> Iterator[Difference]:
    for name in sorted(facts.keys() | expected.keys()):
        if not is_same(name, expected.get(name), facts.get(name), paused):
            yield Difference(name, expected.get(name), facts.get(name))


def _pauses(given: Case) -> list[Span]:
    acts = [(parse_duration(entry["at"]), entry["do"]) for entry in given.script]
    ends = [at for at, act in acts if act == "resume"]
    return [(at, min((end for end in ends if end >= at), default=FOREVER)) for at, act in acts if act == "pause"]


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

    @property
    def things(self) -> frozenset[str]:
        """`status`, `log` ...: of the run or of whichever steps."""
        return frozenset({"breakdown"} if self.breakdown else (one.name.rpartition(".")[2] for one in self.found))

    def __str__(self) -> str:
        told = json.dumps({"definition": self.case.definition, "script": self.case.script, "input": self.case.input})
        lines = [self.breakdown] if self.breakdown else [str(one) for one in self.found]
        return "\n  ".join([f"--one {self.number}: {told}", *lines])


def smallest(one: Compared, valid: Checker) -> Compared:
    """A difference in the same things, in as small a definition as was found."""
    things = one.things
    return compare(one.number, shrunk(one.case, valid, lambda smaller: compare(one.number, smaller).things == things))


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
    seconds = time.perf_counter() - begin
    print(f"{done} compared, {found} differ; {seconds:.0f} s, {done / seconds:.0f} a second")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
