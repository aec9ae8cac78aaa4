"""The same cases on the whole local stack: real handlers, queues, bus and table of the local cloud, and threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from treadle.testing import LocalEngine

from tests.language import (
    test_actions,
    test_compensation,
    test_edges,
    test_failures,
    test_loops,
    test_patterns,
    test_people,
    test_together,
    test_values,
)
from tests.language.cases import Case, Work, agree, definition, follow

CASES = [
    case
    for cases in (
        test_edges.CHOICES,
        test_edges.JOINS,
        test_patterns.CASES,
        test_actions.ACTIONS,
        test_loops.FOR_EACH,
        test_loops.REPEAT,
        test_failures.RETRIES,
        test_failures.TIMES,
        test_failures.CATCHES,
        test_failures.MODES,
        test_compensation.CASES,
        test_people.STEERED,
        test_people.RETRIED,
        test_together.NESTED,
        test_together.FAILING,
        test_together.AGAIN,
        test_values.VALUES,
        test_values.MODIFIERS,
    )
    for case in cases
    if not case.broken and not any(isinstance(when, float | int) for when, *_ in case.acts)
]


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[LocalEngine, Work]]:
    """One engine for all cases: a stack takes longer to build than most of them to run."""
    work = Work()
    with LocalEngine(tasks=work.tasks(), skip_time=True) as engine:
        yield engine, work
        work.released.set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_on_the_local_stack(case: Case, stage: tuple[LocalEngine, Work]) -> None:
    engine, work = stage
    work.log.clear()
    for other in case.others:
        engine.register(definition(other).replace("id: child", f"id: child-{abs(hash(case.id))}", 1))
    text = definition(case.text).replace("workflow: {id: child", f"workflow: {{id: child-{abs(hash(case.id))}")
    run_id = engine.start(text, case.input)
    for when, *act in case.acts:
        if when is not None:
            engine.wait(run_id, when)
        follow(engine, run_id, *act)
    run = engine.wait(run_id, case.status if case.status in ("waiting", "paused") else None)
    agree(case, run, work, slack=10)
    if run.status in ("waiting", "paused"):
        engine.cancel(run_id)
