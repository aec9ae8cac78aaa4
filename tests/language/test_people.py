"""What people do to runs: pause, resume, cancel, and retry of a run that ended. What cannot be done is refused."""

from __future__ import annotations

import pytest
from treadle.core.errors import Rejected
from treadle.simulation.driver import TENANT, MemoryEngine

from tests.language.cases import Case, Way, Work, agree, definition, each_way, play

STEERED = [
    Case(
        "a paused run starts nothing",
        "steps: [{id: a, wait: 10s}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[(5, "pause")],
        status="paused",
        steps={"b": "pending"},
        log=[],
    ),
    Case(
        "resume goes on with what came meanwhile",
        "steps: [{id: a, wait: 10s}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[(5, "pause"), (60, "resume")],
        log=["b"],
        took=60,
    ),
    Case(
        "resume before the timer is over",
        "steps: [{id: a, wait: 10s}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[(2, "pause"), (4, "resume")],
        log=["b"],
        took=10,
    ),
    Case(
        "a pause during a back-off",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 1}, retry: {maxAttempts: 2, delay: 10s, backoff: fixed, jitter: none}}
        """,
        acts=[(5, "pause"), (60, "resume")],
        output={"a": 2},
        took=60,
    ),
    Case(
        "an attempt that a pause put off has all its time",
        """
        steps:
        - id: g
          timeout: 20s
          retry: {maxAttempts: 2, backoff: fixed, delay: 10s, jitter: none}
          group: {steps: [{id: a, task: nth, with: {key: k, fails: 1}}, {id: w, after: [a], wait: 15s}]}
        """,
        acts=[(5, "pause"), (60, "resume")],
        attempts={"g": 2},
        took=75,
    ),
    Case(
        "a pause within a forEach",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3]"
          maxConcurrency: 1
          group: {steps: [{id: w, wait: 10s}, {id: n, after: [w], task: note, with: {label: "${item}"}}]}
        """,
        acts=[(15, "pause"), (100, "resume")],
        log=[1, 2, 3],
        took=110,
    ),
    Case(
        "items that an attempt was made at are cancelled with a run that is paused",
        """
        timeout: 90s
        steps:
        - id: many
          forEach: [1, 2]
          retry: {maxAttempts: 2, backoff: fixed, delay: 30s, jitter: none}
          group: {steps: [{id: w, wait: 1h, timeout: 5s}]}
        """,
        acts=[(10, "pause")],
        status="timedOut",
        error="Timeout",
        steps={"many": "cancelled", "many[0]": "cancelled", "many[1]": "cancelled"},
        took=90,
    ),
    Case(
        "a step that was tried and is to be tried anew is cancelled with a run that is paused",
        """
        errorHandling: {onFailure: wait}
        steps: [{id: a, fail: {error: Boom}}, {id: b, wait: 1h}, {id: c, after: [a], set: 1}]
        """,
        acts=[(5, "pause"), (10, "decide", "a", "retry"), (20, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "b": "cancelled", "c": "skipped"},
        took=20,
    ),
    Case(
        "a loop that is to be tried anew is cancelled with a run that is paused",
        """
        errorHandling: {onFailure: wait}
        timeout: 20s
        steps: [{id: a, forEach: [0, 9], task: flaky, with: {fails: "${item}"}}]
        """,
        acts=[(5, "pause"), (10, "decide", "a", "retry")],
        status="timedOut",
        error="Timeout",
        steps={"a": "cancelled", "a[0]": "succeeded"},
        took=20,
    ),
    Case(
        "a group that is to be tried anew is cancelled with a run that is paused",
        """
        errorHandling: {onFailure: wait}
        steps: [{id: g, timeout: 5s, group: {steps: [{id: w, wait: 1h}]}}]
        """,
        acts=[(10, "pause"), (15, "decide", "g", "retry"), (20, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"g": "cancelled"},
        took=20,
    ),
    Case(
        "a cancel ends the clean-up of a run that failed",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: tidy, after: [a], join: done, wait: 1h}
        - {id: more, after: [tidy], join: done, task: note, with: {label: more}}
        """,
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "failed", "tidy": "cancelled", "more": "skipped"},
        log=[],
        took=5,
    ),
    Case(
        "a failure that stops a paused run ends the pause: it cleans up",
        """
        steps:
        - {id: a, wait: 10s, output: "${1 / 0}"}
        - {id: tidy, after: [a], join: done, task: note, with: {label: tidy}}
        """,
        acts=[(5, "pause")],
        status="failed",
        error="ExpressionError",
        log=["tidy"],
        took=10,
    ),
    Case(
        "a signal for a paused run is kept",
        """
        steps:
        - {id: a, signal: {name: go}}
        - {id: b, after: [a], task: note, with: {label: "${steps.a.output}"}}
        """,
        acts=[("waiting", "pause"), (None, "signal", "go", "s"), (30, "resume")],
        log=["s"],
    ),
    Case(
        "an approval while paused",
        "steps: [{id: a, approval: {}}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[("waiting", "pause"), (None, "approve", "a", "ann"), (30, "resume")],
        log=["b"],
    ),
    Case(
        "the run's timeout goes on while it is paused",
        """
        timeout: 20s
        steps:
        - {id: a, wait: 10s}
        - {id: b, after: [a], set: 1}
        """,
        acts=[(5, "pause")],
        status="timedOut",
        error="Timeout",
        took=20,
    ),
    Case(
        "cancel while paused",
        "steps: [{id: a, wait: 10s}, {id: b, after: [a], set: 1}]",
        acts=[(5, "pause"), (6, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"b": "skipped"},
    ),
    Case(
        "cancel a wait",
        "steps: [{id: a, wait: 1h}, {id: b, after: [a], set: 1}]",
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "b": "skipped"},
        took=5,
    ),
    Case(
        "cancel an approval",
        "steps: [{id: a, approval: {}}, {id: b, after: [a], set: 1}]",
        acts=[("waiting", "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "b": "skipped"},
    ),
    Case(
        "cancel a back-off",
        "steps: [{id: a, task: boom, retry: {maxAttempts: 3, delay: 1h, jitter: none}}]",
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        took=5,
    ),
    Case(
        "cancel a loop",
        'steps: [{id: a, repeat: {until: "false", max: 99}, wait: 1m}]',
        acts=[(90, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "a[0]": "succeeded", "a[1]": "cancelled"},
    ),
    Case(
        "cancel a forEach",
        'steps: [{id: a, forEach: "[1, 2, 3]", maxConcurrency: 2, wait: 1m}]',
        acts=[(30, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "a[0]": "cancelled"},
    ),
    Case(
        "cancel a group",
        """
        steps:
        - id: g
          group:
            steps:
            - {id: a, wait: 1m}
            - {id: b, after: [a], set: 1}
            - {id: t, join: done, after: [a], task: note, with: {label: t}}
        """,
        acts=[(30, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"g": "cancelled", "g.a": "cancelled", "g.b": "skipped", "g.t": "skipped"},
        log=[],
    ),
    Case(
        "cancel takes the child with it",
        "steps: [{id: a, workflow: {id: child}}]",
        others=["id: child\nsteps: [{id: x, wait: 10s}, {id: y, after: [x], task: note, with: {label: y}}]"],
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        log=[],
    ),
    Case("cancel twice", "steps: [{id: a, wait: 1h}]", acts=[(5, "cancel"), (None, "cancel")], status="cancelled", error="Cancelled"),
    Case(
        "cancel runs no clean-up",
        "steps: [{id: a, wait: 1h}, {id: t, join: done, after: [a], task: note, with: {label: t}}]",
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        log=[],
    ),
]


@each_way(STEERED)
def test_steering(case: Case, way: Way) -> None:
    play(case, way)


FAILS_ONCE = "task: nth, with: {key: k, fails: 1}"
RETRIED = [
    Case(
        "a run that is retried has all of its time again",
        """
        timeout: 20s
        steps: [{id: a, signal: {name: go}}]
        """,
        acts=[("timedOut", "retry")],
        status="timedOut",
        error="Timeout",
        took=40,
    ),
    Case(
        "what cleaned up without a step does so again when that has run",
        """
        steps:
        - {id: a, task: nth, with: {key: a, fails: 1}}
        - {id: w, wait: 1s}
        - {id: b, after: [w], task: note, with: {label: b}}
        - {id: c, after: [{step: b, on: done}], join: done, task: note, with: {label: c}}
        """,
        acts=[(5, "retry")],
        log=["c", "b", "c"],
    ),
    Case(
        "a message of before the retry begins nothing out of its turn",
        """
        steps:
        - {id: a, task: nth, with: {key: a, fails: 1}}
        - {id: w, wait: 1s}
        - {id: b, after: [w], task: note, with: {label: b}}
        - {id: c, after: [{step: b, on: done}], join: done, task: note, with: {label: c}}
        """,
        acts=[("failed", "retry")],
        log=["c", "b", "c"],
    ),
    Case(
        "from the failed step, keeping what succeeded",
        """
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, after: [a], task: nth, with: {key: k, fails: 1}}
        - {id: c, after: [b], task: note, with: {label: c}}
        """,
        acts=[("failed", "retry")],
        log=["a", "c"],
        outputs={"b": 2},
    ),
    Case(
        "what was cancelled with it runs again",
        """
        steps:
        - {id: a, wait: 10s}
        - {id: w, wait: 5s}
        - {id: b, after: [w], task: nth, with: {key: k, fails: 1}}
        - {id: c, after: [a, b], task: note, with: {label: c}}
        """,
        acts=[("failed", "retry")],
        log=["c"],
        steps={"a": "succeeded"},
    ),
    Case(
        "from a named step",
        """
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, after: [a], task: note, with: {label: b}}
        - {id: c, after: [b], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry", "b")],
        log=["a", "b", "b"],
    ),
    Case(
        "with edited input",
        'steps: [{id: a, task: note, with: {label: a}}, {id: b, after: [a], set: "${10 / input.n}"}]',
        input={"n": 0},
        acts=[("failed", "retry", None, {"n": 5})],
        output={"b": 2},
        log=["a"],
    ),
    Case(
        "twice",
        "steps: [{id: b, task: nth, with: {key: k, fails: 2}}, {id: c, after: [b], set: 1}]",
        acts=[("failed", "retry"), ("failed", "retry")],
        outputs={"b": 3},
    ),
    Case(
        "only what failed of a forEach",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3]"
          maxConcurrency: 1
          group:
            steps:
            - {id: n, task: note, with: {label: "${item}"}}
            - {id: x, after: [n], task: nth, with: {key: '${item == 2 ? string(item) : "ok"}', fails: "${item == 2 ? 1 : 0}"}}
            output: "${item}"
        """,
        acts=[("failed", "retry")],
        output={"a": [1, 2, 3]},
        log=[1, 2, 3],
    ),
    Case(
        "only the plain items that failed",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3, 4]"
          maxConcurrency: 1
          task: nth
          with: {key: "${string(item)}", fails: "${item == 3 ? 1 : 0}"}
        """,
        acts=[("failed", "retry")],
        output={"a": [1, 1, 2, 1]},
    ),
    Case(
        "items that run in chunks",
        """
        steps:
        - {id: a, forEach: "[1, 2, 3, 4]", task: nth, with: {key: "${string(item)}", fails: "${item == 3 ? 1 : 0}"}}
        """,
        acts=[("failed", "retry")],
        output={"a": [1, 1, 2, 1]},
    ),
    Case(
        "the iteration that failed",
        """
        steps:
        - id: a
          repeat: {while: "iteration < 4", max: 9}
          task: nth
          with: {key: "${string(iteration)}", fails: "${iteration == 2 ? 1 : 0}"}
        """,
        acts=[("failed", "retry")],
        outputs={"a": 1, "a[0]": 1, "a[2]": 2},
    ),
    Case(
        "inside a group, keeping what succeeded there",
        """
        steps:
        - id: g
          group:
            steps:
            - {id: a, task: note, with: {label: a}}
            - {id: b, after: [a], task: nth, with: {key: k, fails: 1}}
            - {id: c, after: [b], task: note, with: {label: c}}
        """,
        acts=[("failed", "retry")],
        log=["a", "c"],
        output={"g": {"c": "c"}},
    ),
    Case(
        "a wide join after the retry",
        "steps:\n"
        + "".join(f"- {{id: s{n}, task: nth, with: {{key: k{n}, fails: {1 if n == 11 else 0}}}}}\n" for n in range(12))
        + "- {id: m, after: ["
        + ", ".join(f"s{n}" for n in range(12))
        + "], task: note, with: {label: m}}",
        acts=[("failed", "retry")],
        log=["m"],
        outputs={"s11": 2},
    ),
    Case(
        "a wide join of which half had not ended",
        "steps:\n"
        + "".join(f"- {{id: s{n}, wait: {n + 1}s}}\n" for n in range(12))
        + f"- {{id: z, after: [s5], {FAILS_ONCE}}}\n- {{id: m, after: [z, "
        + ", ".join(f"s{n}" for n in range(12))
        + "], task: note, with: {label: m}}",
        acts=[("failed", "retry")],
        log=["m"],
    ),
    Case(
        "a wide join after two retries",
        "steps:\n"
        + "".join(f"- {{id: s{n}, task: nth, with: {{key: k{n}, fails: {2 if n == 3 else 0}}}}}\n" for n in range(12))
        + "- {id: m, after: ["
        + ", ".join(f"s{n}" for n in range(12))
        + "], task: note, with: {label: m}}",
        acts=[("failed", "retry"), ("failed", "retry")],
        log=["m"],
    ),
    Case(
        "a hundred items after the retry",
        """
        steps:
        - {id: a, forEach: input, task: nth, with: {key: "${string(item)}", fails: "${item == 99 ? 1 : 0}"}}
        - {id: m, after: [a], set: "${steps.a.output.filter(n, n == 2).size()}"}
        """,
        input=list(range(200)),
        acts=[("failed", "retry")],
        output={"m": 1},
    ),
    Case(
        "what was undone runs again",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, task: note, with: {label: a}, compensate: {task: note, with: {label: undo a}}}
        - {id: b, after: [a], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry")],
        log=["a", "undo a", "a"],
        compensated=None,
    ),
    Case(
        "what was undone is undone again",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, task: note, with: {label: a}, compensate: {task: note, with: {label: undo a}}}
        - {id: b, after: [a], task: boom}
        """,
        acts=[("failed", "retry")],
        status="failed",
        error="Boom",
        log=["a", "undo a", "a", "undo a"],
        compensated=True,
    ),
    Case(
        "inside what was undone",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group:
            steps:
            - {id: a, task: note, with: {label: a}, compensate: {task: note, with: {label: undo a}}}
            - {id: n, task: note, with: {label: n}}
        - {id: b, after: [g], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry")],
        logged=["a", "undo a", "a", "n"],
    ),
    Case(
        "a cancelled run",
        "steps: [{id: a, wait: 10s}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[(5, "cancel"), ("cancelled", "retry")],
        log=["b"],
    ),
    Case(
        "a run that timed out starts its time anew",
        """
        timeout: 20s
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, after: [a], signal: {name: go}}
        """,
        acts=[("timedOut", "retry"), (None, "signal", "go", 1)],
        log=["a"],
        outputs={"b": 1},
    ),
    Case(
        "a caught failure is not run again",
        """
        steps:
        - {id: a, task: note_and_fail, with: {label: a}, catch: [{errors: ["*"], output: x}]}
        - {id: b, after: [a], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry")],
        log=["a"],
    ),
    Case(
        "a choice stands",
        """
        steps:
        - {id: s, switch: [{when: "true", then: a}, {else: c}]}
        - {id: a, task: nth, with: {key: k, fails: 1}}
        - {id: c, task: note, with: {label: c}}
        - {id: m, after: [a, c], set: 1}
        """,
        acts=[("failed", "retry")],
        log=[],
        steps={"c": "skipped", "m": "succeeded"},
    ),
    Case(
        "a child that failed is run again",
        'steps: [{id: a, workflow: {id: child, input: "${input}"}}]',
        others=["id: child\nsteps: [{id: x, set: '${10 / input.n}'}]"],
        input={"n": 0},
        acts=[("failed", "retry", None, {"n": 2})],
        output={"a": {"x": 5}},
    ),
    Case(
        "a signal that was taken is not taken again",
        """
        steps:
        - {id: a, signal: {name: go}}
        - {id: b, after: [a], task: nth, with: {key: k, fails: 1}}
        - {id: c, after: [b], set: "${steps.a.output}"}
        """,
        acts=[("waiting", "signal", "go", 7), ("failed", "retry")],
        output={"c": 7},
    ),
    Case(
        "attempts begin anew",
        "steps: [{id: a, task: nth, with: {key: k, fails: 3}, retry: {maxAttempts: 2, delay: 0s}}]",
        acts=[("failed", "retry")],
        output={"a": 4},
    ),
    Case(
        "clean-up runs again with what it comes after",
        """
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}}
        - {id: t, join: done, after: [a], task: note, with: {label: tidy}}
        """,
        acts=[("failed", "retry")],
        log=["tidy", "tidy"],
    ),
    Case(
        "a failure under continue",
        """
        errorHandling: {onFailure: continue}
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}}
        - {id: b, after: [a], task: note, with: {label: b}}
        - {id: c, task: note, with: {label: c}}
        """,
        acts=[("failed", "retry")],
        logged=["b", "c"],
    ),
]


