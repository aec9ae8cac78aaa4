"""What led to an error is told with it, as a traceback would: bounded, and without secrets (tests/security)."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskError, task
from treadle.engine.outcome import MOST_CAUSES
from treadle.simulation.driver import MemoryEngine


def error_of(body: Any) -> dict[str, Any]:
    engine = MemoryEngine([task(name="fails")(body)])
    run = engine.run("id: w\nname: W\nversion: 1.0.0\nsteps: [{id: a, task: fails}]\n")
    return dict(run.steps["a"].error or {})


def plain(given: Any) -> Any:
    raise ValueError("alone")


def named(given: Any) -> Any:
    try:
        raise ConnectionError("no route to the bank")
    except ConnectionError as fault:
        raise ValueError("not charged") from fault


def on_the_way(given: Any) -> Any:
    try:
        raise KeyError("card")
    except KeyError:
        raise TaskError("CardMissing", "there is no card")  # noqa: B904 (what is tried here)


def kept_quiet(given: Any) -> Any:
    try:
        raise KeyError("card")
    except KeyError:
        raise ValueError("no card") from None


def with_details(given: Any) -> Any:
    raise TaskError("Declined", "no", {"code": 7}) from KeyError("card")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        pytest.param(plain, None, id="nothing"),
        pytest.param(named, {"causes": [{"name": "ConnectionError", "message": "no route to the bank"}]}, id="the cause"),
        pytest.param(on_the_way, {"causes": [{"name": "KeyError", "message": "'card'"}]}, id="what was being handled"),
        pytest.param(kept_quiet, None, id="what was kept quiet"),
        pytest.param(with_details, {"code": 7}, id="the task's own details stand above"),
    ],
)
def test_an_error_tells_what_led_to_it(body: Any, details: Any) -> None:
    assert error_of(body).get("details") == details


def test_a_long_chain_is_cut() -> None:
    def deep(given: Any) -> Any:
        raised = ValueError("0")
        for number in range(1, 20):
            following = ValueError(str(number) * 2000)
            following.__cause__ = raised
            raised = following
        raise raised

    causes = error_of(deep)["details"]["causes"]
    assert [each["message"][:2] for each in causes] == ["18", "17", "16", "15", "14"]
    assert len(causes) == MOST_CAUSES
    assert all(len(each["message"]) <= 500 for each in causes)
