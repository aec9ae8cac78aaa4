"""A sentence of the language page as a case: a definition as users write it, what people do meanwhile, and what comes of it.

Law: a case says only what the language promises, so it holds in whatever order messages are delivered. Every case runs in
memory, once for each of `WAYS`; those that need no hold on time run on the whole local stack as well.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from textwrap import dedent
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.model import Json
from treadle.engine import Settings
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.views import RunView

ANY: Any = object()  # not looked at

Act = tuple[Any, ...]  # (when, verb, what else it needs); when: a status of the run, seconds since its start, or None: at once


@dataclass(frozen=True)
class Case:
    """`text`: a document; `id`, `name` and `version` are added. `others`: definitions that are registered first, each with its `id`.

    `acts`: what people do, in order. `error` is an error's name; of steps, by path: `steps` says how they ended, `outputs`
    what they gave, `attempts` how often they tried, `errors` the names of their errors; `absent` are paths that nobody
    ever sees. `took`: seconds of the engine's clock (or the least and the most). `log`: what the task `note` was told, in
    order; `logged`: the same in any order. `broken`: by way, a fault of the engine that is known: expected to fail.
    """

    id: str
    text: str
    input: Json = None
    others: Sequence[str] = ()
    acts: Sequence[Act] = ()
    status: str = "succeeded"
    output: Json = ANY
    error: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, str | None] = field(default_factory=dict)
    absent: Sequence[str] = ()
    took: float | tuple[float, float] | None = None
    log: Sequence[Json] | None = None
    logged: Sequence[Json] | None = None
    compensated: Any = ANY
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """How messages go: `seed` None is first come first served, otherwise any of those that could be delivered is next."""

    seed: int | None = None
    advance: str = "inline"


WAYS = {"in order": Way(), "in any order": Way(seed=7), "by the bus": Way(seed=42, advance="bus")}


def each_way(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Parametrises `case` and `way`."""
    found = list(cases)
    assert len({case.id for case in found}) == len(found), "two cases of one name"
    marked = [
        pytest.param(case, way, id=f"{case.id}, {name}", marks=_known_fault(case.broken.get(name)))
        for case in found
        for name, way in WAYS.items()
    ]
    return pytest.mark.parametrize(("case", "way"), marked)


def _known_fault(reason: str | None) -> list[pytest.MarkDecorator]:
    return [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]


# ------------------------------------------------------------------------------------------------ definitions


def definition(text: str) -> str:
    """A whole document of a case's text."""
    body = dedent(text).strip("\n")
    head = [f"{key}: {value}\n" for key, value in (("id", "case"), ("name", "Case"), ("version", "1.0.0")) if f"{key}: " not in _top(body)]
    return "".join(head) + body + "\n"


def _top(body: str) -> list[str]:
    """The beginnings of the lines that are not indented."""
    return [line.partition(" ")[0] + " " for line in body.splitlines() if not line.startswith(" ")]


# ------------------------------------------------------------------------------------------------ tasks


@dataclass
class Work:
    """The tasks of the cases, and what they were told. One for each engine."""

    log: list[Json] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # idempotency keys of `note`, one for each call
    calls: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tasks(self) -> list[Any]:
        @task
        def note(given: Any, context: TaskContext) -> Json:
            """Writes its label down; its result is `value`, or the label."""
            with self.lock:
                self.log.append(given["label"])
                self.keys.append(context.idempotency_key)
            return given.get("value", given["label"])

        @task
        def note_and_fail(given: Any) -> Json:
            with self.lock:
                self.log.append(given["label"])
            raise TaskError(given.get("error", "Boom"), str(given["label"]))

        @task
        def boom(given: Any) -> Json:
            raise TaskError(given.get("error", "Boom"), given.get("message", "boom"), given.get("details"), given.get("permanent", False))

        @task
        def flaky(given: Any, context: TaskContext) -> Json:
            """Fails its first `fails` attempts; then gives the number of the attempt, or `value`."""
            if context.attempt <= given["fails"]:
                raise TaskError(given.get("error", "Flaky"), f"attempt {context.attempt}")
            return given.get("value", context.attempt)

        @task
        def nth(given: Any, context: TaskContext) -> int:
            """How often this run has called it with this key; fails the first `fails` calls."""
            with self.lock:
                self.calls[f"{context.run_id} {given['key']}"] += 1
                count = self.calls[f"{context.run_id} {given['key']}"]
            if count <= given.get("fails", 0):
                raise TaskError(given.get("error", "NotYet"), f"call {count}")
            return count

        @task
        def stuck(_: Any) -> None:
            """Until the engine is put away."""
            self.released.wait(60)

        @task
        def crash(given: Any) -> Json:
            raise ZeroDivisionError("crash")

        @task
        def blow(given: Any) -> str:
            """A text of so many characters."""
            return str(given.get("char", "x")) * int(given["size"])

        @task
        def whoami(_: Any, context: TaskContext) -> Json:
            return {"step": context.step_id, "attempt": context.attempt}

        @task
        def nan(_: Any) -> float:
            return float("nan")

        @task
        def no_json(_: Any) -> object:
            return object()

        @task(permanent=("CardDeclined",))
        def decline(_: Any) -> None:
            raise TaskError("CardDeclined", "no")

        return [note, note_and_fail, boom, flaky, nth, stuck, crash, blow, whoami, nan, no_json, decline]


