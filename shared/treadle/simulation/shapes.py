"""The workflows that are simulated: small, and between them every way in which a run can branch, join, loop, wait, fail and stop.

Every task is `do`: it takes `takes` ms, fails in its first `fails` attempts with `error`, and then gives `out`. What a shape does
is therefore known: a fault must not change it. Where the page leaves a race open, `loose` names the paths that may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person or another system does to the run. `after`: once so many messages were handled; None: once the
    run rests (waits, is paused, has ended)."""

    verb: str  # signal, approve, reject, decide, cancel, pause, resume, retry
    arguments: Mapping[str, Any] = field(default_factory=dict)
    after: int | None = None


@dataclass(frozen=True)
class Shape:
    """`loose`: paths (with what is inside of them) whose end depends on timing; `*` is all of them and the output.
    `ends`: the statuses it may end in; empty: the one it ends in when nothing goes wrong."""

    name: str
    definition: Definition
    input: Any = None
    acts: tuple[Act, ...] = ()
    children: tuple[Definition, ...] = ()
    loose: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    is_small: bool = False  # all pairs of faults are tried on it
    answers: bool = False  # whoever is asked answers: approvals are given, signals sent, failed steps skipped


def shape_of(definition: Definition, given: Any = None) -> Shape:
    """Of any definition. Where joins or timeouts make its result a matter of timing, only the rules that need no result are checked."""
    return Shape(str(definition["id"]), definition, given, loose=("*",) if has_races(definition) else (), answers=True)


def has_races(value: Any) -> bool:
    if isinstance(value, dict):
        if value.get("join", "all") not in ("all", "done") or {"timeout", "heartbeat"} & value.keys():
            return True
        return any(map(has_races, value.values()))
    return isinstance(value, list) and any(map(has_races, value))


def do(step: str, *after: Any, out: Any = None, fails: int = 0, takes: int = 0, error: str = "Broken", given: Any = None, **more: Any) -> Definition:
    """A step with the task `do`."""
    options = {"out": step if out is None else out, "fails": fails, "takes": takes, "error": error, "given": given}
    said = {name: value for name, value in options.items() if value not in (0, None, "Broken")}
    return {"id": step, "task": "do", "with": said} | ({"after": list(after)} if after else {}) | more


def after(step: str, on: str) -> Definition:
    return {"step": step, "on": on}


def flow(name: str, *steps: Definition, **more: Any) -> Definition:
    return {"id": name, "name": name, "version": "1.0.0", "steps": list(steps), **more}


def shape(name: str, *steps: Definition, acts: tuple[Act, ...] = (), loose: tuple[str, ...] = (), ends: tuple[str, ...] = (), small: bool = False,
          given: Any = None, children: tuple[Definition, ...] = (), **more: Any) -> Shape:  # fmt: skip
    return Shape(name, flow(name, *steps, **more), given, acts, children, loose, ends, small)


RETRY = {"maxAttempts": 3, "backoff": "fixed", "delay": "2s", "jitter": "none"}
SLOW_RETRY = {"maxAttempts": 2, "backoff": "fixed", "delay": "20m", "jitter": "none"}
ROOTS = tuple("abcdefg")


def _group(step: str, *steps: Definition, **more: Any) -> Definition:
    return {"id": step, "group": {"steps": list(steps)}, **more}


STRAIGHT = (
    shape("chain", do("a"), do("b", "a", given="${steps.a.output}"), do("c", "b"), small=True),
    shape("diamond", do("a"), do("b", "a"), do("c", "a"), do("d", "b", "c", given="${[steps.b.output, steps.c.output]}"), small=True),
    shape("wide-join", *(do(root) for root in ROOTS), do("z", *ROOTS)),
    shape("wide-end", *(do(root) for root in ROOTS)),
    shape("any", {"id": "w", "wait": "10s"}, do("a"), do("b", "w"), do("j", "a", "b", join="any"), loose=("j",)),
    shape("quorum", *(do(root) for root in "abcd"), do("j", *"abcd", join=2), loose=("j",)),
    shape("switch", do("a", out=7), {"id": "s", "after": ["a"], "switch": [{"when": "steps.a.output > 5", "then": "b"}, {"else": "c"}]},
          do("b"), do("c"), do("d", "c"), do("e", "b", "d"), small=True),
    shape("skips", do("a", when="false"), do("b", "a"), do("c", after("a", "succeeded")), do("d", "c"), do("e", "b", "d")),
    shape("wide-skips", do("a"), {"id": "s", "after": ["a"], "switch": [{"else": "b"}]}, do("b"),
          *(do(name, after("a", "failed")) for name in "cdefgh"), do("z", "b", *"cdefgh")),
    shape("instants", {"id": "a", "set": {"x": 1}}, {"id": "b", "after": ["a"], "set": "${steps.a.output.x + 1}"}, do("c", "b"),
          {"id": "m", "after": ["c"], "emit": {"type": "Told", "detail": {"n": 1}}}),
)  # fmt: skip

