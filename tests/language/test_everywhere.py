"""Every action and every modifier, in every construct that may hold it: each runs to its right end, and the language's interpreter agrees.

The rows are held against the models of the language: what is added there needs a row here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from treadle.definition import schema
from treadle.simulation.compare import checker, compare
from treadle.simulation.generate import Case
from treadle.simulation.notebook import CHILDREN, Notebook
from treadle.simulation.reference_values import ANY_TEXT
from treadle.testing import LocalEngine
from treadle.views import RunView

Steps = list[dict[str, Any]]

BOOM = {"error": "Boom"}
TWICE = {"maxAttempts": 2, "backoff": "fixed", "delay": "1m", "jitter": "none"}


@dataclass(frozen=True)
class Row:
    """A step `x` without its id, and how it ends: with `output`, with `error`, or `skipped`.

    `beside`: steps of its scope. `fails`: what comes after it does, so that it is undone; `is_undone`: and that succeeds. `act`: what a
    person does about it, once for each time that it runs."""

    step: Mapping[str, Any]
    output: Any = None
    error: str | None = None
    skipped: bool = False
    beside: tuple[Mapping[str, Any], ...] = ()
    fails: bool = False
    is_undone: bool = True
    act: str | None = None


def flaky(fails: Any) -> dict[str, Any]:
    return {"task": "flaky", "with": {"fails": fails, "error": "Red", "value": "done"}}


def undone_by(*, is_undone: bool = True, **undo: Any) -> Row:
    return Row({"set": 1, "compensate": undo}, 1, fails=True, is_undone=is_undone)


RECORD = {"task": "record", "with": {"v": "${input.n}"}}
RECORDED = {"v": 3}
INPUT = {"n": 3, "list": [1, 2, 3]}
P, Q, LATE = {"id": "p", "set": "p"}, {"id": "q", "set": "q"}, {"id": "r", "wait": "5m"}

ROWS = {
    "task": Row({"task": "echo"}, {}),
    "with": Row(RECORD, RECORDED),
    "set": Row({"set": ["${input.n + 1}"]}, [4]),
    "wait": Row({"wait": "1m"}),
    "signal": Row({"signal": {"name": "go"}}, "went", act="signal"),
    "approval": Row({"approval": {}}, {"decision": "approved", "by": "ann", "comment": "gut"}, act="approve"),
    "workflow": Row({"workflow": {"id": "child-adds", "input": {"n": "${input.n}"}}}, {"x": 4}),
    "emit": Row({"emit": {"type": "Happened", "detail": {"n": "${input.n}"}}}, ANY_TEXT),
    "fail": Row({"fail": BOOM}, error="Boom"),
    "switch": Row({"switch": [{"when": "input.n == 0", "then": []}, {"else": "p"}]}, {"chosen": ["p"]}, beside=(P,)),
    "group": Row({"group": {"steps": [{"id": "i", "set": "${input.n}"}, {"id": "j", "after": ["i"], "wait": "1m"}]}}, {"j": None}),
    "after": Row({"after": ["p"], "set": "${steps.p.output}"}, "p", beside=(P,)),
    "join": Row({"after": ["p", "q", "r"], "join": 2, "set": "${steps.r == null}"}, True, beside=(P, Q, LATE)),
    "when": Row({"when": "input.n == 0", "set": 1}, skipped=True),
    "forEach": Row({"forEach": "input.list", "set": "${item + index}"}, [1, 3, 5]),
    "maxConcurrency": Row({"forEach": "input.list", "maxConcurrency": 2, "wait": "1m"}, [None, None, None]),
    "tolerate": Row({"forEach": "[9, 0]", "tolerate": {"failures": 1}, **flaky("${item}")}, [None, "done"]),
    "repeat": Row({"repeat": {"until": "iteration == 2", "max": 4, "delay": "1m"}, "set": "${iteration}"}, 2),
    "retry": Row({**flaky(1), "retry": TWICE}, "done"),
    "timeout": Row({"wait": "60m", "timeout": "2m"}, error="Timeout"),
    "heartbeat": Row({"task": "later", "heartbeat": "2m", "timeout": "60m"}, error="HeartbeatTimeout"),
    "catch": Row({"fail": BOOM, "catch": [{"errors": ["Bo*"], "output": "${error.name}"}]}, "Boom"),
    "compensate": undone_by(task="revert", **{"with": {"step": "${output}"}}),
    "output": Row({"set": 1, "output": {"was": "${result}"}}, {"was": 1}),
    "cache": Row({**RECORD, "cache": {"key": "input.n", "ttl": "7d"}}, RECORDED),
    "priority": Row({**RECORD, "priority": "critical"}, RECORDED),
    "resources": Row({**RECORD, "resources": {"cpu": "1 vCPU", "memory": "512MB"}}, RECORDED),
    "concurrency": Row({**RECORD, "concurrency": {"key": "'all'", "limit": 1}}, RECORDED),
    "idempotent": Row({**RECORD, "idempotent": True}, RECORDED),
}

UNDOES = {
    "task": undone_by(task="revert", **{"with": {"step": "it"}}),
    "with": undone_by(task="revert", **{"with": {"step": "${output}"}}),
    "set": undone_by(set="${output}"),
    "wait": undone_by(wait="1m"),
    "workflow": undone_by(is_undone=False, workflow={"id": "child-breaks", "input": {"n": 1}}),
    "emit": undone_by(emit={"type": "Undone", "detail": {"was": "${output}"}}),
    "fail": undone_by(is_undone=False, fail={"error": "Red", "message": "${error.name}"}),
    "retry": undone_by(**flaky(1), retry=TWICE),
    "timeout": undone_by(is_undone=False, wait="60m", timeout="2m"),
    "resources": undone_by(**flaky(0), resources={"cpu": "1 vCPU"}),
}

TABLE = {**ROWS, **{f"compensate.{key}": row for key, row in UNDOES.items()}}

# Where `x` stands as a whole, and what a person names who does something about it.
PLACES = {
    "the top level": (["x"], ["x"]),
    "a group": (["g.x"], ["g.x"]),
    "an item": (["x"], ["x[0]", "x[1]"]),
    "an iteration": (["x"], ["x[0]", "x[1]"]),
    "a group of an item": (["g[0].x", "g[1].x"], ["g[0].x", "g[1].x"]),
    "a group of an iteration": (["g[0].x", "g[1].x"], ["g[0].x", "g[1].x"]),
    "a branch of a switch": (["x"], ["x"]),
    "the handler of a catch": (["x"], ["x"]),
    "a clean-up step": (["x"], ["x"]),
    "a child": ([], [""]),
}
LOOPS = ("an item", "an iteration")


def steps_in(place: str, row: Row) -> Steps:
    """The steps of the document, or of the child."""
    x: dict[str, Any] = {"id": "x", **row.step}
    after = [{"id": "z", "after": ["x"], "fail": BOOM}] if row.fails else []
    inner = [x, *map(dict, row.beside), *after]
    match place:
        case "a group":
            return [{"id": "g", "group": {"steps": inner}}]
        case "an item":
            x |= {"forEach": [1, 2], "maxConcurrency": 1}
        case "an iteration":
            x["repeat"] = {"until": "iteration == 1", "max": 3}
        case "a group of an item":
            return [{"id": "g", "forEach": [1, 2], "maxConcurrency": 1, "group": {"steps": inner}}]
        case "a group of an iteration":
            return [{"id": "g", "repeat": {"until": "iteration == 1", "max": 3}, "group": {"steps": inner}}]
        case "a branch of a switch":
            return [{"id": "route", "switch": [{"when": "input.n == 3", "then": "x"}]}, *inner]
        case "the handler of a catch":
            return [{"id": "broken", "fail": BOOM, "catch": [{"errors": ["*"], "then": "x"}]}, *inner]
        case "a clean-up step":
            x |= {"after": [*row.step.get("after", []), {"step": "broken", "on": "done"}], "join": row.step.get("join", "done")}
            return [{"id": "broken", "fail": BOOM}, *inner]
    return inner


def in_place(place: str, row: Row) -> Case:
    inner = document("inner", steps_in(place, row))
    script = tuple(acted(row.act, path, minutes) for minutes, path in enumerate(PLACES[place][1], 1) if row.act)
    if place != "a child":
        return Case(inner, INPUT, script, CHILDREN)
    inner["output"] = {"x": "${steps.x.output}"}
    if row.act:
        inner["steps"][0][row.act if row.act == "signal" else "approval"] |= {"timeout": "60m"}  # nobody does it for a child
    outer = document("outer", [{"id": "c", "workflow": {"id": "inner", "input": "${input}"}}])
    return Case(outer, INPUT, (), (inner, *CHILDREN))


def document(name: str, steps: Steps) -> dict[str, Any]:
    return {"id": name, "name": name, "version": "1.0.0", "errorHandling": {"onFailure": "compensate"}, "steps": steps}


def acted(act: str, path: str, minutes: int) -> dict[str, Any]:
    at = {"at": f"{minutes}m", "do": act}
    return {**at, "name": "go", "payload": "went"} if act == "signal" else {**at, "step": path, "by": "ann", "comment": "gut"}


NEVER_BEGAN: dict[str, Any] = {"status": None, "error": None, "output": None}


def is_there(place: str, row: Row) -> bool:
    """A loop of a loop is one of a group, and a switch chooses once."""
    return place not in LOOPS or not {"forEach", "repeat", "switch"} & row.step.keys()


EVERYWHERE = [(name, place) for name, row in TABLE.items() for place in PLACES if is_there(place, row)]
everywhere = pytest.mark.parametrize(("name", "place"), EVERYWHERE, ids=[f"{name} in {place}" for name, place in EVERYWHERE])


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(tasks=Notebook().tasks(), skip_time=True) as engine:
        for child in CHILDREN:
            engine.register(child)
        yield engine


@everywhere
def test_it_runs_to_its_right_end(name: str, place: str, engine: LocalEngine) -> None:
    """On the whole local stack."""
    row, given = TABLE[name], in_place(place, TABLE[name])
    run = ended(engine, given, f"{EVERYWHERE.index((name, place))}")
    error = ends_with(row, place)
    assert (run.status, (run.error or {}).get("name")) == (("failed", error) if error else ("succeeded", None))
    if place == "a child":
        assert run.steps["c"].status == run.status
        assert error or run.steps["c"].output == {"x": None if row.skipped else Whatever(row.output)}
        return
    assert run.compensated is (row.is_undone if error else None)
    undone = [(entry["path"], entry["status"]) for entry in engine.history(run.id) if entry["what"] == "UndoEnded"]
    assert undone == ([(PLACES[place][0][0], "succeeded" if row.is_undone else "failed")] if row.fails else [])
    for n, path in enumerate(PLACES[place][0]):
        assert x_seen(run, path) == x_in(row, place, is_first=n == 0), path


def ended(engine: LocalEngine, given: Case, suffix: str) -> RunView:
    """Each case has documents of its own."""
    text = json.dumps([given.definition, given.workflows[0]])
    for name in ("inner", "outer"):
        text = text.replace(f'"id": "{name}"', f'"id": "{name}-{suffix}"')
    definition, child = json.loads(text)
    engine.register(child)
    run_id = engine.start(definition, given.input)
    for entry in given.script:
        engine.wait(run_id, "waiting")
        if entry["do"] == "signal":
            engine.signal(run_id, entry["name"], entry["payload"])
        else:
            engine.approve(run_id, entry["step"], by=entry["by"], comment=entry["comment"])
    return engine.wait(run_id)


def x_seen(run: RunView, path: str) -> dict[str, Any]:
    step = run.steps.get(path)
    if step is None or step.status in ("skipped", "pending"):
        return NEVER_BEGAN
    return {"status": step.status, "error": (step.error or {}).get("name"), "output": step.output}


def ends_with(row: Row, place: str) -> str | None:
    """The run's error. Nobody sends a child its signal, or decides for it."""
    return "Timeout" if row.act and place == "a child" else "Boom" if row.fails else row.error