@each_way(RETRIED)
def test_retrying_a_run(case: Case, way: Way) -> None:
    play(case, way)


# ------------------------------------------------------------------------------------------------ what is refused


def at_rest(text: str, status: str | None = "waiting") -> tuple[MemoryEngine, str]:
    engine = MemoryEngine(Work().tasks())
    run_id = engine.start(definition(text))
    engine.wait(run_id, status)
    return engine, run_id


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        pytest.param("pause", (), id="pause"),
        pytest.param("resume", (), id="resume"),
        pytest.param("cancel", (), id="cancel"),
        pytest.param("signal", ("go", 1), id="signal"),
        pytest.param("retry", (), id="retry of what succeeded"),
    ],
)
def test_a_run_that_succeeded_is_left_alone(verb: str, args: tuple[object, ...]) -> None:
    engine, run_id = at_rest("steps: [{id: a, set: 1}]", None)
    with pytest.raises(Rejected) as refusal:
        getattr(engine.operations, verb)(TENANT, run_id, *args)
    assert (refusal.value.code, refusal.value.status) == ("wrong-state", 409)


@pytest.mark.parametrize("verb", ["show", "history", "pause", "resume", "cancel", "retry"])
def test_a_run_that_does_not_exist_is_not_found(verb: str) -> None:
    engine = MemoryEngine()
    with pytest.raises(Rejected) as refusal:
        getattr(engine.operations, verb)(TENANT, "0" * 32)
    assert (refusal.value.code, refusal.value.status) == ("not-found", 404)


