"""`MemoryEngine`: the same seed is the same trace, the clock jumps and never runs back, and rest is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.simulation.driver import MemoryEngine
from treadle.simulation.notebook import Notebook

FAN = {
    "id": "fan", "name": "Fan", "version": "1.0.0",
    "steps": [{"id": f"s{n}", "task": "record"} for n in range(6)],
}  # fmt: skip
WAITS = {
    "id": "waits", "name": "Waits", "version": "1.0.0",
    "steps": [{"id": "a", "wait": "3m"}, {"id": "b", "after": ["a"], "wait": "20d"}, {"id": "c", "after": ["b"], "set": "${1 + 1}"}],
}  # fmt: skip
GATE = {"id": "gate", "name": "Gate", "version": "1.0.0", "steps": [{"id": "go", "signal": {"name": "go"}}]}


def order(seed: int | None) -> list[Any]:
    notebook = Notebook()
    run = MemoryEngine(notebook.tasks(), seed=seed).run(FAN)
    return notebook.labels[run.id]


def test_a_seed_is_a_trace() -> None:
    assert order(3) == order(3)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1
    assert sorted(order(3)) == ["s0", "s1", "s2", "s3", "s4", "s5"]


def test_without_a_seed_messages_come_in_turn() -> None:
    assert order(None) == order(None)


def test_waits_take_no_real_time_and_all_of_the_logical() -> None:
    engine = MemoryEngine()
    begin = engine.now()
    run = engine.run(WAITS)
    took_ms = engine.now() - begin
    whole_ms = 3 * 60_000 + 20 * 86_400_000
    assert run.output == {"c": 2}
    assert whole_ms <= took_ms < whole_ms + 60_000


def test_advance_stops_at_its_moment() -> None:
    engine = MemoryEngine()
    run_id = engine.start(WAITS)
    moment = engine.now() + 4 * 60_000
    engine.advance(moment)
    assert engine.now() == moment
    steps = engine.show(run_id).steps
    assert (steps["a"].status, steps["b"].status) == ("succeeded", "waiting")


def test_rest_is_noticed() -> None:
    engine = MemoryEngine()
    run_id = engine.start(GATE)
    with pytest.raises(TimeoutError, match="rests waiting"):
        engine.wait(run_id)
    assert engine.step() is False
    engine.signal(run_id, "go", {"n": 1})
    assert engine.wait(run_id).output == {"go": {"n": 1}}
