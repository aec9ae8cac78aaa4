"""The reference interpreter by itself: sentences of the language page that it must know, whatever the seed.

The oracle is judged here, by hand-made cases, before it judges the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from treadle.core.moments import rfc3339
from treadle.simulation.notebook import Notebook
from treadle.simulation.reference import START_MS, Reference, Result
from treadle.tasks import Registry

Definition = dict[str, Any]
SEEDS = range(12)


def fail(name: str, error: str = "Boom", **more: Any) -> Definition:
    return {"id": name, "fail": {"error": error}, **more}


def give(name: str, value: Any = 1, **more: Any) -> Definition:
    return {"id": name, "set": value, **more}


def wait(name: str, duration: str, **more: Any) -> Definition:
    return {"id": name, "wait": duration, **more}


def note(name: str, **more: Any) -> Definition:
    """Writes its path into the log."""
    return {"id": name, "task": "record", **more}


def flaky(name: str, fails: Any, **more: Any) -> Definition:
    return {"id": name, "task": "flaky", "with": {"fails": fails, "error": "Red", "value": "done"}, **more}


def choose(name: str, *targets: str, **more: Any) -> Definition:
    """A switch that chooses none of them."""
    return {"id": name, "switch": [{"when": False, "then": list(targets)}], **more}


def undo(name: str) -> Definition:
    return {"task": "revert", "with": {"step": name}}


def on(source: str, how: str) -> Definition:
    return {"step": source, "on": how}


@dataclass(frozen=True)
class Case:
    """`steps` and `log` of the definition, and what it comes to. `ended`: minutes after the start."""

    id: str
    steps: list[Definition]
    more: Definition = field(default_factory=dict)
    script: tuple[Definition, ...] = ()
    status: str = "succeeded"
    error: str | None = None
    output: Any = None
    outcomes: dict[str, str] = field(default_factory=dict)
    log: list[Any] | None = None
    ended: int | None = None
    compensated: bool | None = None


UNDO_FAILS = {"task": "flaky", "with": {"fails": 9, "error": "Red"}}
MODE = {"errorHandling": {"onFailure": "compensate"}}
ON_RED = {"maxAttempts": 3, "backoff": "exponential", "delay": "2m", "multiplier": 3, "jitter": "none"}

CASES = [
    Case("steps without edges run at once", [wait("a", "5m"), wait("b", "7m")], ended=7),
    Case("the default output has the steps that nothing comes after", [give("a"), give("b", 2, after=["a"])], output={"b": 2}),
    Case(
        "each edge out of a failed step",
        [
            give("ok"), fail("src"), give("plain", after=["src", "ok"]), give("fine", after=[on("src", "succeeded"), "ok"]),
            give("bad", after=[on("src", "failed")]), give("skip", after=[on("src", "skipped")]), give("any", after=[on("src", "done")]),
        ],
        outcomes={"plain": "skipped", "fine": "succeeded", "bad": "succeeded", "skip": "skipped", "any": "succeeded"},
    ),
    Case(
        "a bypassed step lets what comes after it go on, a dead one does not",
        [
            give("off", when=False), give("next", after=["off"]), choose("route", "dead"), give("dead"),
            give("behind", after=["dead"]), give("instead", after=[on("dead", "skipped")]), give("done", after=[on("dead", "done")]),
        ],
        outcomes={"next": "succeeded", "dead": "skipped", "behind": "skipped", "instead": "succeeded", "done": "skipped"},
    ),
    Case(
        "join any sees only the source that started it",
        [
            wait("fast", "1m"), wait("slow", "9m"),
            give("first", "${[steps.fast != null, steps.slow == null]}", after=["fast", "slow"], join="any"),
        ],
        output={"first": [True, True]}, ended=9,
    ),
    Case(
        "join any takes the source that was live, not the one that ended last",
        [
            give("live", "L"), choose("route", "dead", after=["live"]), give("dead"),
            give("j", "${steps.dead == null ? 'none' : 'seen'}", after=["live", on("dead", "failed")], join="any"),
        ],
        output={"j": "none"},
    ),
    Case(
        "join of two runs at the second live edge",
        [wait("a", "1m"), wait("b", "4m"), wait("c", "9m"), wait("two", "1m", after=["a", "b", "c"], join=2), note("end", after=["two"])],
        log=["end"], ended=9,
    ),
    Case(
        "a clean-up step runs although the run stops, and nothing else does",
        [fail("a"), give("b", after=["a"]), give("tidy", "${steps.b.outcome}", after=["b"], join="done"), give("later", after=["tidy"])],
        status="failed", error="Boom", outcomes={"b": "skipped", "tidy": "succeeded", "later": "skipped"},
    ),
    Case(
        "stop cancels what runs", [wait("w", "9m"), wait("v", "2m"), fail("f", after=["v"])],
        status="failed", error="Boom", outcomes={"w": "cancelled"}, ended=2,
    ),
    Case(
        "continue ends with the first failure when all branches have ended", [wait("w", "9m"), note("x", after=["w"]), fail("f")],
        {"errorHandling": {"onFailure": "continue"}}, status="failed", error="Boom", log=["x"], ended=9,
    ),
    Case(
        "compensation runs backwards by the time of completion",
        [wait("a", "3m", compensate=undo("a")), wait("b", "1m", compensate=undo("b")), fail("c", after=["a", "b"])],
        MODE, status="failed", error="Boom", log=["undo a", "undo b"], compensated=True,
    ),
    Case(
        "a group's own compensation stands for those inside it",
        [{"id": "g", "group": {"steps": [give("a", compensate=undo("a"))]}, "compensate": undo("g")}, fail("c", after=["g"])],
        MODE, status="failed", error="Boom", log=["undo g"], compensated=True,
    ),
    Case(
        "a group's own compensation does not stand for those inside an attempt that failed",
        [
            {"id": "g", "retry": ON_RED, "group": {"steps": [
                {"id": "h", "compensate": undo("h"), "group": {"steps": [
                    give("a", compensate=undo("a")),
                    {"id": "f", "after": ["a"], "task": "fail_first", "with": {"key": "f", "fails": 1, "error": "Red"}},
                ]}},
            ]}},
            fail("c", after=["g"]),
        ],
        MODE, status="failed", error="Boom", log=["undo h", "undo a"], compensated=True,
    ),
    Case("a compensation that fails", [give("a", compensate=UNDO_FAILS), fail("b", after=["a"])],
         MODE, status="failed", error="Boom", compensated=False),
    Case("back-offs", [flaky("a", 2, retry=ON_RED)], output={"a": "done"}, ended=8),
    Case("a permanent error is tried once", [give("a", "${1 / 0}", retry=ON_RED)], status="failed", error="ExpressionError", ended=0),
    Case("a group takes no default retry, what is in it does", [{"id": "g", "group": {"steps": [flaky("a", 1)]}}],
         {"errorHandling": {"retry": ON_RED}}, output={"g": {"a": "done"}}, ended=2),
    Case("the first catch that matches",
         [fail("a", catch=[{"errors": ["Bo"], "output": 1}, {"errors": ["Bo*"], "output": "${error.name}"}])], output={"a": "Boom"}),
    Case(
        "catch.then leads to its step, and plain edges are dead",
        [fail("a", catch=[{"errors": ["*"], "then": "mend"}]), give("mend", "${steps.a.error.name}"), give("b", after=["a"])],
        output={"mend": "Boom", "b": None}, outcomes={"a": "failed", "b": "skipped"},
    ),
    Case("a timeout of a group", [{"id": "g", "timeout": "3m", "group": {"steps": [wait("a", "2m"), wait("b", "2m", after=["a"])]}}],
         status="failed", error="Timeout", outcomes={"g.a": "succeeded", "g.b": "cancelled"}, ended=3),
    Case("forEach goes on as places become free", [wait("f", "2m", forEach=[1, 2, 3], maxConcurrency=2)],
         output={"f": [None] * 3}, ended=4),
    Case("forEach over a map goes by key", [give("f", "${item.key}", forEach="input.map")], output={"f": ["a", "b"]}),
    Case("tolerated items are null", [flaky("f", "${index == 1 ? 9 : 0}", forEach=[1, 2, 3], tolerate={"failures": 1})],
         output={"f": ["done", None, "done"]}, outcomes={"f[1]": "failed"}),
    Case("one more than tolerated", [flaky("f", 9, forEach=[1, 2, 3], tolerate={"percent": 34}, maxConcurrency=1)],
         status="failed", error="Red", outcomes={"f[0]": "failed", "f[1]": "failed"}),
    Case("repeat until", [give("r", "${previous == null ? 1 : previous * 3}", repeat={"until": "previous > 20", "max": 9})],
         output={"r": 27}),
    Case("repeat while, none", [give("r", repeat={"while": False, "max": 3})], output={"r": None}),
    Case("past the maximum", [wait("r", "1m", repeat={"until": False, "max": 3, "delay": "2m"})],
         status="failed", error="LoopLimit", ended=7),
    Case("a signal that comes early is kept", [wait("w", "5m"), {"id": "s", "after": ["w"], "signal": {"name": "go"}}],
         script=({"at": "1m", "do": "signal", "name": "go", "payload": "early"},), output={"s": "early"}, ended=5),
    Case("a rejection", [{"id": "p", "approval": {}}], script=({"at": "1m", "do": "reject", "step": "p", "by": "ann"},),
         status="failed", error="Rejected", ended=1),
    Case("a cancelled run does not clean up", [wait("w", "9m"), note("tidy", after=["w"], join="done")],
         script=({"at": "2m", "do": "cancel"},), status="cancelled", outcomes={"w": "cancelled", "tidy": "skipped"}, log=[], ended=2),
    Case("a timeout of the run", [wait("w", "9m"), note("x", after=["w"])], {"timeout": "4m"},
         status="timedOut", error="Timeout", outcomes={"w": "cancelled", "x": "skipped"}, ended=4),
    Case("a paused run starts nothing", [wait("w", "2m"), note("x", after=["w"])],
         script=({"at": "1m", "do": "pause"}, {"at": "6m", "do": "resume"}), log=["x"], ended=6),
    Case("an iteration that a pause held back has not begun",
         [wait("r", "2m", repeat={"max": 3, "until": False}), wait("t", "9m", timeout="3m")], script=({"at": "1m", "do": "pause"},),
         status="failed", error="Timeout", outcomes={"r[0]": "succeeded", "r[1]": "skipped"}, ended=3),
    Case("an iteration that is delayed has begun",
         [wait("r", "1m", repeat={"max": 3, "until": False, "delay": "9m"}), wait("t", "9m", timeout="3m")],
         status="failed", error="Timeout", outcomes={"r[0]": "succeeded", "r[1]": "cancelled"}, ended=3),
    Case("an operator skips a failed step", [fail("a"), give("b", "${steps.a.output}", after=["a"])],
         {"errorHandling": {"onFailure": "wait"}}, output={"b": 7}, ended=5,
         script=({"at": "5m", "do": "decide", "step": "a", "choice": "skip", "output": 7},)),
    Case("an event takes so much", [{"id": "a", "emit": {"type": "T", "detail": {"v": "x" * 210_000}}}],
         status="failed", error="ExpressionError"),
    Case("the ladder says nothing of compensations",
         [give("a", compensate={"task": "fail_first", "with": {"key": "a", "fails": 1, "error": "Red"}, "retry": ON_RED}),
          fail("b", after=["a"])], {"errorHandling": {"onFailure": "compensate", "escalation": [{"afterAttempts": 1, "action": "fail"}]}},
         status="failed", error="Boom", compensated=True),
    Case("nobody decides", [fail("a")], {"errorHandling": {"onFailure": "wait"}}, status="waiting"),
]  # fmt: skip


def run(one: Case, seed: int) -> tuple[Result, list[Any]]:
    notebook = Notebook()
    reference = Reference(Registry.load(notebook.tasks(), plugins=False))
    definition = {"id": "w", "name": "W", "version": "1.0.0", "steps": one.steps, **one.more}
    result = reference.run(definition, {"map": {"b": 1, "a": 2}}, seed=seed, script=one.script)
    return result, notebook.labels.get("run", [])


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.id)
def test_what_the_page_says(one: Case) -> None:
    for seed in SEEDS:
        result, log = run(one, seed)
        assert (result.status, result.error) == (one.status, one.error)
        if one.output is not None:
            assert result.output == one.output
        assert {path: result.steps[path].status for path in one.outcomes} == one.outcomes
        assert one.log is None or log == one.log
        assert one.ended is None or result.elapsed_ms == one.ended * 60_000
        assert one.compensated is None or result.compensated is one.compensated


def test_what_is_not_determined_differs_from_seed_to_seed() -> None:
    one = Case("", [note("a"), note("b"), note("c")])
    assert {tuple(run(one, seed)[1]) for seed in range(200)} == {tuple(order) for order in ("abc", "acb", "bac", "bca", "cab", "cba")}


def test_one_seed_is_one_result() -> None:
    one = Case("", [note("a"), note("b"), fail("c"), wait("d", "2m")])
    assert run(one, 3) == run(one, 3)


def test_children() -> None:
    child = {"id": "kid", "name": "k", "version": "1.0.0", "steps": [give("x", "${input.n * 2}")], "output": "${steps.x.output}"}
    broken = {"id": "bad", "name": "b", "version": "1.0.0", "steps": [fail("x", "Broken")]}
    steps = [
        {"id": "a", "workflow": {"id": "kid", "input": {"n": 4}}},
        {"id": "b", "workflow": {"id": "bad"}, "catch": [{"errors": ["Broken"], "output": "caught"}]},
    ]
    result = Reference(Registry(), [child, broken]).run({"id": "w", "name": "W", "version": "1.0.0", "steps": steps})
    assert result.output == {"a": 8, "b": "caught"}


def test_a_time_to_wait_for() -> None:
    until = f"timestamp('{rfc3339(START_MS + 90_000)}')"
    result = Reference(Registry()).run({"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "wait": {"until": until}}]})
    assert result.elapsed_ms == 90_000