LOOPS = (
    shape("for-each", {"id": "f", "forEach": [1, 2, 3], "task": "do", "with": {"out": "${item}"}}, do("z", "f", given="${steps.f.output}"), small=True),
    shape("for-each-slow", {"id": "f", "forEach": [1, 2, 3, 4], "task": "do", "with": {"out": "${item}", "takes": 1500}}, do("z", "f")),
    shape("for-each-lanes", {"id": "f", "forEach": [1, 2, 3, 4, 5], "maxConcurrency": 2, "task": "do", "with": {"out": "${item}", "takes": 100}}, do("z", "f")),
    shape("for-each-tolerant", {"id": "f", "forEach": [1, 2, 3, 4], "tolerate": {"failures": 1}, "task": "do",
          "with": {"out": "${item}", "fails": "${item == 2 ? 9 : 0}"}}, do("z", "f")),
    shape("for-each-fails", {"id": "f", "forEach": [1, 2, 3], "task": "do", "with": {"out": "${item}", "fails": "${item == 2 ? 9 : 0}"}}, do("z", "f"), loose=("f[",)),
    shape("for-each-retry", {"id": "f", "forEach": [1, 2, 3], "retry": RETRY, "task": "do", "with": {"out": "${item}", "fails": "${item == 2 ? 1 : 0}"}}, do("z", "f")),
    shape("for-each-groups", {"id": "f", "forEach": [1, 2], "group": {"steps": [do("a", out="${item}"), do("b", "a")]}}, do("z", "f")),
    shape("for-each-lane-groups", {"id": "f", "forEach": [1, 2, 3], "maxConcurrency": 1, "group": {"steps": [do("a", out="${item}")]}}, do("z", "f")),
    shape("for-each-waits", {"id": "f", "forEach": [1, 2], "wait": "5s"}, do("z", "f")),
    shape("repeat", {"id": "r", "repeat": {"until": "previous >= 3", "max": 5}, "task": "do", "with": {"out": "${iteration + 1}"}}, do("z", "r"), small=True),
    shape("repeat-delay", {"id": "r", "repeat": {"while": "iteration < 3", "max": 5, "delay": "3s"}, "task": "do", "with": {"out": "${iteration}"}}, do("z", "r")),
    shape("repeat-groups", {"id": "r", "repeat": {"until": "iteration == 1", "max": 5}, "group": {"steps": [do("a"), do("b", "a")]}}, do("z", "r")),
    shape("repeat-fails", {"id": "r", "repeat": {"until": "iteration == 3", "max": 5}, "task": "do", "with": {"fails": "${iteration == 1 ? 9 : 0}"},
          "catch": [{"errors": ["*"], "output": "caught"}]}, do("z", "r")),
)  # fmt: skip

GROUPS = (
    shape("group", do("a"), _group("g", do("b"), do("c", "b"), do("d", "b"), after=["a"]), do("z", "g", given="${steps.g.output}"), small=True),
    shape("nested", _group("g", _group("h", do("a"), do("b")), do("c", "h")), do("z", "g")),
    shape("group-retry", _group("g", do("a"), do("b", "a", fails=9), retry=RETRY, catch=[{"errors": ["Broken"], "then": "c"}]), do("c"), do("z", after("g", "done"))),
    shape("group-timeout", _group("g", do("a"), {"id": "w", "wait": "2h", "after": ["a"]}, timeout="10m", catch=[{"errors": ["Timeout"], "output": 1}]), do("z", "g"),
          loose=("g.",)),
    shape("group-cleanup", _group("g", do("a", fails=9), {"id": "w", "wait": "1h"}, do("b", "a"), do("y", "a", "b", join="done"), catch=[{"errors": ["*"], "then": "z"}]),
          do("z"), loose=("g.w",)),
)  # fmt: skip

FAILURES = (
    shape("retry", do("a", fails=2, retry=RETRY), do("b", "a"), small=True),
    shape("retry-late", do("a", fails=1, retry=SLOW_RETRY), do("b", "a")),
    shape("catch-then", do("a", fails=9, catch=[{"errors": ["Bro*"], "then": "b"}]), do("b"), do("c", "a"), do("d", "b", "c", join="any"), small=True),
    shape("catch-output", do("a", fails=9, catch=[{"errors": ["*"], "output": {"error": "${error.name}"}}]), do("b", "a")),
    shape("on-failed", do("a", fails=9), do("b", after("a", "failed")), do("c", "a"), do("d", after("a", "done"), after("c", "skipped"))),
    shape("stop", do("a"), do("b", "a", fails=9), do("c", "b"), do("y", "b", "c", join="done"), small=True),
    shape("stop-beside", do("a", fails=9), {"id": "w", "wait": "30m"}, do("b", "w"), do("c"), do("d", "c"), loose=("c", "d", "w")),
    shape("continue", do("a", fails=9), do("b", "a"), do("c"), do("d", "c"), errorHandling={"onFailure": "continue"}),
    shape("compensate", do("a", compensate={"task": "do", "with": {"out": "${output}"}}), do("b", "a", compensate={"task": "do"}), do("c", "b", fails=9), small=True,
          errorHandling={"onFailure": "compensate"}),
    shape("compensate-group", _group("g", do("a", compensate={"task": "do"}), do("b", "a", compensate={"task": "do", "with": {"fails": 1}}, retry=RETRY)),
          do("c", "g", fails=9), errorHandling={"onFailure": "compensate"}),
    shape("ask", do("a", fails=9), do("b", "a"), errorHandling={"onFailure": "wait"},
          acts=(Act("decide", {"step": "a", "choice": "skip", "output": 5}),)),
    shape("ask-again", do("a", fails=1), do("b", "a"), errorHandling={"onFailure": "wait"}, acts=(Act("decide", {"step": "a", "choice": "retry"}),)),
)  # fmt: skip

