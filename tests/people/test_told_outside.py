"""Notifications as they leave: signed by a secret of Secrets Manager, posted over HTTP to somebody who checks it, or put to SNS.

Whoever listens here checks as standardwebhooks.com says, by code of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from treadle.aws.secrets import AwsSecrets
from treadle.aws.sns import AwsTopics
from treadle.notifications import Outward
from treadle.tasks.webhooks import Webhooks
from treadle.testing import LocalEngine

from tests.people.test_notifications import engine, of_notifications, pays, through
from tests.tasks.servers import LOOPBACK, Asked, Reply, serving

REGION = "eu-central-1"
NAME = "treadle/+notifications/oncall_key"
KEY, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))


def is_genuine(asked: Asked, secret: str) -> bool:
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    expected = base64.b64encode(digest).decode()
    return any(each == f"v1,{expected}" for each in asked.headers["webhook-signature"].split(" "))


class Listener:
    """Takes what is signed with `secret`; answers 503 to the first `outages`."""

    def __init__(self, secret: str, outages: int = 0) -> None:
        self.secret = secret
        self.outages = outages
        self.taken: list[Asked] = []
        self.turned_away: list[Asked] = []

    def __call__(self, asked: Asked) -> Reply:
        if self.outages:
            self.outages -= 1
            self.turned_away.append(asked)
            return Reply(503)
        is_one = is_genuine(asked, self.secret)
        (self.taken if is_one else self.turned_away).append(asked)
        return Reply(204 if is_one else 401)


@contextmanager
def told(listener: Listener, secret: str | None) -> Iterator[tuple[LocalEngine, Any]]:
    """An engine that tells `listener` of runs that failed, and a client of its Secrets Manager, where `secret` lies."""
    with serving(listener) as server:
        url = f"http://127.0.0.1:{server.port}/hook?token=hush"
        with engine({"oncall": {"webhook": url, "secret": "oncall_key", "on": ["RunFailed"]}}) as it:
            vault = boto3.client("secretsmanager", REGION)
            if secret is not None:
                vault.create_secret(Name=NAME, SecretString=secret)
            secrets = AwsSecrets(vault, "treadle", now=lambda: it.stack.cloud.clock.now() / 1000)
            through(Outward(Webhooks(LOOPBACK), AwsTopics(boto3.client("sns", REGION)), secrets))(it.stack)
            yield it, vault


def test_a_signed_webhook_arrives_and_is_genuine() -> None:
    listener = Listener(KEY)
    with told(listener, KEY) as (it, _):
        run = it.run(pays())
        it.pass_time("1m")
        (entry,) = of_notifications(it.history(run.id))
    (asked,) = listener.taken
    event = json.loads(asked.body)
    assert (asked.method, asked.path, event["type"], event["data"]["run"]) == ("POST", "/hook?token=hush", "RunFailed", run.id)
    assert event["data"]["input"].endswith(f"/v1/tasks/{run.id}/charge/input")
    assert (entry["what"], entry["attempts"]) == ("Notified", 1)


def test_a_changed_body_is_not() -> None:
    listener = Listener(KEY)
    with told(listener, KEY) as (it, _):
        it.run(pays())
        it.pass_time("1m")
    (asked,) = listener.taken
    assert not is_genuine(Asked(asked.method, asked.path, asked.headers, asked.body + b" "), KEY)


def test_outages_are_waited_out_under_the_same_id() -> None:
    listener = Listener(KEY, outages=2)
    with told(listener, KEY) as (it, _):
        run = it.run(pays())
        it.pass_time("10m")
        (entry,) = of_notifications(it.history(run.id))
    (taken,) = listener.taken
    assert {each.headers["webhook-id"] for each in [*listener.turned_away, taken]} == {taken.headers["webhook-id"]}
    assert listener.turned_away[0].headers["webhook-timestamp"] < taken.headers["webhook-timestamp"]
    assert (entry["what"], entry["attempts"]) == ("Notified", 3)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        pytest.param(OTHER, "the webhook answered 401", id="a secret that the other end does not know"),
        pytest.param(None, f"there is no secret oncall_key: Secrets Manager has no {NAME}", id="no secret"),
        pytest.param("hush", "the secret oncall_key cannot sign: a signing secret is whsec_ and base64", id="a text that signs nothing"),
    ],
)
def test_what_cannot_be_delivered_is_told_and_goes_out_when_it_is_mended(secret: str | None, why: str) -> None:
    listener = Listener(KEY)
    with told(listener, secret) as (it, vault):
        run = it.run(pays())
        it.pass_time("18h")
        (entry,) = of_notifications(it.history(run.id))
        (letter,) = it.stack.operations.dead_letters.page("local")[0]
        assert (entry["what"], entry["attempts"], letter["run"], listener.taken) == ("NotificationFailed", 10, run.id, [])
        assert why in entry["error"]
        assert "hush" not in entry["error"]
        if secret is None:
            vault.create_secret(Name=NAME, SecretString=KEY)
        else:
            vault.put_secret_value(SecretId=NAME, SecretString=f"{KEY} {OTHER}")
        it.pass_time("6m")  # for so long a secret is not read again
        with it.stack.pump.request():
            it.stack.operations.dead_letters.redrive("local", only=[letter["id"]])
        it.pass_time("1m")
        assert [entry["what"] for entry in of_notifications(it.history(run.id))] == ["NotificationFailed", "Notified"]
    (asked,) = listener.taken
    assert json.loads(asked.body)["data"]["run"] == run.id


def test_a_topic_hands_it_on_to_who_has_subscribed() -> None:
    topic = f"arn:aws:sns:{REGION}:123456789012:ops"
    with engine({"ops": {"sns": topic, "on": ["RunFailed"]}}) as it:
        sns, sqs = boto3.client("sns", REGION), boto3.client("sqs", REGION)
        assert sns.create_topic(Name="ops")["TopicArn"] == topic
        heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:heard")
        through(Outward(Webhooks(), AwsTopics(sns), None))(it.stack)
        run = it.run(pays())
        it.pass_time("1m")
        (message,) = sqs.receive_message(QueueUrl=heard)["Messages"]
        (entry,) = of_notifications(it.history(run.id))
    assert json.loads(json.loads(message["Body"])["Message"])["data"]["run"] == run.id
    assert (entry["what"], entry["target"]) == ("Notified", "ops")
