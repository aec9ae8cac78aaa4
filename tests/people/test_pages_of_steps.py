"""Of a run with very many steps a view reads what it shows, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import task
from treadle.core.errors import NotFound, Rejected
from treadle.engine.reading import Checked
from treadle.ports import Page
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.stepping import PARTITIONS

HEAD = "id: w\nname: W\nversion: 1.0.0\n"


@task
def same(given: Any) -> Any:
    return given


@task
def busy(given: Any) -> Any:
    raise ValueError("not now")


NESTED = """
steps:
  - {id: b, set: 1}
  - id: f
    after: [b]
    forEach: input
    group:
      steps:
        - {id: x, set: "${item}"}
        - {id: y, after: [x], forEach: [1, 2], set: "${item}"}
        - {id: z, after: [y], repeat: {until: iteration == 1, max: 3}, set: "${iteration}"}
  - {id: a, after: [f], group: {steps: [{id: x, set: 1}]}}
  - {id: never, after: [{step: b, on: failed}], group: {steps: [{id: x2, set: 1}]}}
"""


def nested(items: int) -> tuple[MemoryEngine, str]:
    engine = MemoryEngine()
    text = HEAD + NESTED.replace("{id: x, set: 1}", "{id: x1, set: 1}")
    return engine, engine.run(text, list(range(items))).id


def pages(engine: MemoryEngine, run: str, limit: int) -> list[str]:
    view = engine.operations.show(TENANT, run, limit=limit)
    found = [*view.steps]
    while view.steps_cursor is not None:
        assert len(view.steps) <= limit
        view = engine.operations.show(TENANT, run, limit=limit, cursor=view.steps_cursor)
        found += view.steps
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 1000])
def test_the_pages_together_are_all_that_there_is(limit: int) -> None:
    engine, run = nested(3)
    inside = [f"f[{n}]{path}" for n in range(3) for path in ("", ".x", ".y", ".y[0]", ".y[1]", ".z", ".z[0]", ".z[1]")]
    assert pages(engine, run, limit) == ["b", "f", *inside, "a", "a.x1", "never"]


def test_each_path_is_a_cursor_and_a_step() -> None:
    engine, run = nested(2)
    paths = pages(engine, run, 1000)
    for number, path in enumerate(paths):
        behind = engine.operations.show(TENANT, run, cursor=path)
        assert [*behind.steps] == paths[number + 1 :]
        assert engine.operations.places.step(TENANT, run, path) == engine.show(run).steps[path]


@pytest.mark.parametrize("path", ["", "nobody", "f.x", "b[0]", "f[x]", "f[0].nobody", "f[0].x.y", "f[0]~1.x", "%%%", "f[-1]", "b.b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    engine, run = nested(1)
    with pytest.raises(Rejected, match="no cursor of this list"):
        engine.operations.show(TENANT, run, cursor=path)
    with pytest.raises(NotFound):
        engine.operations.places.step(TENANT, run, path)


@pytest.mark.parametrize("path", ["f[9]", "f[9].x", "never.x2"])
def test_what_has_not_begun_is_no_step_yet(path: str) -> None:
    engine, run = nested(1)
    with pytest.raises(NotFound):
        engine.operations.places.step(TENANT, run, path)


class Counted(Checked):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.read: list[str] = []

    def query(self, pk: str, **more: Any) -> Page:
        self.read.append(pk)
        return super().query(pk, **more)


LOOP = (
    HEAD
    + "steps: [{id: first, set: 1}, {id: f, after: [first], forEach: input, task: same, with: '${item}'}, {id: z, after: [f], set: 2}]\n"
)


def test_a_page_reads_its_own_part_of_a_large_loop() -> None:
    engine = MemoryEngine([same])
    run = engine.run(LOOP, list(range(3000))).id
    counted = Counted(engine.cloud.store, lenient=True)
    engine.world.store = counted
    first = engine.operations.show(TENANT, run, limit=100)
    assert (len(first.steps), first.steps_cursor) == (100, "f[97]")
    assert len(counted.read) <= 2  # the root, and the loop's first page
    counted.read.clear()
    assert [*engine.operations.show(TENANT, run, limit=3, cursor="f[2000]").steps] == ["f[2001]", "f[2002]", "f[2003]"]
    assert len(counted.read) <= 2
    counted.read.clear()
    assert [*engine.operations.show(TENANT, run, limit=3, cursor="f[2998]").steps] == ["f[2999]", "z"]
    counted.read.clear()
    assert engine.operations.places.step(TENANT, run, "f[2999]").output == 2999
    assert len(counted.read) <= 2


def test_the_cost_of_a_run_does_not_depend_on_the_page() -> None:
    engine = MemoryEngine([same])
    run = engine.run(LOOP, list(range(700))).id
    whole = engine.operations.show(TENANT, run, limit=10_000).cost
    assert whole == engine.operations.show(TENANT, run, limit=100).cost == engine.operations.show(TENANT, run, cursor="f[600]").cost


def test_items_that_have_not_begun_do_not_keep_a_page_waiting() -> None:
    """Of a loop of very many of which few have begun: a short page, and a cursor to go on from."""
    engine = MemoryEngine([same, busy])
    text = (
        HEAD
        + "steps: [{id: f, forEach: input, maxConcurrency: 1, task: busy, with: 1, retry: {maxAttempts: 2, delay: 1h, jitter: none}}]\n"
    )
    run = engine.start(text, [0] * (PARTITIONS * 256 * 2))
    engine.pass_time("1m")
    seen = pages(engine, run, 1000)
    assert seen == ["f", "f[0]"]


def test_the_error_of_a_run_is_whole_on_each_page() -> None:
    engine = MemoryEngine([busy])
    text = HEAD + "steps: [{id: f, forEach: input, set: 1}, {id: z, after: [f], fail: {error: Bad, message: '%s'}}]\n"
    run = engine.run(text % ("long " * 200), list(range(50))).id
    view = engine.operations.show(TENANT, run, limit=10)
    assert "z" not in view.steps
    assert (view.error or {})["message"] == "long " * 200
