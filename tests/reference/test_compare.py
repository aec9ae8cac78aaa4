"""The engine and the reference interpreter come to the same on random definitions.

`TREADLE_COMPARE=50000 TREADLE_SEED=7 pytest tests/reference/test_compare.py` compares more, or others.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from treadle.simulation.compare import Compared, checker, compare, covered
from treadle.simulation.constructs import EXEMPT, Table, constructs, is_exempt, used
from treadle.simulation.generate import Case, case

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
    """What no definition has is not compared. The list is the models' own; what is left out of it has its reason in `EXEMPT`."""
    carried: Counter[str] = Counter()
    for number in range(1500):
        given = case(number)
        carried.update({name for document in (given.definition, *given.workflows) for name, _ in used(document)})
    assert [name for name in constructs() if not carried[name] and not is_exempt(name)] == []
    assert [name for name in EXEMPT if carried[name]] == []


def test_every_exemption_is_of_something_in_the_language() -> None:
    names = {*constructs(), *(name.partition(".")[0] for name in constructs())}
    assert [name for name in EXEMPT if name not in names] == []


def test_the_table_counts_what_ran() -> None:
    """`b` never begins: it is in the definition, and was not executed."""
    steps = [{"id": "a", "set": 1, "compensate": {"set": 2}}, {"id": "b", "after": [{"step": "a", "on": "failed"}], "wait": "1m"}]
    given = Case({"id": "w", "name": "W", "version": "1.0.0", "steps": steps}, {}, ({"at": "5m", "do": "cancel"},))
    table = Table()
    covered(compare(1, given), table)
    counted = {
        name: (table.carried[name], table.executed[name]) for name in ("Step.set", "Step.wait", "Edge.on=failed", "Compensation.set")
    }
    assert counted == {"Step.set": (1, 1), "Step.wait": (1, 0), "Edge.on=failed": (1, 0), "Compensation.set": (1, 0)}
    assert (table.carried["act=cancel"], table.executed["act=cancel"]) == (1, 0)
    assert "Step.wait" in table.missing()


def test_people_do_everything_that_they_can_do() -> None:
    done = {entry["do"] for number in range(400) for entry in case(number).script}
    assert done == {"signal", "approve", "reject", "decide", "answer", "beat", "cancel", "pause", "resume", "retry"}
