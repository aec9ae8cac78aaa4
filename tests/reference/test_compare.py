"""The engine and the reference interpreter come to the same on random definitions.

`TREADLE_COMPARE=50000 TREADLE_SEED=7 pytest tests/reference/test_compare.py` compares more, or others.
"""

from __future__ import annotations

import os
import random

import pytest
from treadle.simulation.compare import Compared, checker, compare
from treadle.simulation.generate import case

COUNT = int(os.environ.get("TREADLE_COMPARE", "300"))
PARTS = 10  # so that a failure names its part, and parts run side by side


@pytest.mark.timeout(0 if COUNT > 3000 else 120)
@pytest.mark.parametrize("part", range(PARTS))
def test_random_definitions_come_to_what_the_page_says(part: int) -> None:
    numbers = random.Random(f"{os.environ.get('TREADLE_SEED', '1')}/{part}")
    found: list[Compared] = [compare(numbers.getrandbits(48)) for _ in range(COUNT // PARTS)]
    assert [str(one) for one in found if one.differs] == []


def test_generated_definitions_are_valid() -> None:
    valid = checker()
    told = [d for number in range(200) for d in valid.check(case(number).definition).errors]
    assert told == []


def test_one_number_is_one_case() -> None:
    assert case(5) == case(5)
    assert case(5) != case(6)


def test_generated_definitions_use_the_whole_language() -> None:
    """What no definition of the suite uses is not compared."""
    text = repr([case(number) for number in range(400)])
    words = (
        "task set wait signal approval workflow emit switch group fail after join when forEach maxConcurrency tolerate repeat delay retry "
        "timeout catch compensate output priority idempotent dependencies until while percent failures any done failed skipped else "
        "succeeded cancel pause resume decide approve reject checkpoint onFailure continue stop maxDelay except linear fixed exponential"
    )
    assert [word for word in words.split() if f"'{word}'" not in text] == []
