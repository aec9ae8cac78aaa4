"""Checkpoints: at whatever moment one is taken, the run that is restored from it comes to what the first one came to."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import NotFound
from treadle.engine import Settings
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
    error = {name: said for name, said in (view.error or {}).items() if name != "input"}  # where it is shown names the run
    return view.status, view.output, error, {path: (step.status, step.output) for path, step in view.steps.items()}


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


# ------------------------------------------------------------------------------------------------ by themselves

LONG = """
- {id: r, repeat: {until: iteration == 29, max: 30}, wait: 1m}
- {id: z, after: [r], set: done}
"""


def of_itself(engine: MemoryEngine, run_id: str) -> list[dict[str, Any]]:
    return [kept for kept in engine.operations.checkpoints(TENANT, run_id) if kept["why"] != "asked"]


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        pytest.param(Settings(checkpoint_every_ms=300_000), "", id="as the engine says"),
        pytest.param(Settings(), "checkpoint: {every: 5m}\n", id="as the definition says"),
        pytest.param(Settings(checkpoint_every_ms=3_600_000), "checkpoint: {every: 5m}\n", id="the definition stands above"),
    ],
)
def test_a_long_run_keeps_checkpoints_at_an_interval(settings: Settings, own: str) -> None:
    engine = MemoryEngine([work], settings=settings)
    run_id = engine.start(document(LONG) + own)
    wanted = end_of(engine, run_id)
    kept = of_itself(engine, run_id)
    assert [each["why"] for each in kept] == ["interval"] * len(kept)
    assert 4 <= len(kept) <= 6
    for each in kept:
        assert end_of(engine, engine.operations.restore(TENANT, each["id"]).id) == wanted


def test_without_an_interval_none_is_taken() -> None:
    engine = MemoryEngine([work])
    run_id = engine.start(document(LONG) + "checkpoint: {steps: 5}\n")
    engine.wait(run_id)
    assert engine.operations.checkpoints(TENANT, run_id) == []


def test_only_the_last_ten_are_kept_beside_those_that_were_asked_for() -> None:
    engine = MemoryEngine([work], settings=Settings(checkpoint_every_ms=60_000))
    run_id = engine.start(document(LONG))
    asked = [engine.operations.checkpoint(TENANT, run_id) for _ in range(2)]
    engine.wait(run_id)
    assert len(of_itself(engine, run_id)) == 10
    stand = [kept["id"] for kept in engine.operations.checkpoints(TENANT, run_id) if kept["why"] == "asked"]
    assert sorted(stand) == sorted(kept["id"] for kept in asked)
    stored = [item for item in engine.cloud.store.items() if item["sk"] == "checkpoint"]
    assert len(stored) == 12


@pytest.mark.parametrize("waits", ["signal: {name: s}", "wait: 30d"])
def test_a_run_that_only_waits_is_not_woken_for_its_checkpoints(waits: str) -> None:
    engine = MemoryEngine([work], settings=Settings(checkpoint_every_ms=300_000))
    run_id = engine.start(document(f"[{{id: a, task: work}}, {{id: b, after: [a], {waits}}}]"))
    engine.pass_time("1d")
    assert len(of_itself(engine, run_id)) == 1
    before = engine.delivered
    engine.pass_time("1d")
    assert engine.delivered == before


def test_before_a_run_is_amended_what_it_was_is_kept() -> None:
    engine = MemoryEngine([work])
    steps = "[{id: a, task: work, with: a}, {id: s, after: [a], signal: {name: s}}, {id: b, after: [s], set: old}]"
    run_id = engine.start(document(steps))
    engine.wait(run_id, "waiting")
    engine.operations.amend(TENANT, run_id, document(steps.replace("set: old", "set: new")))
    (kept,) = of_itself(engine, run_id)
    assert (kept["why"], kept["steps"]) == ("amend", ["a"])
    restored = engine.operations.restore(TENANT, kept["id"]).id
    for run in (run_id, restored):
        engine.wait(run, "waiting")
        engine.operations.signal(TENANT, run, "s")
    assert [engine.wait(run).output for run in (run_id, restored)] == [{"b": "new"}, {"b": "old"}]


# ------------------------------------------------------------------------------------------------ from a step


FORKED = """
- {id: a, task: note, with: a}
- {id: f, after: [a], forEach: "[1, 2]", group: {steps: [{id: i, task: note, with: "${string(item)}"}]}}
- {id: b, after: [f], task: note, with: b}
- {id: side, task: note, with: side}
- {id: c, after: [b, side], task: note, with: "${input.c}"}
"""


@pytest.mark.parametrize(
    ("step", "again"),
    [("a", ["1", "2", "a", "b", "new"]), ("f", ["1", "2", "b", "new"]), ("b", ["b", "new"]), ("side", ["new", "side"]), ("c", ["new"])],
)
@pytest.mark.parametrize("by_way_of", ["a checkpoint", "a rerun"])
def test_a_step_and_what_comes_after_it_is_run_again_in_a_new_run(step: str, again: list[str], by_way_of: str) -> None:
    ran: list[str] = []

    @task(name="note")
    def note(given: Any) -> Any:
        ran.append(given)
        return given

    engine = MemoryEngine([note])
    run_id = engine.start(document(FORKED), {"c": "old"})
    engine.wait(run_id)
    ran.clear()
    if by_way_of == "a rerun":
        new = engine.operations.rerun(TENANT, run_id, from_step=step, input={"c": "new"})
    else:
        kept = engine.operations.checkpoint(TENANT, run_id)
        new = engine.operations.restore(TENANT, kept["id"], from_step=step, input={"c": "new"})
    ended = engine.wait(new.id)
    assert (ended.status, ended.output, sorted(ran)) == ("succeeded", {"c": "new"}, again)
    assert engine.show(run_id).output == {"c": "old"}


def test_a_step_that_there_is_not_is_no_beginning() -> None:
    engine = MemoryEngine([work])
    run_id = engine.start(document(SHAPES["a chain"]))
    kept = engine.operations.checkpoint(TENANT, run_id)
    for begin in (
        lambda: engine.operations.restore(TENANT, kept["id"], from_step="nope"),
        lambda: engine.operations.rerun(TENANT, run_id, from_step="nope"),
    ):
        with pytest.raises(NotFound, match="nope"):
            begin()


def test_the_same_key_forks_once_although_the_old_run_goes_on() -> None:
    engine = MemoryEngine([work])
    run_id = engine.start(document(SHAPES["a chain"]))
    one = engine.operations.rerun(TENANT, run_id, from_step="c", key="k").id
    engine.wait(run_id)
    assert engine.operations.rerun(TENANT, run_id, from_step="c", key="k").id == one
    assert engine.wait(one).status == "succeeded"
