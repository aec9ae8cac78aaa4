"""The task `aws`: on moto by way of the whole stack, and by itself for what moto never answers."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import Stubber
from treadle.core.errors import TaskError
from treadle.tasks import Allowed
from treadle.tasks.aws import MAX_BYTES, Aws, as_json
from treadle.testing import LocalEngine


def call(given: Any, *actions: str, client: Any = None) -> Any:
    return Aws(Allowed(actions=actions), lambda service, config: client or boto3.client(service, region_name="us-east-1"))(given)


def failure(given: Any, *actions: str, client: Any = None) -> TaskError:
    with pytest.raises(TaskError) as failed:
        call(given, *actions, client=client)
    return failed.value


def workflow(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": list(steps)}


def step(name: str, service: str, action: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "task": "aws", "with": {"service": service, "action": action, "parameters": parameters}, **more}


# ------------------------------------------------------------------------------------------------ on the local stack


@pytest.fixture(scope="module")
def engine() -> Any:
    with LocalEngine(skip_time=True, config={"allow": {"actions": ["s3.*", "sqs.get_queue_url"]}}) as running:
        yield running


def test_calls_of_a_workflow(engine: LocalEngine) -> None:
    put = {"Bucket": "files", "Key": "a.txt", "Body": "grüß"}
    run = engine.run(
        workflow(
            step("make", "s3", "create_bucket", {"Bucket": "files"}),
            step("put", "s3", "put_object", put, after=["make"]),
            step("get", "s3", "get_object", {"Bucket": "files", "Key": "a.txt"}, after=["put"]),
        )
    )
    assert run.status == "succeeded"
    assert run.steps["get"].output["Body"] == "grüß"
    assert run.steps["get"].output["LastModified"].startswith("20")
    assert "ResponseMetadata" not in run.steps["get"].output


def test_a_service_says_no_by_its_own_code(engine: LocalEngine) -> None:
    run = engine.run(workflow(step("get", "s3", "get_object", {"Bucket": "files-2", "Key": "x"})))
    assert run.error is not None
    assert run.error["name"] == "NoSuchBucket"


def test_nothing_is_allowed_by_default() -> None:
    with LocalEngine(skip_time=True) as engine:
        error = engine.run(workflow(step("a", "s3", "list_buckets", {}))).error
    assert error is not None
    assert error["name"] == "NotAllowed"


# ------------------------------------------------------------------------------------------------ what may be called


@pytest.mark.parametrize(
    ("entries", "service", "action", "may"),
    [
        ((), "s3", "list_buckets", False),
        (("s3.list_buckets",), "s3", "list_buckets", True),
        (("s3.list_buckets",), "s3", "list_objects", False),
        (("s3.*",), "s3", "list_objects", True),
        (("s3.*",), "s3control", "list_jobs", False),
        (("s3.get_*",), "s3", "put_object", False),
        (("*",), "sns", "publish", True),
        (("s3.list_buckets",), "s3", "list_buckets_x", False),
        (("s3.get_object",), "S3", "get_object", False),
    ],
)
def test_the_list(entries: tuple[str, ...], service: str, action: str, may: bool) -> None:
    assert Allowed(actions=entries).has_action(service, action) is may


@pytest.mark.parametrize("action", ["generate_presigned_url", "get_paginator", "close", "meta", "exceptions", "upload_file", "no_such"])
def test_only_what_the_service_has_can_be_called(action: str) -> None:
    failed = failure({"service": "s3", "action": action}, "*")
    assert (failed.name, failed.permanent) == ("InputInvalid", True)


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"service": "s3"},
        {"service": "S3", "action": "list_buckets"},
        {"service": "../s3", "action": "list_buckets"},
        {"service": "s3", "action": "ListBuckets"},
        {"service": "s3", "action": "__class__"},
        {"service": "s3", "action": "_make_api_call"},
        {"service": "s3", "action": "list_buckets", "parameters": []},
        {"service": "s3", "action": "list_buckets", "endpoint_url": "http://evil"},
        {"service": "no-such-service", "action": "list_things"},
        {"service": "s3", "action": "get_object", "parameters": {"Bucket": 7}},
    ],
)
def test_input_that_does_not_fit(given: Any) -> None:
    assert failure(given, "*").name == "InputInvalid"


@pytest.mark.parametrize("given", ["x", [], {"hosts": "a"}, {"hosts": [1]}, {"hosts": [""]}, {"functionz": []}])
def test_a_list_that_is_none(given: Any) -> None:
    with pytest.raises(ValueError):
        Allowed.from_json(given)


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("code", "name", "permanent"),
    [
        ("ThrottlingException", "Throttled", False),
        ("Throttling", "Throttled", False),
        ("ProvisionedThroughputExceededException", "Throttled", False),
        ("TooManyRequestsException", "Throttled", False),
        ("SlowDown", "Throttled", False),
        ("RequestLimitExceeded", "Throttled", False),
        ("ConditionalCheckFailedException", "ConditionalCheckFailedException", False),
        ("AccessDeniedException", "AccessDeniedException", True),
        ("ValidationException", "ValidationException", True),
        ("InternalServerError", "InternalServerError", False),
        ("EntityTooLarge", "PayloadTooLarge", True),
    ],
)
def test_a_services_code_is_the_errors_name(code: str, name: str, permanent: bool) -> None:
    client = boto3.client("dynamodb", region_name="us-east-1", config=_once())
    stub = Stubber(client)
    stub.add_client_error("list_tables", code, "told so")
    with stub:
        failed = failure({"service": "dynamodb", "action": "list_tables"}, "*", client=client)
    assert (failed.name, failed.permanent) == (name, permanent)
    assert "told so" in failed.message


def _once() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1})


@pytest.mark.parametrize(
    ("raised", "name"),
    [
        (ReadTimeoutError(endpoint_url="https://x"), "Timeout"),
        (EndpointConnectionError(endpoint_url="https://x"), "EndpointConnectionError"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_a_service_that_cannot_be_reached(raised: Exception, name: str) -> None:
    client = boto3.client("sns", region_name="us-east-1")

    def fail(**_: Any) -> None:
        raise raised

    client.meta.events.register("before-call", fail)
    assert failure({"service": "sns", "action": "list_topics"}, "*", client=client).name == name


# ------------------------------------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC), "2026-11-23T01:02:03+00:00"),
        (Decimal("7"), 7),
        (Decimal("7.5"), 7.5),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        (b"text", "text"),
        (b"\xff\x00", {"base64": "/wA="}),
        (bytearray(b"x"), "x"),
        (io.BytesIO(b"stream"), "stream"),
        (float("nan"), "nan"),
        ({"a": [None, True, 1.5, {"b": b"c"}]}, {"a": [None, True, 1.5, {"b": "c"}]}),
    ],
)
def test_a_result_is_json(value: Any, shown: Any) -> None:
    assert as_json(value, [MAX_BYTES]) == shown


@pytest.mark.parametrize("value", [io.BytesIO(b"x" * 11), b"x" * 11, [b"x" * 6, b"x" * 6], {"a": io.BytesIO(b"x" * 6), "b": b"x" * 6}])
def test_bytes_are_bounded_all_together(value: Any) -> None:
    with pytest.raises(TaskError) as failed:
        as_json(value, [10])
    assert (failed.value.name, failed.value.permanent) == ("PayloadTooLarge", True)


def test_a_stream_of_events_is_no_result_and_is_closed() -> None:
    class Events:
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    events = Events()
    with pytest.raises(TaskError) as failed:
        as_json({"Payload": events}, [10])
    assert (failed.value.name, events.is_closed) == ("OutputInvalid", True)


def test_what_is_no_json() -> None:
    with pytest.raises(TaskError) as failed:
        as_json(object(), [10])
    assert failed.value.name == "OutputInvalid"
