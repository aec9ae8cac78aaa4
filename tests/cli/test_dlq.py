"""The verb `dlq`: what was given up is listed, shown, sent again, and dropped only by somebody who was told what is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from treadle.cli import treadle

from tests.api.fakes import LETTER, OWNER, FakeOperations
from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("arguments", "verb", "given"),
    [
        (["list", "--queue", "errors", "--run", "r1", "--limit", "5"], "letters", {"queue": "errors", "of_run": "r1", "limit": 5}),
        (["show", "l1"], "letter", {"letter": "l1"}),
        (["redrive", "l1"], "redrive", {"only": ["l1"], "of_run": None, "queue": None}),
        (["redrive", "--run", "r1"], "redrive", {"only": None, "of_run": "r1"}),
        (["redrive", "--queue", "errors"], "redrive", {"only": None, "queue": "errors"}),
        (["redrive", "--all"], "redrive", {"only": None, "of_run": None, "queue": None}),
        (["drop", "l1", "--yes", "--reason", "old"], "drop", {"letter": "l1", "reason": "old"}),
    ],
)
def test_a_verb_asks_the_engine(
    engine: str, operations: FakeOperations, call: Call, arguments: list[str], verb: str, given: dict[str, Any]
) -> None:
    result = call("dlq", *arguments, "-o", "json")
    assert (result.status, result.err) == (0, "")
    ((called, asked),) = operations.calls
    assert (called, asked["tenant"]) == (verb, OWNER)
    assert {name: asked[name] for name in given} == given
    json.loads(result.out)


def test_what_is_printed_for_people(engine: str, call: Call) -> None:
    heads, line = call("dlq", "list").out.splitlines()
    assert heads.split() == ["ID", "QUEUE", "KIND", "RUN", "STEP", "RECEIVES", "AGE", "WHY"]
    assert line.split()[:7] == ["l1", "lane-normal", "step", "r1", "a", "20", "1m"]
    shown = call("dlq", "show", "l1").out
    assert (LETTER["what"] in shown, "if dropped    nothing" in shown, shown.endswith("{}\n")) == (True, True, True)
    assert call("dlq", "redrive", "l1").err == "sent again: 1\n"
    assert call("dlq", "drop", "l1", "--yes").err == "l1 dropped; lost by it: nothing\n"


@pytest.mark.parametrize(("answer", "dropped"), [("y\n", True), ("n\n", False), ("", False)])
def test_dropping_asks_first(engine: str, operations: FakeOperations, answer: str, dropped: bool) -> None:
    done = CliRunner().invoke(treadle, ["dlq", "drop", "l1"], input=answer, standalone_mode=False)
    assert "if dropped    nothing" in done.output
    assert ("drop" in [verb for verb, _ in operations.calls]) == dropped


@pytest.mark.parametrize("arguments", [[], ["l1", "--all"], ["l1", "--run", "r1"], ["--run", "r1", "--all"]])
def test_which_ones_are_sent_again_has_to_be_said(engine: str, operations: FakeOperations, call: Call, arguments: list[str]) -> None:
    assert call("dlq", "redrive", *arguments).status == 2
    assert operations.calls == []


def test_a_letter_that_there_is_not(engine: str, call: Call) -> None:
    assert call("dlq", "show", "l2").status == 3
    assert call("dlq", "redrive", "l1", "l2").status == 3
