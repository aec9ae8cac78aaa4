"""What a user sees does not tell how it is stored: small payloads are in place, large ones are references unless all is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.core.errors import Rejected
from treadle.engine.items import INLINE_LIMIT, encode, is_ref
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.viewing import MOST, SMALL
from treadle.views import RunView

HEAD = "id: w\nname: W\nversion: 1.0.0\n"
ONE = f"{HEAD}steps: [{{id: a, set: '${{input}}'}}]\noutput: '${{steps.a.output}}'\n"


def text_of(size: int) -> str:
    """That has so many bytes as JSON."""
    return "x" * (size - 2)


def shown(text: str, given: Any) -> tuple[MemoryEngine, RunView]:
    engine = MemoryEngine()
    run_id = engine.start(text, given)
    engine.wait(run_id)
    return engine, engine.operations.show(TENANT, run_id, full=False)


@pytest.mark.parametrize("size", [5000, INLINE_LIMIT, INLINE_LIMIT + 1, SMALL])
def test_a_payload_of_at_most_64_kib_is_in_place(size: int) -> None:
    given = text_of(size)
    _, run = shown(ONE, given)
    assert (run.input, run.steps["a"].output, run.output) == (given, given, given)


def test_a_larger_one_is_a_reference_unless_all_is_asked_for() -> None:
    given = text_of(SMALL + 1)
    engine, run = shown(ONE, given)
    assert [is_ref(value) for value in (run.input, run.steps["a"].output, run.output)] == [True, True, True]
    whole = engine.operations.show(TENANT, run.id)
    assert (whole.input, whole.steps["a"].output, whole.output) == (given, given, given)


def test_it_is_one_in_the_answer_of_a_start_and_of_what_people_do_as_well() -> None:
    engine, given = MemoryEngine(), text_of(SMALL + 1)
    definition = f"{HEAD}steps: [{{id: ok, approval: {{}}}}]\n"
    begun = [engine.operations.run_definition(TENANT, definition, given, key="k") for _ in range(2)]
    engine.wait(begun[0].id, "waiting")
    acted = engine.operations.approve(TENANT, begun[0].id, "ok", by="ann")
    assert [is_ref(run.input) for run in (*begun, acted)] == [True, True, True]
    assert len({encode(run.input) for run in (*begun, acted)}) == 1


def test_a_small_input_is_in_the_answer_of_a_start() -> None:
    given = text_of(SMALL)
    assert MemoryEngine().operations.run_definition(TENANT, ONE, given).input == given


def test_a_cursor_that_is_none_is_refused() -> None:
    engine, run = shown(ONE, 1)
    assert engine.operations.show(TENANT, run.id, cursor="a").steps == {}
    with pytest.raises(Rejected) as refused:
        engine.operations.show(TENANT, run.id, cursor="nowhere")
    assert refused.value.code == "bad-value"


def test_a_view_reads_and_carries_so_much_and_no_more() -> None:
    count = 80
    items = [str(number) + text_of(SMALL - 10) for number in range(count)]
    _, run = shown(f"{HEAD}steps: [{{id: a, forEach: input, set: '${{item}}'}}]\n", items)
    outputs = [run.steps[f"a[{number}]"].output for number in range(count)]
    in_place = [output for output in outputs if not is_ref(output)]
    assert in_place == items[: len(in_place)]
    assert MOST - SMALL < sum(map(len, in_place)) < MOST + SMALL


def test_the_same_one_is_read_once() -> None:
    count = 100
    given = text_of(SMALL)
    _, run = shown(f"{HEAD}steps: [{{id: a, forEach: 'input.n', set: '${{input.text}}'}}]\n", {"n": list(range(count)), "text": given})
    assert {run.steps[f"a[{number}]"].output for number in range(count)} == {given}