OUTSIDE = (
    shape("wait", {"id": "w", "wait": "90s"}, do("z", "w"), small=True),
    shape("wait-long", do("a"), {"id": "w", "wait": "2h", "after": ["a"]}, do("z", "w")),
    shape("signal", do("a"), {"id": "s", "signal": {"name": "go"}, "after": ["a"]}, do("z", "s", given="${steps.s.output}"),
          acts=(Act("signal", {"name": "go", "payload": {"n": 1}}),)),
    shape("signal-first", {"id": "w", "wait": "5s"}, {"id": "s", "signal": {"name": "go"}, "after": ["w"]}, do("z", "s"),
          acts=(Act("signal", {"name": "go", "payload": 1}, after=1),)),
    shape("signal-times-out", {"id": "s", "signal": {"name": "go", "timeout": "1m"}, "catch": [{"errors": ["Timeout"], "then": "z"}]}, do("z")),
    shape("approval", do("a"), {"id": "p", "approval": {"timeout": "24h"}, "after": ["a"]}, do("b"), do("z", "p", "b"),
          acts=(Act("approve", {"step": "p", "by": "ann"}),)),
    shape("rejection", {"id": "p", "approval": {}}, do("z", "p"), acts=(Act("reject", {"step": "p", "by": "ann"}),)),
    shape("child", do("a"), {"id": "k", "workflow": {"id": "kid", "input": {"n": 1}}, "after": ["a"]}, do("z", "k", given="${steps.k.output}"),
          children=(flow("kid", do("x", given="${input.n}"), do("y", "x")),)),
    shape("child-fails", {"id": "k", "workflow": {"id": "kid"}, "catch": [{"errors": ["Broken"], "then": "z"}]}, do("z"),
          children=(flow("kid", do("x", fails=9)),)),
    shape("run-timeout", do("a"), {"id": "w", "wait": "2h", "after": ["a"]}, do("z", "w"), timeout="30m", loose=("w",)),
    shape("cancel", do("a"), {"id": "w", "wait": "2h", "after": ["a"]}, do("b", "a"), do("z", "w"), acts=(Act("cancel", after=2),), loose=("*",)),
    shape("cancel-early", do("a"), do("b", "a"), do("c", "a"), do("z", "b", "c"), acts=(Act("cancel", after=1),), loose=("*",), ends=("cancelled", "succeeded")),
    shape("pause", do("a"), do("b", "a"), do("c", "a"), do("z", "b", "c"), acts=(Act("pause", after=1), Act("resume"))),
    shape("pause-wait", {"id": "w", "wait": "1m"}, do("z", "w"), acts=(Act("pause", after=1), Act("resume"))),
    shape("cancel-waiting", {"id": "s", "signal": {"name": "go"}}, do("z", "s"), acts=(Act("cancel"),), loose=("s",), ends=("cancelled",)),
    shape("pause-waiting", {"id": "s", "signal": {"name": "go"}}, {"id": "w", "wait": "1s"}, do("b", "w"), do("z", "s", "b"),
          acts=(Act("pause", after=2), Act("signal", {"name": "go", "payload": 1}, after=3), Act("resume"))),
    shape("run-again", do("a"), do("b", "a", fails=1), do("c", "b"), do("d", "a", when="false"), acts=(Act("retry"),), ends=("succeeded",)),
    shape("run-again-loop", {"id": "f", "forEach": [1, 2, 3], "task": "do", "with": {"out": "${item}", "fails": "${item == 2 ? 1 : 0}"}}, do("z", "f"),
          acts=(Act("retry"),), ends=("succeeded",)),
    shape("run-again-group", _group("g", do("a"), do("b", "a", fails=1)), do("z", "g"), acts=(Act("retry"),), ends=("succeeded",)),
)  # fmt: skip

SHAPES: Mapping[str, Shape] = {each.name: each for each in (*STRAIGHT, *LOOPS, *GROUPS, *FAILURES, *OUTSIDE)}