def test_only_those_named_may_approve() -> None:
    engine, run_id = at_rest("steps: [{id: a, approval: {by: [ann, bob]}}]")
    with pytest.raises(Rejected, match="eve may not decide step a: it asks for ann, bob") as refusal:
        engine.approve(run_id, "a", by="eve")
    assert (refusal.value.code, refusal.value.status) == ("forbidden", 403)
    assert engine.show(run_id).steps["a"].status == "waiting"
    engine.approve(run_id, "a", by="bob")
    assert engine.wait(run_id).output == {"a": {"decision": "approved", "by": "bob", "comment": None}}


def test_nobody_decides_twice() -> None:
    engine, run_id = at_rest("steps: [{id: a, approval: {}}, {id: b, after: [a], signal: {name: go}}]")
    engine.approve(run_id, "a", by="ann")
    with pytest.raises(Rejected) as refusal:
        engine.reject(run_id, "a", by="bob")
    assert refusal.value.status == 409


def test_only_what_waits_for_it_is_approved_or_decided() -> None:
    engine, run_id = at_rest("steps: [{id: a, approval: {}}, {id: b, signal: {name: go}}, {id: c, after: [a, b], set: 1}]")
    for act in (lambda: engine.approve(run_id, "b", by="ann"), lambda: engine.decide(run_id, "a", "skip")):
        with pytest.raises(Rejected) as refusal:
            act()
        assert refusal.value.status == 409
    with pytest.raises(Rejected) as refusal:
        engine.approve(run_id, "c", by="ann")
    assert refusal.value.status == 404


