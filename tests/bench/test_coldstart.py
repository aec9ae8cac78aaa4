"""What functions and the command line load before they can work: counts, the same on every machine.

How long that takes is timed by `treadle bench --check`. Whoever has to load more raises a limit in benchmarks/gates.json, and says why.
"""

from __future__ import annotations

import json

import pytest
from treadle.bench import coldstart, gates

LIMITS = json.loads(gates.GATES.read_text())["loaded"]


@pytest.mark.parametrize("name", LIMITS)
def test_nobody_loads_more_than_is_needed(name: str) -> None:
    most, found = LIMITS[name], coldstart.loaded(coldstart.PROGRAMS[name])
    assert found.modules <= most["modules"]
    assert found.methods <= most["methods"]
    assert set(found.packages) <= set(most["packages"])


def test_what_is_added_is_counted() -> None:
    usual = coldstart.loaded("import treadle.core.paths")
    more = coldstart.loaded("import treadle.core.paths, treadle.core.schedules, yaml")
    assert more.modules == usual.modules + 1
    assert more.methods == usual.methods + 5 * 6  # frozen dataclasses: init, repr, eq, hash, and two that refuse a change
    assert set(more.packages) - set(usual.packages) == {"yaml"}


def test_a_start_that_takes_longer_is_told() -> None:
    most = gates.cold_start()
    assert gates.slow_starts(most) == []
    assert gates.slow_starts(most | {"parser": 9.9}) == [f"cold start: parser 9.9, the gate is {most['parser']:g}"]
    assert gates.slow_starts({"parser": 2.1}, gates.TIMED_SLACK) == []


def test_a_measure_that_is_within_its_gates_is_not_repeated() -> None:
    found = coldstart.figures(dict.fromkeys(gates.cold_start(), float("inf")), rounds=1)
    assert found["ratios"].keys() == gates.cold_start().keys()
    assert all(ms > 0 for name, ms in found["cpu_ms"].items() if name != "interpreter")
