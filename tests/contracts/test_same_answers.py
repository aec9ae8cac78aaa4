"""The AWS in memory gives moto's answers, but for the differences that the page lists: these, and no other.

A difference that is not on the page fails, and so does one on the page that is none any more.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from treadle.aws import Clients
from treadle.simulation.memory import MemoryCloud

from .conftest import MemoryMailbox, SqsMailbox, World, deploy
from .peers import CASES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "in-memory-aws.md"
ROW = re.compile(r"^\| (?P<case>[^|]+) \| `(?P<moto>[^|]+)` \| `(?P<memory>[^|]+)` \| (?P<why>[^|]+) \|$", re.MULTILINE)
LEAST = 300


def answers(world: World) -> dict[str, str]:
    return {name: json.dumps(case(world, name), sort_keys=True, ensure_ascii=False) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def in_memory() -> dict[str, str]:
    cloud = MemoryCloud()
    return answers(World(cloud.store, cloud.lanes, cloud.bus, cloud.blobs, MemoryMailbox(cloud)))


@pytest.fixture(scope="module")
def on_moto(clients: Clients) -> dict[str, str]:
    with mock_aws():
        adapters = deploy(clients)
        found = answers(World(adapters.store, adapters.lanes, adapters.bus, adapters.blobs, SqsMailbox(clients, adapters)))
    return found


def listed() -> dict[str, dict[str, Any]]:
    return {row["case"]: row.groupdict() for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", CASES)
def test_both_answer_alike_or_the_page_says_how_they_differ(name: str, in_memory: dict[str, str], on_moto: dict[str, str]) -> None:
    row = listed().get(name)
    if row is None:
        assert in_memory[name] == on_moto[name], "a difference that is not on the page"
    else:
        assert in_memory[name] != on_moto[name], "the page lists a difference that is none any more"
        assert (row["moto"], row["memory"]) == (on_moto[name], in_memory[name])


def test_the_page_lists_cases_that_there_are_and_says_why() -> None:
    assert listed().keys() <= CASES.keys()
    assert all(len(row["why"]) > 10 for row in listed().values())
    assert len(listed()) == len([line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`" in line])


def test_there_are_as_many_cases_as_the_page_says() -> None:
    assert len(CASES) >= LEAST
    assert f"{len(CASES)} calls" in PAGE.read_text(encoding="utf-8")