@pytest.mark.parametrize("waited", [2, 5])
def test_a_signal_for_which_nobody_waits_any_more_is_kept_and_wakes_nobody_for_long(waited: int) -> None:
    """Of several steps whose time is over each was told by the others, for ever."""
    late = "\n".join(
        f"- {{id: a{n}, signal: {{name: go, timeout: 1m}}, catch: [{{errors: [Timeout], output: late}}]}}" for n in range(waited)
    )
    engine = MemoryEngine()
    run_id = engine.start(definition(f"steps:\n{late}\n- {{id: b, wait: 1h}}\n- {{id: c, after: [b], signal: {{name: go}}}}\n"))
    engine.pass_time("10m")
    engine.signal(run_id, "go", 7)
    for _ in range(2 * waited):
        engine.step(engine.now())
    assert not engine.step(engine.now())
    assert engine.wait(run_id).output == {**{f"a{n}": "late" for n in range(waited)}, "c": 7}


def test_a_signal_that_breaks_the_schema_is_refused_and_the_step_goes_on_waiting() -> None:
    engine, run_id = at_rest("steps: [{id: a, signal: {name: paid, schema: {type: object, required: [amount]}}}]")
    with pytest.raises(Rejected) as refusal:
        engine.signal(run_id, "paid", {"sum": 3})
    assert refusal.value.code == "invalid-input"
    engine.signal(run_id, "paid", {"amount": 3})
    assert engine.wait(run_id).output == {"a": {"amount": 3}}


