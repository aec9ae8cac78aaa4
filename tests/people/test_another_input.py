"""A run that is tried again, or begun once more, with another input: it counts, and is found, by that one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.core.errors import Rejected
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.views import RunView

TEXT = """
id: w
name: W
version: 1.0.0
concurrency: {key: input.k, limit: 1, overflow: %s}
metadata: {attributes: {k: "${input.k}", fixed: 1}}
steps:
- {id: x, when: input.bad, fail: {error: Boom}}
- {id: y, after: [x], wait: 1h}
"""


@pytest.fixture
def engine() -> MemoryEngine:
    made = MemoryEngine()
    made.register(TEXT % "queue")
    return made


def begun(engine: MemoryEngine, k: str, *, bad: bool = False, **more: Any) -> str:
    run_id = engine.operations.start(TENANT, "w", {"k": k, "bad": bad}, **more).id
    engine.pass_time("1s")
    return run_id


def retried(engine: MemoryEngine, run_id: str, k: str) -> RunView:
    engine.operations.retry(TENANT, run_id, input={"k": k, "bad": False})
    engine.pass_time("1s")
    return engine.show(run_id)


def test_a_retry_waits_for_a_place_of_its_new_key(engine: MemoryEngine) -> None:
    run_id, other = begun(engine, "a", bad=True), begun(engine, "b")
    assert retried(engine, run_id, "b").status == "pending"
    engine.cancel(other)
    engine.pass_time("1s")
    assert engine.show(run_id).status == "running"


def test_a_retry_leaves_its_old_key_to_others(engine: MemoryEngine) -> None:
    run_id = begun(engine, "a", bad=True)
    assert retried(engine, run_id, "b").status == "running"
    assert [engine.show(begun(engine, key)).status for key in ("a", "b")] == ["running", "pending"]
    engine.pass_time("3h")
    assert {run.status for run in engine.runs("w")} == {"succeeded"}


def test_an_input_that_has_no_key_is_refused(engine: MemoryEngine) -> None:
    run_id = begun(engine, "a", bad=True)
    with pytest.raises(Rejected, match=r"concurrency.key fails for this input"):
        engine.operations.retry(TENANT, run_id, input={"bad": False})
    assert (engine.show(run_id).status, engine.show(run_id).input) == ("failed", {"k": "a", "bad": True})


def _retry(engine: MemoryEngine, run_id: str, given: Any) -> str:
    engine.operations.retry(TENANT, run_id, input=given)
    return run_id


def _rerun(engine: MemoryEngine, run_id: str, given: Any) -> str:
    return engine.operations.rerun(TENANT, run_id, input=given).id


def _rerun_from(engine: MemoryEngine, run_id: str, given: Any) -> str:
    return engine.operations.rerun(TENANT, run_id, from_step="x", input=given).id


def _restore(engine: MemoryEngine, run_id: str, given: Any) -> str:
    return engine.operations.restore(TENANT, engine.operations.checkpoint(TENANT, run_id)["id"], input=given).id


WAYS = [_retry, _rerun, _rerun_from, _restore]


@pytest.mark.parametrize("again", WAYS)
def test_it_is_found_by_its_new_input(engine: MemoryEngine, again: Callable[[MemoryEngine, str, Any], str]) -> None:
    run_id = again(engine, begun(engine, "a", bad=True), {"k": "b", "bad": False})
    assert engine.show(run_id).attributes == {"k": "b", "fixed": 1}
    found, _ = engine.operations.runs(TENANT, workflow="w", attributes={"k": "b"})
    assert [run.id for run in found] == [run_id]


@pytest.mark.parametrize("again", WAYS)
def test_what_somebody_said_of_it_stays(engine: MemoryEngine, again: Callable[[MemoryEngine, str, Any], str]) -> None:
    run_id = begun(engine, "a", bad=True, attributes={"k": "mine", "who": "ann"})
    engine.operations.update(TENANT, run_id, {"attributes": {"fixed": 2}})
    again_id = again(engine, run_id, {"k": "b", "bad": False})
    assert engine.show(again_id).attributes == {"k": "mine", "fixed": 2, "who": "ann"}