# ------------------------------------------------------------------------------------------------ playing a case


def play(case: Case, way: Way) -> None:
    """In memory, from start to end; then what came of it."""
    work = Work()
    engine = MemoryEngine(work.tasks(), seed=way.seed, settings=Settings(advance=way.advance))
    try:
        for other in case.others:
            engine.register(definition(other))
        run_id = engine.start(definition(case.text), case.input)
        began = engine.now()
        for when, *act in case.acts:
            if isinstance(when, str):
                engine.wait(run_id, when)
            elif when is not None:
                engine.advance(began + round(when * 1000))
            follow(engine, run_id, *act)
        rests = case.status in ("waiting", "paused")
        run = engine.wait(run_id, case.status if rests else None)
    finally:
        work.released.set()
    agree(case, run, work)


def agree(case: Case, run: RunView, work: Work, *, slack: float = 0) -> None:
    """Fails with every difference. `slack`: seconds that the run may have taken longer, where the clock goes on by itself."""
    if found := differences(case, run, work, slack):
        pytest.fail("\n".join(found), pytrace=False)


def follow(engine: Any, run_id: str, verb: str, *args: Any, **kwargs: Any) -> None:
    """One act of a person."""
    match verb, args:
        case "signal", (name, *payload):
            engine.signal(run_id, name, *payload)
        case (("approve" | "reject"), (step, by, *comment)):
            getattr(engine, verb)(run_id, step, by=by, comment=comment[0] if comment else None)
        case "decide", (step, choice, *more):
            engine.decide(run_id, step, choice, **(more[0] if more else {}))
        case "retry", _:
            _retry(engine, run_id, *args)
        case (("cancel" | "pause" | "resume"), ()):
            getattr(engine, verb)(run_id)
        case _:
            raise ValueError(f"nobody can do {verb} {args}")


def _retry(engine: Any, run_id: str, from_step: str | None = None, given: Json = None) -> None:
    if isinstance(engine, MemoryEngine):
        engine.operations.retry(TENANT, run_id, from_step=from_step, input=given)
    else:
        engine.retry(run_id, from_step, input=given)


# ------------------------------------------------------------------------------------------------ what came of it


def differences(case: Case, run: RunView, work: Work, slack: float) -> list[str]:
    """Where the run is not as the case says."""
    found = [*_of_run(case, run), *_of_steps(case, run)]
    found += _unequal("log", case.log, work.log) if case.log is not None else []
    found += _unequal("logged", sorted(case.logged, key=str), sorted(work.log, key=str)) if case.logged is not None else []
    if case.took is not None and run.ended_at:
        least, most = case.took if isinstance(case.took, tuple) else (case.took, case.took)
        took = seconds_between(run.started_at, run.ended_at)
        found += [] if least <= took <= most + slack else [f"took: {case.took} s expected, {took} s"]
    return found


def _of_run(case: Case, run: RunView) -> list[str]:
    told = f" ({run.error})" if run.error else ""
    found = [] if run.status == case.status else [f"status: {case.status} expected, {run.status}{told}"]
    found += _unequal("error", case.error, (run.error or {}).get("name"))
    found += _unequal("output", case.output, run.output) if case.output is not ANY else []
    return found + (_unequal("compensated", case.compensated, run.compensated) if case.compensated is not ANY else [])


def _of_steps(case: Case, run: RunView) -> list[str]:
    found = [f"{path} is there" for path in case.absent if path in run.steps]
    for what, wanted in (("status", case.steps), ("output", case.outputs), ("attempts", case.attempts), ("error", case.errors)):
        for path, value in wanted.items():
            if path not in run.steps:
                found.append(f"{path} is not there")
                continue
            got = getattr(run.steps[path], what)
            found += _unequal(f"{path}.{what}", value, (got or {}).get("name") if what == "error" else got)
    return found


def _unequal(what: str, wanted: Json, got: Json) -> list[str]:
    return [] if same(wanted, got) else [f"{what}: {brief(wanted)} expected, {brief(got)}"]


def same(wanted: Json, got: Json) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return wanted.keys() == got.keys() and all(same(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(same, wanted, got))
    return isinstance(wanted, bool) == isinstance(got, bool) and bool(wanted == got)


def brief(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def seconds_between(began: str | None, ended: str | None) -> float:
    assert began is not None, "it never began"
    assert ended is not None, "it never ended"
    return (moment(ended) - moment(began)).total_seconds()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
