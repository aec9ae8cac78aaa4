"""What the adapters for AWS make of answers that moto never gives: throttled, refused in part, out of reach, nonsense.

The answers are put in where botocore would send the request; calls without one go on to moto.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, CredentialRetrievalError, EndpointConnectionError, ReadTimeoutError
from treadle.aws import Adapters, AwsStore, Clients
from treadle.core.errors import Corrupted, TreadleError, Unavailable
from treadle.ports import Absent, Change, Event, Message

from .conftest import NAMES, SqsMailbox, deploy

Answer = tuple[int, dict[str, Any]] | Exception | None  # status and parsed body; an exception; None: moto's own


class Script:
    """Answers for the next calls of each operation, and the requests of all of them."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answers: dict[str, Iterator[Answer]] = {}

    def answers(self, operation: str, *answers: Answer) -> None:
        self._answers[operation] = iter(answers)

    def on_call(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        body = params["body"]
        self.requests.append(json.loads(body) if isinstance(body, bytes) and body[:1] == b"{" else {})
        answer = next(self._answers.get(model.name, iter(())), None)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return None
        status, parsed = answer
        metadata = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}, "RequestId": "1", "RetryAttempts": 0}}
        return AWSResponse("https://aws", status, HTTPHeaders(), None), parsed | metadata


@dataclass(frozen=True)
class Stage:
    script: Script
    clients: Clients
    adapters: Adapters
    mailbox: SqsMailbox


@pytest.fixture
def stage(moto_clients: Clients) -> Iterator[Stage]:
    adapters = deploy(moto_clients)
    script = Script()
    listened = (moto_clients.dynamodb, moto_clients.sqs, moto_clients.events, moto_clients.s3)
    for client in listened:
        client.meta.events.register_first("before-call", cast("Any", script.on_call), unique_id="script")
    yield Stage(script, moto_clients, adapters, SqsMailbox(moto_clients, adapters))
    for client in listened:
        client.meta.events.unregister("before-call", unique_id="script")


def refusal(code: str, status: int = 400) -> Answer:
    return status, {"Error": {"Code": code, "Message": "because"}}


KEY = ("run", "step")
EVENT = Event("StepFailed", "1", "run", 0, {})
CALLS: dict[str, Callable[[Adapters], Any]] = {
    "GetItem": lambda aws: aws.store.get(KEY),
    "BatchGetItem": lambda aws: aws.store.get_many([KEY]),
    "PutItem": lambda aws: aws.store.put({"pk": "run", "sk": "step"}, Absent()),
    "UpdateItem": lambda aws: aws.store.update(KEY, Change(set={"a": 1}), Absent()),
    "DeleteItem": lambda aws: aws.store.delete(KEY),
    "Query": lambda aws: aws.store.query("run"),
    "SendMessageBatch": lambda aws: aws.lanes.send([Message("lane-low", {})]),
    "ChangeMessageVisibility": lambda aws: aws.lanes.defer("lane-low", "receipt", 1),
    "PutEvents": lambda aws: aws.bus.put([EVENT]),
    "PutObject": lambda aws: aws.blobs.put("a", b""),
    "GetObject": lambda aws: aws.blobs.get("a"),
}

# ---------------------------------------------------------------------------------------------------- whose fault is it


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal("ThrottlingException"), id="throttled"),
        pytest.param(refusal("ProvisionedThroughputExceededException"), id="over capacity"),
        pytest.param(refusal("InternalServerError", 500), id="internal error"),
        pytest.param(refusal("SomethingNew", 503), id="any 5xx"),
        pytest.param(refusal("SlowDown", 429), id="slow down"),
        pytest.param(EndpointConnectionError(endpoint_url="https://aws"), id="out of reach"),
        pytest.param(ReadTimeoutError(endpoint_url="https://aws"), id="no answer in time"),
        pytest.param(CredentialRetrievalError(provider="role", error_msg="x"), id="no credentials yet"),
    ],
)
def test_the_worlds_fault_is_unavailable(stage: Stage, operation: str, answer: Answer) -> None:
    stage.script.answers(operation, answer)
    with pytest.raises(Unavailable):
        CALLS[operation](stage.adapters)


@pytest.mark.parametrize("operation", CALLS)
def test_a_malformed_request_is_a_bug(stage: Stage, operation: str) -> None:
    stage.script.answers(operation, refusal("ValidationException"))
    with pytest.raises(ValueError, match=f"{operation} operation: because"):
        CALLS[operation](stage.adapters)


@pytest.mark.parametrize("operation", CALLS)
def test_a_missing_permission_is_said_as_it_is(stage: Stage, operation: str) -> None:
    stage.script.answers(operation, refusal("AccessDeniedException"))
    with pytest.raises(ClientError, match="AccessDenied") as raised:
        CALLS[operation](stage.adapters)
    assert not isinstance(raised.value, TreadleError)


@pytest.mark.parametrize("wire", [{"N": "1.5"}, {"B": b"x"}, {"SS": ["a"]}, {"L": [{"N": "1e400"}]}, {}])
def test_an_item_that_no_engine_wrote_is_corrupted(stage: Stage, wire: dict[str, Any]) -> None:
    stage.script.answers("GetItem", (200, {"Item": {"pk": {"S": "run"}, "sk": {"S": "step"}, "odd": wire}}))
    with pytest.raises(Corrupted):
        stage.adapters.store.get(KEY)


def test_putting_off_what_is_no_longer_in_hand_changes_nothing(stage: Stage) -> None:
    for code in ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "ReceiptHandleIsInvalid"):
        stage.script.answers("ChangeMessageVisibility", refusal(code))
        stage.adapters.lanes.defer("lane-low", "receipt", 60)


# ---------------------------------------------------------------------------------------- 200, and yet not all of it


