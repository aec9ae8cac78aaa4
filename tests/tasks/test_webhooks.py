"""Webhooks: what is sent and how it is signed, where it may go, and what becomes of answers; SNS beside them."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws
from treadle.aws.sns import AwsTopics
from treadle.core.errors import TaskError
from treadle.notifications import DEPLOYERS, Notification, Outward, Target, Undelivered
from treadle.tasks.webhooks import NoSigningSecret, Webhooks, signatures, unfit

from tests.tasks.servers import LOOPBACK, Asked, Reply, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
EVENT = {"type": "RunFailed", "data": {"run": "r1", "workflow": "pay", "severity": "error"}}


class Secrets:
    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        assert tenant == DEPLOYERS
        return {"key": SECRET, "plain": "hunter2"}[name]


def outward(secrets: Any = None, networks: tuple[str, ...] = LOOPBACK, topics: Any = None) -> Outward:
    return Outward(Webhooks(networks), topics, secrets or Secrets())


def notification(port: int, secret: str = "key") -> Notification:
    return Notification("m1", Target("oncall", f"http://127.0.0.1:{port}/hook?x=1", secret), EVENT, 1614265330_999)


# ------------------------------------------------------------------------------------------------ signatures


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    signed = signatures(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_changed_both_sign() -> None:
    both = signatures(f"{OTHER} {SECRET}", "m", 1, b"{}").split()
    assert both == [signatures(OTHER, "m", 1, b"{}"), signatures(SECRET, "m", 1, b"{}")]


@pytest.mark.parametrize("secret", ["", "hunter2", SECRET.removeprefix("whsec_"), "whsec_c2hvcnQ=", "whsec_%%%"])
def test_what_is_no_signing_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(NoSigningSecret):
        signatures(secret, "m", 1, b"{}")


# ------------------------------------------------------------------------------------------------ what is sent


def test_the_event_is_posted_with_its_id_the_time_and_the_signature() -> None:
    with serving(lambda asked: Reply(204)) as server:
        outward()(notification(server.port))
        (asked,) = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/hook?x=1", EVENT)
    assert asked.headers["content-type"] == "application/json"
    assert (asked.headers["webhook-id"], asked.headers["webhook-timestamp"]) == ("m1", "1614265330")
    assert asked.headers["webhook-signature"] == signatures(SECRET, "m1", 1614265330, asked.body)


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(500, False), (429, False), (404, False), (302, False), (410, True)],
)
def test_any_other_answer_is_a_failure(status: int, is_final: bool) -> None:
    with serving(lambda asked: Reply(status)) as server, pytest.raises(Undelivered, match=f"answered {status}") as failed:
        outward()(notification(server.port))
    assert failed.value.is_final is is_final


def test_a_redirect_is_not_followed() -> None:
    def moved(asked: Asked) -> Reply:
        return Reply(307, {"location": "/elsewhere"})

    with serving(moved) as server:
        with pytest.raises(Undelivered, match="answered 307"):
            outward()(notification(server.port))
        assert [asked.path for asked in server.asked] == ["/hook?x=1"]


def test_an_address_that_is_not_public_is_refused_unless_its_network_is_allowed() -> None:
    with serving(lambda asked: Reply()) as server:
        with pytest.raises(Undelivered, match=r"AddressRefused: .* loopback"):
            outward(networks=())(notification(server.port))
        assert server.asked == []


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1"])
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(TaskError, match="has the address"):
        Webhooks(LOOPBACK, resolve=lambda host, port: [address]).post("https://hooks.example.com/x", SECRET, "m", 0, b"{}")


def test_a_failure_names_the_host_and_neither_path_nor_secret() -> None:
    with pytest.raises(Undelivered) as failed:
        outward()(notification(1))
    assert "127.0.0.1" in str(failed.value)
    assert "hook" not in str(failed.value)
    with serving(lambda asked: Reply()) as server, pytest.raises(Undelivered, match="the secret plain cannot sign") as failed:
        outward()(notification(server.port, secret="plain"))
    assert "hunter2" not in str(failed.value)


def test_without_secrets_nothing_is_sent() -> None:
    with serving(lambda asked: Reply()) as server:
        with pytest.raises(Undelivered, match="this deployment has no secrets"):
            Outward(Webhooks(LOOPBACK), AwsTopics(None), None)(notification(server.port))
        assert server.asked == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://hooks.example.com/x", None),
        ("http://127.0.0.1:8000/x", None),
        ("http://hooks.example.com/x", "https"),
        ("ftp://hooks.example.com", "begin with"),
        ("https://user:word@hooks.example.com", "user name"),
    ],
)
def test_which_addresses_a_webhook_can_have(url: str, why: str | None) -> None:
    found = unfit(url)
    assert found is None if why is None else why in str(found)


# ------------------------------------------------------------------------------------------------ topics


def test_a_topic_gets_the_event_with_a_subject_and_attributes() -> None:
    with mock_aws():
        sns, sqs = boto3.client("sns", "eu-central-1"), boto3.client("sqs", "eu-central-1")
        topic = sns.create_topic(Name="ops")["TopicArn"]
        queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:heard")
        outward(topics=AwsTopics(sns))(Notification("m1", Target("ops", sns=topic), EVENT, 0))
        (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
        with pytest.raises(ValueError, match="NotFound"):
            outward(topics=AwsTopics(sns))(Notification("m1", Target("ops", sns=f"{topic}-none"), EVENT, 0))
    heard = json.loads(message["Body"])
    assert (heard["Subject"], json.loads(heard["Message"])) == ("treadle: RunFailed: pay run r1", EVENT)
    attributes = {name: said["Value"] for name, said in heard["MessageAttributes"].items()}
    assert attributes == {"type": "RunFailed", "workflow": "pay", "severity": "error", "id": "m1"}
