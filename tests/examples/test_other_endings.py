"""The examples' other endings: what their pages promise when things go differently, and what starts them by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from treadle.simulation.driver import MemoryEngine
from treadle.testing import LocalEngine
from treadle.views import RunView

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOUR_MS = 3_600_000


class Played:
    """An example in memory, from its `input.json` with changes."""

    def __init__(self, name: str, **changes: Any) -> None:
        self.engine = MemoryEngine(str(EXAMPLES / name / "tasks.py"))
        given = json.loads((EXAMPLES / name / "input.json").read_text()) | changes
        self.run_id = self.engine.start(EXAMPLES / name / "workflow.yaml", given)

    def end(self) -> RunView:
        return self.engine.wait(self.run_id)

    def notified(self) -> list[str]:
        """Who was told by the escalation ladder, in order."""
        raised = [event["detail"]["data"] for event in self.engine.cloud.bus.events if event["detail-type"] == "EscalationRaised"]
        return [told["notify"] for told in raised if told.get("notify")]


def test_a_journey_that_is_too_dear_is_given_back_last_booking_first() -> None:
    run = Played("saga", budget=100).end()
    assert (run.status, (run.error or {})["name"], run.compensated) == ("failed", "OverBudget", True)


@pytest.mark.parametrize(
    ("act", "output"),
    [
        pytest.param(
            lambda played: played.engine.reject(played.run_id, "decision", by="boss", comment="too dear"),
            {"booked": None, "told": "to ann: rejected by boss: too dear"},
            id="rejected",
        ),
        pytest.param(lambda played: None, {"booked": None, "told": None}, id="nobody decides"),
        pytest.param(
            lambda played: played.engine.approve(played.run_id, "decision", by="deputy"),
            {"booked": "25000 for ann (deputy)", "told": None},
            id="approved by the deputy",
        ),
    ],
)
def test_an_expense_claim_ends_as_it_was_decided(act: Callable[[Played], object], output: dict[str, Any]) -> None:
    played = Played("expense")
    played.engine.wait(played.run_id, "waiting")
    act(played)
    run = played.end()
    assert (run.status, run.output) == ("succeeded", output)


def test_a_small_expense_needs_nobody() -> None:
    run = Played("expense", cents=900).end()
    assert (run.output["booked"], run.steps["decision"].status) == ("900 for ann (rule)", "skipped")


def test_a_claim_that_nobody_settles_climbs_the_ladder_and_fails() -> None:
    played = Played("claims")
    played.engine.wait(played.run_id, "waiting")
    assert played.notified() == ["clerks"]
    played.engine.advance(played.engine.now() + 2 * HOUR_MS)
    assert played.notified() == ["clerks", "head-of-claims"]
    run = played.end()
    assert (run.status, (run.error or {})["name"], run.steps["pay"].status) == ("failed", "Unheard", "skipped")


def test_a_claim_with_a_rule_needs_nobody() -> None:
    assert Played("claims", policy="F-1").end().output == {"paid": "900.00", "assessedBy": "rule"}


@pytest.mark.parametrize(("key", "told"), [("prices/empty.csv", "has no rows"), ("prices/x.csv", "is gone")])
def test_a_file_that_cannot_be_read_is_set_aside(key: str, told: str) -> None:
    run = Played("arrival", key=key).end()
    assert run.output == {"loaded": None, "setAside": f"{key}: {key} {told}"}


def test_more_refusals_than_tolerated_fail_the_batch() -> None:
    run = Played("captions", pictures=["secret.png", "cat.png"]).end()
    assert (run.status, (run.error or {})["name"]) == ("failed", "Refused")


def test_a_picture_that_was_paid_for_is_not_paid_for_again() -> None:
    played = Played("captions", pictures=["cat.png"])
    played.end()
    again = played.engine.run(EXAMPLES / "captions/workflow.yaml", {"pictures": ["cat.png"]})
    assert again.output == {"captions": ["a picture of cat"], "missing": 0}


def test_a_low_alarm_is_a_note() -> None:
    run = Played("incident", severity="low").end()
    assert run.steps["page"].status == "skipped"
    assert (run.output["acknowledgedBy"], run.output["mitigation"]) == ("nobody was asked", None)


def test_an_alarm_that_nobody_answers_still_waits_for_the_all_clear() -> None:
    played = Played("incident")
    played.engine.advance(played.engine.now() + HOUR_MS)
    played.engine.signal(played.run_id, "resolved")
    run = played.end()
    assert (run.output["acknowledgedBy"], run.steps["page"].attempts) == ("nobody", 3)


# ------------------------------------------------------------------------------------------------ what starts them


def registered(engine: LocalEngine, name: str) -> None:
    engine.register(EXAMPLES / name / "workflow.yaml")


def test_three_nights_are_three_sheets() -> None:
    with LocalEngine(tasks=str(EXAMPLES / "nightly/tasks.py"), skip_time=True) as engine:
        registered(engine, "nightly")
        engine.pass_time("3d")
        runs = [engine.wait(run.id) for run in engine.runs("nightly-sales")]
    assert [run.status for run in runs] == ["succeeded"] * 3
    assert len({run.output for run in runs}) == 3


def test_a_file_in_the_inbox_starts_a_run() -> None:
    with LocalEngine(tasks=str(EXAMPLES / "arrival/tasks.py"), skip_time=True) as engine:
        registered(engine, "arrival")
        cloud = engine.stack.cloud
        cloud.clients.s3.put_object(Bucket=cloud.names.inbox, Key="prices/spring.csv", Body=b"sku,cents\n")
        (run_id,) = engine.stack.pump.wait(lambda: [run.id for run in engine.runs("arrival")] or None, 20) or []
        run = engine.wait(run_id)
    assert (run.status, run.output["loaded"]) == ("succeeded", 4)