def test_unprocessed_keys_are_asked_for_again(stage: Stage) -> None:
    for n in range(3):
        stage.adapters.store.put({"pk": "run", "sk": f"{n}"})
    keys = [("run", f"{n}") for n in range(3)]
    wire = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
    left = {"UnprocessedKeys": {NAMES["table"]: {"Keys": wire[1:]}}}
    stage.script.answers("BatchGetItem", (200, {"Responses": {NAMES["table"]: wire[:1]}, **left}), (200, {"Responses": {}, **left}))
    pauses: list[float] = []
    store = AwsStore(stage.clients.dynamodb, NAMES["table"], pause=pauses.append)
    assert store.get_many(keys).keys() == set(keys)
    assert len(pauses) == 2
    assert stage.script.requests[-1]["RequestItems"][NAMES["table"]]["Keys"] == wire[1:]


def test_keys_that_stay_unprocessed_are_unavailable(stage: Stage) -> None:
    left = {"UnprocessedKeys": {NAMES["table"]: {"Keys": [{"pk": {"S": "run"}, "sk": {"S": "step"}}]}}}
    stage.script.answers("BatchGetItem", *[(200, {"Responses": {}, **left})] * 50)
    pauses: list[float] = []
    with pytest.raises(Unavailable, match="1 keys"):
        AwsStore(stage.clients.dynamodb, NAMES["table"], pause=pauses.append).get_many([KEY])
    assert 0 < sum(pauses) < 1


def failed(*numbers: int, code: str = "InternalError", sender: bool = False) -> Answer:
    return 200, {"Failed": [{"Id": str(number), "SenderFault": sender, "Code": code} for number in numbers]}


def test_refused_messages_alone_are_sent_again(stage: Stage) -> None:
    stage.script.answers("SendMessageBatch", failed(1, 3), failed(0))
    stage.adapters.lanes.send([Message("lane-low", {"n": n}) for n in range(4)])
    tried = [[json.loads(entry["MessageBody"])["n"] for entry in request["Entries"]] for request in stage.script.requests]
    assert tried == [[0, 1, 2, 3], [1, 3], [1]]


def test_messages_that_stay_refused_are_unavailable(stage: Stage) -> None:
    stage.script.answers("SendMessageBatch", *[failed(0)] * 3)
    with pytest.raises(Unavailable, match="InternalError"):
        stage.adapters.lanes.send([Message("lane-low", {"n": n}) for n in range(2)])
    assert len(stage.script.requests) == 3


def test_a_message_that_sqs_calls_the_senders_fault_is_a_bug(stage: Stage) -> None:
    stage.script.answers("SendMessageBatch", failed(0, code="InvalidMessageContents", sender=True))
    with pytest.raises(ValueError, match="InvalidMessageContents"):
        stage.adapters.lanes.send([Message("lane-low", {})])


def results(*codes: str | None) -> Answer:
    entries = [{"ErrorCode": code, "ErrorMessage": ""} if code else {"EventId": "1"} for code in codes]
    return 200, {"FailedEntryCount": sum(map(bool, codes)), "Entries": entries}


def test_refused_events_alone_are_put_again(stage: Stage) -> None:
    stage.script.answers("PutEvents", results(None, "ThrottlingException", None), results("InternalFailure"))
    stage.adapters.bus.put([Event("StepFailed", f"{n}", "run", 0, {}) for n in range(3)])
    tried = [[json.loads(entry["Detail"])["id"] for entry in request["Entries"]] for request in stage.script.requests]
    assert tried == [["0", "1", "2"], ["1"], ["1"]]
    assert [mail.body["detail"]["id"] for mail in stage.mailbox.receive("errors")] == ["1"]


def test_events_that_stay_refused_are_unavailable(stage: Stage) -> None:
    stage.script.answers("PutEvents", *[results("ThrottlingException")] * 3)
    with pytest.raises(Unavailable, match="ThrottlingException"):
        stage.adapters.bus.put([EVENT])


# -------------------------------------------------------------------------------------------------- how many calls it takes


@pytest.mark.parametrize(
    ("work", "calls"),
    [
        pytest.param(lambda aws: aws.store.get(KEY), 1, id="get"),
        pytest.param(lambda aws: aws.store.get_many([("run", f"{n}") for n in range(250)]), 3, id="get 250"),
        pytest.param(lambda aws: aws.store.put({"pk": "run", "sk": "step"}, Absent()), 1, id="put"),
        pytest.param(lambda aws: aws.store.put({"pk": "run", "sk": "step"}, Absent("sk")), 1, id="put refused or not"),
        pytest.param(lambda aws: aws.store.query_due(0, 1), 1, id="query due"),
        pytest.param(lambda aws: aws.lanes.send([]), 0, id="send nothing"),
        pytest.param(lambda aws: aws.lanes.send([Message("lane-low", {"n": n}) for n in range(25)]), 3, id="send 25"),
        pytest.param(lambda aws: aws.lanes.send([Message("lane-low", {}), Message("lane-high", {})]), 2, id="send to two lanes"),
        pytest.param(lambda aws: aws.lanes.send([Message("lane-low", {"x": "x" * 400_000})] * 5), 3, id="send 2 MB"),
        pytest.param(lambda aws: aws.bus.put([EVENT] * 11), 2, id="put 11 events"),
        pytest.param(lambda aws: aws.bus.put([Event("RunStarted", "1", "r", 0, {"x": "x" * 600_000})] * 2), 2, id="put large events"),
        pytest.param(lambda aws: aws.blobs.put("a", b"1"), 1, id="put a blob"),
    ],
)
def test_each_method_is_as_few_calls_as_aws_allows(stage: Stage, work: Callable[[Adapters], Any], calls: int) -> None:
    work(stage.adapters)
    assert len(stage.script.requests) == calls