def test_a_run_that_is_being_undone_is_not_cancelled() -> None:
    undone = (
        "errorHandling: {onFailure: compensate}\nsteps: [{id: a, set: 1, compensate: {wait: 1h}}, {id: z, after: [a], fail: {error: Boom}}]"
    )
    engine, run_id = at_rest(undone, "compensating")
    with pytest.raises(Rejected) as refusal:
        engine.cancel(run_id)
    assert refusal.value.code == "wrong-state"
    assert engine.wait(run_id).compensated is True


def test_a_retry_starts_at_a_step_that_exists() -> None:
    engine, run_id = at_rest("steps: [{id: a, fail: {error: Boom}}]", "failed")
    with pytest.raises(Rejected) as refusal:
        engine.operations.retry(TENANT, run_id, from_step="nowhere")
    assert refusal.value.code == "not-found"
    assert engine.show(run_id).status == "failed"


def test_the_same_key_is_the_same_run() -> None:
    engine = MemoryEngine()
    text = definition("steps: [{id: a, set: '${input.n}'}]")
    first = engine.start(text, {"n": 1}, key="k")
    assert engine.start(text, {"n": 1}, key="k") == first
    with pytest.raises(Rejected) as refusal:
        engine.start(text, {"n": 2}, key="k")
    assert refusal.value.code == "idempotency-conflict"


