"""The task `lambda`, and tasks that are Lambdas of their own: what each says is what the other understands."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from treadle import TaskContext, TaskError, task
from treadle.core.errors import Unavailable
from treadle.local.dev import Dev, serve
from treadle.tasks import LATER, Allowed, Callback, Outside, Registry, Task
from treadle.tasks.answering import post
from treadle.tasks.lambda_ import Invoked, Lambda, invoker
from treadle.testing import LocalEngine

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:score"


@dataclass
class ClientContext:
    custom: dict[str, Any]


@dataclass
class LambdaContext:
    """What Lambda gives a function beside its event."""

    client_context: ClientContext | None = None
    aws_request_id: str = "r-1"
    left_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@dataclass
class Functions:
    """Lambdas that are tasks of this test, by name: invoked as Lambda does it, JSON in and JSON out."""

    tasks: dict[str, Task]
    answers: dict[str, Invoked] = field(default_factory=dict)
    asked: list[tuple[str, bool, Any]] = field(default_factory=list)

    def __call__(self, function: str, event: bytes, *, waits: bool, about: Mapping[str, Any]) -> Invoked:
        given = json.loads(event)
        self.asked.append((function, waits, given))
        if function in self.answers:
            return self.answers[function]
        context = LambdaContext(ClientContext({"treadle": json.loads(json.dumps(about))}) if waits else None)
        answer = self.tasks[function].handler(given, context)
        return Invoked(json.dumps(answer).encode() if waits else b"")


def context_for(callback: Callback | None = None) -> TaskContext:
    import logging

    context = TaskContext("run1", "a[3]", 2, "key1", 0.0, logging.getLogger("test"))
    if callback is not None:
        context.callback = lambda: callback
    return context


def invoke(given: Any, invoke: Any, *allowed: str, callback: Callback | None = None) -> Any:
    return Lambda(Allowed(functions=allowed or ("*",)), invoke)(given, context_for(callback))


def failure(given: Any, invoker: Any, *allowed: str) -> TaskError:
    with pytest.raises(TaskError) as failed:
        invoke(given, invoker, *allowed)
    return failed.value


# ------------------------------------------------------------------------------------------------ mode wait


@pytest.mark.parametrize(
    ("answer", "output"), [(b'{"a": 1}', {"a": 1}), (b"null", None), (b"", None), (b'"text"', "text"), (b'{"treadle": {"output": 5}}', 5)]
)
def test_what_a_function_returns_is_the_output(answer: bytes, output: Any) -> None:
    functions = Functions({}, {"score": Invoked(answer)})
    assert invoke({"function": "score", "payload": {"n": 1}}, functions) == output
    assert functions.asked == [("score", True, {"n": 1})]


def test_what_it_raises_is_the_error() -> None:
    raised = json.dumps({"errorType": "CardDeclined", "errorMessage": "no money", "stackTrace": ["secret line"]}).encode()
    failed = failure({"function": "score"}, Functions({}, {"score": Invoked(raised, failed=True)}))
    assert (failed.name, failed.message, failed.details, failed.permanent) == ("CardDeclined", "no money", None, False)


def test_an_error_without_a_name() -> None:
    assert failure({"function": "score"}, Functions({}, {"score": Invoked(b'{"errorMessage": "x"}', failed=True)})).name == "TaskFailed"


def test_an_answer_that_is_no_json() -> None:
    assert failure({"function": "score"}, Functions({}, {"score": Invoked(b"<html>")})).name == "OutputInvalid"


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"function": ""},
        {"function": 1},
        {"function": "f", "mode": "later"},
        {"function": "f", "mode": []},
        {"function": "f", "x": 1},
    ],
)
def test_input_that_does_not_fit(given: Any) -> None:
    assert failure(given, Functions({})).name == "InputInvalid"


@pytest.mark.parametrize(("mode", "size"), [("wait", 6 * 1024 * 1024), ("callback", 1024 * 1024)])
def test_a_payload_that_lambda_does_not_take(mode: str, size: int) -> None:
    """Refused before anybody gets a token."""
    failed = failure({"function": "f", "payload": "x" * size, "mode": mode}, Functions({}))
    assert (failed.name, failed.permanent) == ("PayloadTooLarge", True)


@pytest.mark.parametrize(
    ("entries", "function", "may"),
    [
        ((), "score", False),
        (("score",), "score", True),
        (("score",), "score2", False),
        (("score-*",), "score-eu", True),
        ((ARN,), ARN, True),
        ((ARN,), "score", True),
        ((ARN,), "other", False),
        (("score",), ARN, False),
        (("arn:aws:lambda:*:123456789012:function:*",), ARN, True),
        (("arn:aws:lambda:*:123456789012:function:*",), ARN.replace("123456789012", "999999999999"), False),
        (("score",), "score:1", False),
        (("score*",), "score-eu:1", False),
        (("score:live",), "score:live", True),
        (("score:*",), "score:live", True),
        ((ARN,), f"{ARN}:1", False),
        ((f"{ARN}:live",), "score:live", True),
        ((f"{ARN}:live",), "score", False),
        (("*score",), "999999999999:function:score", False),
        (("score",), "999999999999:function:score", False),
        (("*-score",), "arn:aws:lambda:eu-west-1:999999999999:function:my-score", False),
        (("score",), "Score", False),
        (("score",), " score", False),
        (("score",), "score/../other", False),
        (("*",), ARN, True),
        (("*",), "score:1", True),
    ],
)
def test_only_functions_on_the_list(entries: tuple[str, ...], function: str, may: bool) -> None:
    assert Allowed(functions=entries).has_function(function) is may
    if not may:
        with pytest.raises(TaskError) as failed:
            Lambda(Allowed(functions=entries), Functions({}))({"function": function}, context_for())
        assert (failed.value.name, failed.value.permanent) == ("NotAllowed", True)


# ------------------------------------------------------------------------------------------------ by boto3


def stubbed() -> tuple[Any, Stubber]:
    client = boto3.client("lambda", region_name="eu-west-1")
    return client, Stubber(client)


def body(content: bytes) -> StreamingBody:
    import io

    return StreamingBody(io.BytesIO(content), len(content))


def test_a_function_is_told_who_asks() -> None:
    client, stub = stubbed()
    about = {"run": "run1", "step": "a[3]", "attempt": 2, "idempotencyKey": "key1"}
    asked = {"FunctionName": "score", "Payload": b'{"n":1}', "InvocationType": "RequestResponse", "ClientContext": ANY}
    stub.add_response("invoke", {"StatusCode": 200, "Payload": body(b"7")}, asked)
    seen: list[str] = []
    client.meta.events.register("provide-client-params.lambda.Invoke", lambda params, **_: seen.append(params["ClientContext"]))
    with stub:
        assert invoke({"function": "score", "payload": {"n": 1}}, invoker(lambda service, config: client)) == 7
    assert json.loads(base64.b64decode(seen[0])) == {"custom": {"treadle": about}}


def test_in_mode_callback_nobody_waits() -> None:
    client, stub = stubbed()
    asked = {"FunctionName": "score", "InvocationType": "Event", "Payload": ANY}
    stub.add_response("invoke", {"StatusCode": 202, "Payload": body(b"")}, asked)
    with stub:
        given = {"function": "score", "mode": "callback"}
        assert invoke(given, invoker(lambda service, config: client), callback=Callback("t", "https://x/t")) is LATER


@pytest.mark.parametrize(
    ("code", "name", "permanent"),
    [
        ("TooManyRequestsException", "Throttled", False),
        ("RequestTooLargeException", "PayloadTooLarge", True),
        ("AccessDeniedException", "AccessDeniedException", True),
        ("ResourceNotFoundException", "ResourceNotFoundException", False),
        ("ServiceException", "ServiceException", False),
    ],
)
def test_what_lambda_itself_refuses(code: str, name: str, permanent: bool) -> None:
    client, stub = stubbed()
    stub.add_client_error("invoke", code)
    with stub:
        failed = failure({"function": "score"}, invoker(lambda service, config: client))
    assert (failed.name, failed.permanent) == (name, permanent)


# ------------------------------------------------------------------------------------------------ tasks as Lambdas


@task(permanent=("Hopeless",))
def score(given: Any, context: TaskContext) -> Any:
    if isinstance(given, dict) and "fails" in given:
        raise TaskError(given["fails"], "as it should", {"n": 1})
    if given == "crash":
        raise KeyError("n")
    if given == "beat":
        context.heartbeat("half")
    return {"given": given, "key": context.idempotency_key, "step": context.step_id, "attempt": context.attempt}


def test_a_task_is_a_lambda() -> None:
    output = invoke({"function": "score", "payload": [1]}, Functions({"score": score}))
    assert output == {"given": [1], "key": "key1", "step": "a[3]", "attempt": 2}


@pytest.mark.parametrize(("error", "permanent"), [("Busy", False), ("Hopeless", True)])
def test_its_errors_arrive_whole(error: str, permanent: bool) -> None:
    failed = failure({"function": "score", "payload": {"fails": error}}, Functions({"score": score}))
    assert (failed.name, failed.message, failed.details, failed.permanent) == (error, "as it should", {"n": 1}, permanent)


def test_any_exception_is_an_error_by_its_class() -> None:
    assert failure({"function": "score", "payload": "crash"}, Functions({"score": score})).name == "KeyError"


@pytest.mark.parametrize("payload", [{"gives": "a set"}, {"gives": "NaN"}, {"gives": "an exit"}, {"gives": "odd details"}])
def test_whatever_a_task_does_is_told_as_it_would_be_in_a_worker(payload: dict[str, str]) -> None:
    """What Lambda could not put into JSON would break its runtime, and a callback would never be made."""

    @task(name="score")
    def odd(given: Any) -> Any:
        match given["gives"]:
            case "a set":
                return {1, 2}
            case "NaN":
                return float("nan")
            case "an exit":
                raise SystemExit(3)
        raise TaskError("Odd", details={"it": {1}})

    names = {"an exit": "SystemExit", "odd details": "Odd"}
    assert failure({"function": "score", "payload": payload}, Functions({"score": odd})).name == names.get(
        payload["gives"], "OutputInvalid"
    )


def test_asked_by_anybody_else_it_is_a_plain_function() -> None:
    assert score.handler([1], LambdaContext())["given"] == [1]
    with pytest.raises(TaskError):
        score.handler({"fails": "Busy"}, LambdaContext())


def test_a_task_may_be_called_as_before() -> None:
    assert score.function is Registry([score]).find("score").function  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------ callbacks over HTTP


@pytest.fixture(scope="module")
def functions() -> Functions:
    return Functions({"score": score})


@pytest.fixture(scope="module")
def dev(functions: Functions) -> Any:
    with serve(skip_time=True, outside=Outside(Allowed(functions=("score",)), invoke=functions)) as running:
        yield running


def run(dev: Dev, payload: Any) -> Any:
    step = {
        "id": "a",
        "task": "lambda",
        "with": {"function": "score", "payload": payload, "mode": "callback"},
        "timeout": "5m",
        "heartbeat": "1m",
    }
    definition = {"id": "w", "name": "W", "version": "1.0.0", "steps": [step]}
    stack = dev.stack
    with stack.pump.request():
        run_id = stack.operations.run_definition("local", definition, {}).id
    found = stack.pump.wait(lambda: shown if (shown := stack.operations.show("local", run_id)).ended_at else None, 20)
    assert found is not None
    return found


def test_a_lambda_calls_back(dev: Dev) -> None:
    found = run(dev, "beat")
    assert (found.status, found.output["a"]["given"], found.output["a"]["step"]) == ("succeeded", "beat", "a")


def test_a_lambda_tells_that_it_failed(dev: Dev) -> None:
    found = run(dev, {"fails": "Busy"})
    error = found.steps["a"].error or {}
    assert (found.status, error["name"], error["message"], error["details"]) == ("failed", "Busy", "as it should", {"n": 1})


def test_what_lambda_delivers_twice_is_answered_twice(dev: Dev, functions: Functions) -> None:
    """Asynchronous invocations come at least once."""
    assert run(dev, [1]).status == "succeeded"
    score.handler(functions.asked[-1][2], LambdaContext())


@pytest.mark.parametrize("verb", ["succeed", "fail", "heartbeat"])
def test_a_token_that_nobody_gave(dev: Dev, verb: str) -> None:
    assert post(f"{dev.url}/v1/callbacks/{'x' * 43}", verb, {}) == 404


@pytest.mark.parametrize("url", ["http://example.com/x", "file:///x", "ftp://127.0.0.1/x", "https:///x"])
def test_a_token_goes_only_where_nobody_listens_in(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        post(url, "succeed", {})


def test_when_the_engine_cannot_be_reached_lambda_tries_again() -> None:
    with pytest.raises(Unavailable) as raised:
        post("http://127.0.0.1:9/v1/callbacks/secret", "succeed", {})
    assert "secret" not in str(raised.value)


def test_a_task_of_ones_own_stands_before_a_built_in_one() -> None:
    @task(name="lambda")
    def fake(given: Any) -> Any:
        return given["function"]

    with LocalEngine(tasks=[fake], skip_time=True) as engine:
        steps = [{"id": "a", "task": "lambda", "with": {"function": "f"}}]
        assert engine.run({"id": "w", "name": "W", "version": "1.0.0", "steps": steps}).output == {"a": "f"}