def x_in(row: Row, place: str, *, is_first: bool) -> dict[str, Any]:
    if row.skipped or (not is_first and (row.error or row.fails)):
        return NEVER_BEGAN
    if row.error:
        return {"status": "failed", "error": row.error, "output": None}
    is_list = place == "an item" and "catch" not in row.step
    output = [Whatever(row.output)] * 2 if is_list else Whatever(row.output)
    return {"status": "succeeded", "error": None, "output": output}


class Whatever:
    """Is equal to what an output may be: itself, or any text for an id that is made up."""

    def __init__(self, output: Any) -> None:
        self.output = output

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) if self.output == ANY_TEXT else bool(self.output == other)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return repr(self.output)


@everywhere
def test_the_interpreter_comes_to_the_same(name: str, place: str) -> None:
    given = in_place(place, TABLE[name])
    one = compare(7, given)
    assert not one.differs, str(one)


@pytest.mark.parametrize(
    ("name", "place"), [("switch", "an item"), ("switch", "an iteration"), ("repeat", "an item"), ("forEach", "an iteration")]
)
def test_what_no_loop_runs_is_refused(name: str, place: str) -> None:
    assert [fault.code for fault in checker().check(in_place(place, TABLE[name]).definition).errors] == ["bad-value"]


@pytest.mark.parametrize("action", [{"signal": {"name": "go"}}, {"approval": {}}], ids=["signal", "approval"])
def test_what_waits_for_somebody_undoes_nothing(action: dict[str, Any]) -> None:
    refused = in_place("the top level", undone_by(**action)).definition
    assert [fault.code for fault in checker().check(refused).errors]


def test_everything_that_a_step_may_say_has_a_row() -> None:
    assert ROWS.keys() == _keys("Step") - {"id"}
    assert UNDOES.keys() == _keys("Compensation") - {"signal", "approval"}
    assert all(name in row.step or name == "with" for name, row in ROWS.items())
    assert all(name in row.step["compensate"] for name, row in UNDOES.items())


def _keys(model: str) -> set[str]:
    return set(schema()["$defs"][model]["properties"])