def test_the_same_key_is_the_same_run_also_after_a_newer_version_was_registered() -> None:
    operations = MemoryEngine().operations
    operations.register(TENANT, definition("input: {required: [n]}\nsteps: [{id: a, set: 1}]"))
    run = operations.start(TENANT, "case", {"n": 1}, key="k")
    operations.register(TENANT, definition("version: 2.0.0\ninput: {required: [m]}\nsteps: [{id: a, set: 2}]"))
    assert operations.start(TENANT, "case", {"n": 1}, key="k").id == run.id
    refused = []
    for given, version, key in (({"n": 2}, None, "k"), ({"n": 1, "m": 1}, "2.0.0", "k"), ({"n": 1}, None, "other")):
        with pytest.raises(Rejected) as refusal:
            operations.start(TENANT, "case", given, version=version, key=key)
        refused.append(refusal.value.code)
    assert refused == ["idempotency-conflict", "idempotency-conflict", "invalid-input"]


PAUSED_BETWEEN = """
errorHandling: {escalation: [{afterAttempts: 1, action: pause}]}
steps:
- id: f
  forEach: [1, 2, 3, 4]
  maxConcurrency: 3
  group:
    steps:
    - id: x
      task: flaky
      with: {fails: "${item == 1 ? 1 : 0}"}
      retry: {maxAttempts: 2, delay: 10s, backoff: fixed, jitter: none}
    - {id: w, after: [x], wait: 1m}
"""


@pytest.mark.parametrize("seed", range(12))
def test_items_that_a_pause_kept_from_beginning_begin_side_by_side(seed: int) -> None:
    """The first item's failure pauses the run, before or after the others begin."""
    work = Work()
    engine = MemoryEngine(work.tasks(), seed=seed)
    run_id = engine.start(definition(PAUSED_BETWEEN), {})
    engine.wait(run_id, "paused")
    engine.pass_time("2m")
    engine.resume(run_id)
    case = Case("paused", PAUSED_BETWEEN, attempts={"f[0].x": 2, "f[1].x": 1}, took=(180, 240))
    agree(case, engine.wait(run_id), work)
