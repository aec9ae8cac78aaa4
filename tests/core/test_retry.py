"""Whether and when a failed attempt is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from treadle.core.model import StepError
from treadle.core.retry import Retry, matches, next_attempt

BOOM = StepError("Boom")


@pytest.mark.parametrize(
    ("written", "waits"),
    [
        pytest.param({"backoff": "fixed", "delay": "2s"}, [2000, 2000, 2000], id="fixed"),
        pytest.param({"backoff": "linear", "delay": "2s"}, [2000, 4000, 6000], id="linear"),
        pytest.param({"backoff": "exponential", "delay": "1s", "multiplier": 3}, [1000, 3000, 9000], id="exponential"),
        pytest.param({"backoff": "exponential", "delay": "1s", "maxDelay": "2500ms"}, [1000, 2000, 2500], id="capped"),
        pytest.param(
            {"backoff": "exponential", "delay": "10m", "multiplier": 3}, [600_000, 1_800_000, 5_400_000], id="no cap unless given"
        ),
    ],
)
def test_delays_before_attempts_two_three_and_four(written: dict[str, object], waits: list[int]) -> None:
    retry = Retry.from_json({"jitter": "none", **written})
    assert [retry.wait_before(attempt, 0.5) for attempt in (2, 3, 4)] == waits


@given(st.floats(0, 1, exclude_max=True), st.integers(2, 100))
def test_full_jitter_stays_between_nothing_and_the_delay(chance: float, attempt: int) -> None:
    full = Retry(delay=1000, max_delay=60_000, jitter="full").wait_before(attempt, chance)
    none = Retry(delay=1000, max_delay=60_000, jitter="none").wait_before(attempt, chance)
    assert 0 <= full <= none <= 60_000


@pytest.mark.parametrize(
    ("written", "error", "again"),
    [
        pytest.param({}, BOOM, True, id="any error by default"),
        pytest.param({"on": ["Card*"]}, StepError("CardDeclined"), True, id="by prefix"),
        pytest.param({"on": ["Card*"]}, BOOM, False, id="not named"),
        pytest.param({"except": ["Boom"]}, BOOM, False, id="excepted"),
        pytest.param({"on": ["Boom"], "except": ["B*"]}, BOOM, False, id="except wins"),
        pytest.param({}, StepError("ExpressionError"), False, id="a permanent error"),
        pytest.param({"on": ["*"]}, StepError("Rejected"), False, id="* does not name permanent ones"),
        pytest.param({"on": ["Rejected"]}, StepError("Rejected"), True, id="its name does"),
        pytest.param({}, StepError("Boom", permanent=True), False, id="marked permanent by the task"),
        pytest.param({}, StepError("Timeout"), True, id="a timeout is transient"),
    ],
)
def test_which_errors_are_tried_again(written: dict[str, object], error: StepError, again: bool) -> None:
    assert (next_attempt(Retry.from_json(written), error, 1, 0.0) is not None) is again


def test_max_attempts_counts_the_first() -> None:
    retry = Retry(max_attempts=3)
    assert [next_attempt(retry, BOOM, attempt, 0.0) is None for attempt in (1, 2, 3)] == [False, False, True]


def test_without_a_policy_there_is_one_attempt() -> None:
    assert next_attempt(None, BOOM, 1, 0.0) is None


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [("Boom", "Boom", True), ("Bo", "Boom", False), ("Bo*", "Boom", True), ("*", "anything", True), ("Boom*", "Boom", True)],
)
def test_names_match_exactly_or_by_a_trailing_star(pattern: str, name: str, expected: bool) -> None:
    assert matches([pattern], name) is expected
