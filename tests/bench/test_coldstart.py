"""What functions import, against boto3 with three clients. A ratio, with a tenth of slack for a machine that is busy."""

from __future__ import annotations

import json

from treadle.bench import coldstart, gates

SLACK = 1.1


def test_functions_and_the_command_line_are_there_soon() -> None:
    most = json.loads(gates.GATES.read_text())["cold_start"]
    found = coldstart.ratios(coldstart.measure(rounds=4))
    assert {name: figure for name, figure in found.items() if figure > most[name] * SLACK} == {}
