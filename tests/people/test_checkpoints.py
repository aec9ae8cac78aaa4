"""Checkpoints: at whatever moment one is taken, the run that is restored from it comes to what the first one came to."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import NotFound
from treadle.simulation.driver import TENANT, MemoryEngine

SHAPES: dict[str, str] = {
    "a chain": "[{id: a, task: work, with: 1}, {id: b, after: [a], wait: 1m}, {id: c, after: [b], task: work, with: '${steps.a.output}'}]",
    "a diamond": """
    - {id: a, set: 1}
    - {id: b, after: [a], task: work, with: b}
    - {id: c, after: [a], wait: 10s}
    - {id: d, after: [b, c], set: "${[steps.b.output, steps.a.output]}"}
    """,
    "what is skipped": """
    - {id: a, set: 1}
    - {id: b, after: [a], when: "false", set: 2}
    - {id: c, after: [b], task: work, with: c}
    - {id: s, after: [a], switch: [{when: "steps.a.output == 1", then: x}, {else: y}]}
    - {id: x, task: work, with: x}
    - {id: y, task: work, with: y}
    """,
    "a join of any": """
    - {id: a, wait: 1m}
    - {id: b, task: work, with: b}
    - {id: c, after: [a, b], join: any, set: "${steps.b.output}"}
    - {id: d, after: [a, c], task: work, with: d}
    """,
    "a forEach": """
    - {id: f, forEach: "[1, 2, 3]", maxConcurrency: 1, task: work, with: "${item}"}
    - {id: z, after: [f], set: "${steps.f.output}"}
    """,
    "a long forEach": "[{id: f, forEach: input.many, task: work, with: '${item}'}, {id: z, after: [f], set: '${size(steps.f.output)}'}]",
    "a repeat": """
    - {id: r, repeat: {until: iteration == 2, max: 5}, task: work, with: "${iteration}"}
    - {id: z, after: [r], set: "${steps.r.output}"}
    """,
    "groups in loops": """
    - id: f
      forEach: "[1, 2]"
      group:
        steps:
        - {id: g, group: {steps: [{id: i, wait: 1s}, {id: j, after: [i], task: work, with: "${item}"}]}}
        - {id: k, after: [g], set: "${steps.g.output}"}
    """,
    "a failure that is handled": """
    - {id: a, task: fail, catch: [{errors: ["*"], then: h}]}
    - {id: h, task: work, with: h}
    - {id: o, wait: 1m}
    """,
    "a failure that is not": "[{id: a, set: 1}, {id: b, after: [a], task: fail}, {id: c, after: [b], set: 3}]",
}


@task
def work(given: Any, context: TaskContext) -> Any:
    return given


@task
def fail(given: Any, context: TaskContext) -> Any:
    raise TaskError("Broken", "as it should", permanent=True)


def document(steps: str) -> str:
    text = steps if steps.startswith("[") else "\n" + steps
    return f"id: w\nname: W\nversion: 1.0.0\nsteps: {text}\n"


def end_of(engine: MemoryEngine, run_id: str) -> tuple[Any, ...]:
    view = engine.wait(run_id)
    return view.status, view.output, view.error, {path: (step.status, step.output) for path, step in view.steps.items()}


@pytest.mark.parametrize("seed", [None, 3], ids=["in order", "in any order"])
@pytest.mark.parametrize("steps", SHAPES.values(), ids=SHAPES)
def test_restored_at_any_moment_a_run_comes_to_the_same(steps: str, seed: int | None) -> None:
    engine = MemoryEngine([work, fail], seed=seed)
    run_id = engine.start(document(steps), {"many": list(range(300))})
    taken = [engine.operations.checkpoint(TENANT, run_id)]
    while engine.step():
        taken.append(engine.operations.checkpoint(TENANT, run_id))
        taken = taken[::2] if len(taken) > 40 else taken  # of a long run every other moment
    wanted = end_of(engine, run_id)
    for kept in taken:
        restored = engine.operations.restore(TENANT, kept["id"]).id
        assert end_of(engine, restored) == wanted, f"from {kept['steps']}"


def test_what_a_checkpoint_has_is_not_run_again() -> None:
    ran: list[Any] = []

    @task(name="note")
    def note(given: Any, context: TaskContext) -> Any:
        ran.append((context.run_id, given))
        return given

    engine = MemoryEngine([note])
    steps = "[{id: a, task: note, with: a}, {id: ok, after: [a], approval: {}}, {id: b, after: [ok], task: note, with: b}]"
    run_id = engine.start(document(steps))
    engine.wait(run_id, "waiting")
    kept = engine.operations.checkpoint(TENANT, run_id, by="ann")
    engine.cancel(run_id)
    restored = engine.operations.restore(TENANT, kept["id"], by="ann").id
    engine.wait(restored, "waiting")
    engine.approve(restored, "ok", by="ann")
    assert engine.wait(restored).status == "succeeded"
    assert ran == [(run_id, "a"), (restored, "b")]
    assert engine.operations.checkpoints(TENANT, run_id) == [kept]


def test_what_was_undone_is_done_again() -> None:
    ran: list[str] = []

    @task(name="note")
    def note(given: Any, context: TaskContext) -> Any:
        ran.append(given)
        return given

    engine = MemoryEngine([note, fail])
    steps = """
    - {id: z, set: 1}
    - {id: a, after: [z], task: note, with: a, compensate: {task: note, with: undo a}}
    - id: f
      after: [a]
      forEach: "[1, 2]"
      group: {steps: [{id: i, task: note, with: "${string(item)}", compensate: {task: note, with: undo}}]}
    - {id: b, after: [f], task: fail}
    """
    run_id = engine.start(document(steps) + "errorHandling: {onFailure: compensate}\n")
    engine.wait(run_id)
    kept = engine.operations.checkpoint(TENANT, run_id)
    assert kept["steps"] == ["z"]
    first, ran[:] = list(ran), []
    engine.wait(engine.operations.restore(TENANT, kept["id"]).id)
    assert (sorted(ran), len(ran)) == (sorted(first), 6)


def test_the_same_key_restores_once() -> None:
    engine = MemoryEngine([work])
    kept = engine.operations.checkpoint(TENANT, engine.start(document(SHAPES["a chain"])))
    one, two = (engine.operations.restore(TENANT, kept["id"], key="k").id for _ in range(2))
    assert one == two


def test_anothers_checkpoint_is_not_found() -> None:
    engine = MemoryEngine([work])
    kept = engine.operations.checkpoint(TENANT, engine.start(document(SHAPES["a chain"])))
    with pytest.raises(NotFound):
        engine.operations.restore("rival", kept["id"])
