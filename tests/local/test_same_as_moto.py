"""The local cloud says what moto says: each behaviour on both, and the differences that are meant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.sqs.models import sqs_backends
from treadle.local.cloud import REGION, Cloud
from treadle.local.queue import DeepQueue

from tests.local.behaviours import BEHAVIOURS


class Ours:
    """The clients of a local cloud; its queues are the engine's kind."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.dynamodb, self.sqs, self.events, self.s3 = (getattr(cloud.clients, name) for name in ("dynamodb", "sqs", "events", "s3"))
        self._queues = 0

    def queue(self) -> str:
        self._queues += 1
        url = self.sqs.create_queue(QueueName=f"q{self._queues}")["QueueUrl"]
        DeepQueue.adopt(
            sqs_backends[self._cloud.account][REGION].queues[f"q{self._queues}"], self._cloud.clock.now, lambda visible_from: None
        )
        return str(url)


@pytest.fixture(scope="module")
def stock() -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("behaviours.py"))], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    with Cloud() as cloud:
        yield Ours(cloud)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_the_local_cloud_does_what_moto_does(name: str, ours: Ours, stock: dict[str, Any]) -> None:
    assert json.loads(json.dumps(BEHAVIOURS[name](ours))) == stock[name]


def test_there_are_forty_behaviours() -> None:
    assert len(BEHAVIOURS) >= 40
