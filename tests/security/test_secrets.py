"""`secrets.NAME`: canaries are planted, and every place that a deployed engine writes to or tells of is searched for them.

Searched are all requests to AWS (items, messages, events, objects), the log, the lines of metrics, hooks, what people see
of a run by Python and by HTTP, and answers that refuse. Secrets Manager itself is the local account's.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from treadle import LATER, TaskContext, TaskError, task
from treadle.core.errors import Unavailable
from treadle.engine.secrecy import Mask
from treadle.local.dev import Dev, serve
from treadle.ports import Secrets
from treadle.testing import LocalEngine
from treadle.views import RunView

KEY = 'canary-"1"/ä+&\n-of-a-key'
PASSWORD = "canary-pass-0451"
SECRETS = {"KEY": KEY, "DB": {"user": "app", "password": PASSWORD}}
FORMS = [KEY, PASSWORD, "canary", base64.b64encode(KEY.encode()).decode(), quote(KEY), json.dumps(KEY)[1:-1]]


@dataclass
class Sinks:
    """Everything that was written or told, as text."""

    texts: list[str] = field(default_factory=list)

    def watch(self, engine: LocalEngine) -> None:
        clients = engine.stack.cloud.clients
        for client in (clients.dynamodb, clients.sqs, clients.events, clients.s3):
            client.meta.events.register_first("before-call", self._call)

    def _call(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        body = params["body"]
        content = body.getvalue() if hasattr(body, "getvalue") else body
        self.texts.append(f"{model.name} " + (content.decode() if isinstance(content, bytes) else str(content)))

    def told(self, value: Any) -> None:
        self.texts += [str(value), json.dumps(value, default=str), json.dumps(value, default=str, ensure_ascii=False)]


class Spy:
    """A hook that is shown all there is."""

    name = "spy"
    replaces = True

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks

    def before_attempt(self, event: dict[str, Any]) -> None:
        self._sinks.told(event)

    after_attempt = after_step = after_run = before_attempt


@task
def leak(given: dict[str, Any], context: TaskContext) -> Any:
    """Says what it was given wherever it can."""
    secret = given["secret"]
    context.logger.warning("given %s", given, extra={"given": given})
    context.logger.info(f"as JSON {json.dumps(given)}")
    context.heartbeat(given)
    match given.get("how", "return"):
        case "return":
            return {"echo": given, secret: [base64.b64encode(secret.encode()).decode(), f"https://x.example/?k={quote(secret)}"]}
        case "raise":
            raise RuntimeError(f"refused: {secret!r}")
        case "fail":
            raise TaskError(
                f"No{secret}", f"refused: {secret}", {"sent": given, "what": {secret, 1}} if "odd" in given else {"sent": given}
            )
        case "once" if context.attempt == 1:
            raise TaskError("Busy", secret, [secret])
        case "long":
            raise TaskError("Long", "x" * 4000 + secret * 40, {"x": "x" * 4000, "y": secret * 40})
        case "slow":
            while not context.is_cancelled():
                pass
        case "later":
            context.callback()
            return LATER
    return secret


ALL = "${secrets.KEY}"
STEPS: dict[str, dict[str, Any]] = {
    "succeeds": {"with": {"secret": ALL, "db": "${secrets.DB}"}},
    "is reshaped": {"with": {"secret": ALL}, "output": "${result.echo.secret} ${result}"},
    "is kept in an object": {"with": {"secret": ALL, "padding": "x" * 20_000}},
    "in a longer text": {"with": {"secret": "Bearer ${secrets.KEY} of ${secrets.DB.user}"}},
    "is made into something": {"with": {"secret": "${secrets.KEY.substring(0, 9) + secrets.DB['password']}"}},
    "raises": {"with": {"secret": ALL, "how": "raise"}},
    "fails": {"with": {"secret": "${secrets.DB.password}", "how": "fail"}},
    "fails with what is no JSON": {"with": {"secret": ALL, "how": "fail", "odd": True}},
    "fails at length": {"with": {"secret": ALL, "how": "long"}},
    "is caught": {"with": {"secret": ALL, "how": "fail"}, "catch": [{"errors": ["*"], "output": "${error}"}]},
    "is tried again": {"with": {"secret": ALL, "how": "once"}, "retry": {"maxAttempts": 2, "delay": "1s"}},
    "takes too long": {"with": {"secret": ALL, "how": "slow"}, "timeout": "100ms"},
    "ends later": {"with": {"secret": ALL, "how": "later"}, "timeout": "1s"},
    "is remembered": {"with": {"secret": ALL}, "cache": {"key": "'k'", "ttl": "1h"}},
    "is a loop": {"with": {"secret": "${item}${secrets.KEY}"}, "forEach": ["a", "b", "c"], "tolerate": {"failures": 3}},
    "breaks an expression": {"with": {"secret": "${{'a': 1}[secrets.KEY]}"}},
    "breaks another": {"with": {"secret": "${int(secrets.DB.password)}"}},
}


@pytest.fixture
def sinks(caplog: pytest.LogCaptureFixture) -> Iterator[Sinks]:
    found = Sinks()
    with caplog.at_level(logging.INFO):
        yield found
    for record in caplog.records:
        found.told({**vars(record), "text": record.getMessage(), "trace": caplog.handler.format(record)})
    leaks = [text[:300] for text in found.texts if any(form in text for form in FORMS)]
    assert not leaks, leaks[0]
    assert len(found.texts) > 20


@pytest.fixture
def engine(sinks: Sinks) -> Iterator[LocalEngine]:
    monitored = {"workflow_engine": {"initialization": {"monitoring": {"enabled": True}}}}
    with LocalEngine(tasks=[leak], skip_time=True, secrets=SECRETS, hooks=[Spy(sinks)], config=monitored) as engine:
        sinks.watch(engine)
        yield engine
        sinks.told(engine.stack.metrics)


def workflow(step: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "task": "leak", **step}], **more}


def seen(engine: LocalEngine, sinks: Sinks, run: RunView) -> RunView:
    sinks.told(run.model_dump(mode="json", by_alias=True))
    sinks.told(engine.history(run.id))
    return run


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_whatever_becomes_of_the_step_nobody_learns_the_secret(engine: LocalEngine, sinks: Sinks, step: dict[str, Any]) -> None:
    seen(engine, sinks, engine.run(workflow(step)))
    seen(engine, sinks, engine.run(workflow(step)))  # from the cache, if it has one


def test_what_was_masked_shows_stars(engine: LocalEngine, sinks: Sinks) -> None:
    run = engine.run(workflow({"with": {"secret": ALL}, "output": "${result.echo.secret}"}))
    failed = engine.run(workflow(STEPS["raises"], version="1.0.1"))
    assert (run.output, failed.error and failed.error["message"]) == ({"a": "***"}, "refused: '***'")


def test_what_is_undone_learns_it_and_does_not_tell(engine: LocalEngine, sinks: Sinks) -> None:
    undo = {"task": "leak", "with": {"secret": ALL, "how": "fail"}}
    steps = [{"id": "a", "set": 1, "compensate": undo}, {"id": "b", "after": ["a"], "fail": {"error": "Broken"}}]
    run = engine.run({**workflow({}), "steps": steps, "errorHandling": {"onFailure": "compensate"}})
    assert (seen(engine, sinks, run).status, run.compensated) == ("failed", False)


def test_the_task_itself_is_given_it() -> None:
    told: list[Any] = []

    @task
    def use(given: Any) -> None:
        told.append(given)

    with LocalEngine(tasks=[use], secrets=SECRETS) as engine:
        engine.run(workflow({"task": "use", "with": {"a": "${secrets.KEY}", "b": "${secrets.DB}", "c": "-${secrets.DB.password}-"}}))
    assert told == [{"a": KEY, "b": SECRETS["DB"], "c": f"-{PASSWORD}-"}]


# ------------------------------------------------------------------------------------------------ by HTTP


def test_what_http_says_of_a_run(sinks: Sinks) -> None:
    with serve(tasks=[leak], skip_time=True, secrets=SECRETS) as dev:
        definition = workflow({"with": {"secret": ALL, "how": "fail"}})
        sinks.told(ask(dev, "POST", "/v1/workflows", definition))
        started = ask(dev, "POST", "/v1/workflows/w/runs", {"input": {}})
        operations = dev.stack.operations
        dev.stack.pump.wait(lambda: operations.show("local", started["id"]).status == "failed", 20)
        for path in (f"/v1/runs/{started['id']}", f"/v1/runs/{started['id']}/history", "/v1/audit", "/v1/runs?workflow=w"):
            sinks.told(ask(dev, "GET", path))
        refused = ask(dev, "POST", "/v1/workflows", workflow({"with": {"secret": "${secrets[input.x]}"}, "output": "${secrets.KEY}"}))
        sinks.told(refused)
        assert {fault["code"] for fault in refused["diagnostics"]} == {"bad-expression", "unknown-reference"}
        sinks.texts += ["."] * 20


def ask(dev: Dev, method: str, path: str, body: Any = None) -> Any:
    import urllib.error
    import urllib.request

    headers = {"authorization": f"Bearer {dev.token}", "content-type": "application/json"}
    asked = urllib.request.Request(dev.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
    try:
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


# ------------------------------------------------------------------------------------------------ missing, and out of reach


def test_a_secret_that_is_missing_fails_the_step_for_good_and_is_named() -> None:
    retried = workflow({"with": {"secret": "${secrets.NOPE}"}, "retry": {"maxAttempts": 5}})
    with LocalEngine(tasks=[leak], skip_time=True) as engine:
        run = engine.run(retried)
    assert (run.status, run.steps["a"].attempts) == ("failed", 1)
    assert run.error is not None
    assert run.error["name"] == "ExpressionError"
    assert "secrets.NOPE: there is no secret NOPE" in run.error["message"]


def test_the_local_account_has_secrets_as_a_deployed_engine_has(sinks: Sinks) -> None:
    with LocalEngine(tasks=[leak], skip_time=True) as engine:
        sinks.watch(engine)
        engine.stack.cloud.client("secretsmanager").create_secret(Name="treadle/local/KEY", SecretString=KEY)
        engine.stack.cloud.client("secretsmanager").create_secret(Name="treadle/other/MINE", SecretString=KEY)
        assert seen(engine, sinks, engine.run(workflow({"with": {"secret": ALL}}))).status == "succeeded"
        assert engine.run(workflow({"with": {"secret": "${secrets.MINE}"}}, version="1.0.1")).status == "failed"


class Down:
    """Secrets Manager, that cannot be reached the first `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        self.asked += 1
        if self.asked <= self.times:
            raise Unavailable("Secrets Manager is down")
        return KEY


STEPS_IN_AN_OUTAGE: dict[str, dict[str, Any]] = {
    "a step": {"with": {"secret": ALL}},
    "the items of a loop": {"with": {"secret": ALL}, "forEach": [1, 2, 3]},
    "the lanes of a loop": {"with": {"secret": ALL}, "forEach": [1, 2, 3], "maxConcurrency": 1},
    "the iterations of a loop": {"with": {"secret": ALL}, "repeat": {"max": 3, "until": "iteration == 2"}},
}


@pytest.mark.parametrize("step", STEPS_IN_AN_OUTAGE.values(), ids=STEPS_IN_AN_OUTAGE)
def test_while_secrets_cannot_be_read_only_steps_that_name_some_wait(step: dict[str, Any]) -> None:
    down: Secrets = Down(8)
    others = [{"id": "other", "task": "echo", "with": {"x": 1}}, {"id": "next", "after": ["other"], "task": "echo"}]
    definition = {**workflow({}), "steps": [{"id": "a", "task": "leak", **step}, *others]}
    with LocalEngine(tasks=[leak], skip_time=True) as engine:
        engine.stack.wiring.engine.world.secrets = down
        run = engine.run(definition)
    assert run.status == "succeeded", run.error
    assert run.steps["a"].attempts == 1, "waiting for a secret is no attempt"
    assert run.steps["next"].ended_at < run.steps["a"].ended_at  # type: ignore[operator]


def test_a_second_attempt_asks_for_the_secret_anew() -> None:
    asked: list[bool] = []

    class Asked:
        def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
            asked.append(anew)
            return KEY

    with LocalEngine(tasks=[leak], skip_time=True) as engine:
        engine.stack.wiring.engine.world.secrets = Asked()
        engine.run(workflow(STEPS["is tried again"]))
    assert asked == [False, True]


# ------------------------------------------------------------------------------------------------ the mask


@pytest.mark.parametrize(
    ("secrets", "text", "masked"),
    [
        pytest.param(["abcdef"], "x abcdef y", "x *** y", id="inside a text"),
        pytest.param(["abcdef", "abcdefgh"], "abcdefgh", "***", id="the longer one first"),
        pytest.param(["abc"], "abc", "***", id="a short one that is the whole text"),
        pytest.param(["abc"], "abcdef", "abcdef", id="a short one inside of a text stays"),
        pytest.param(["a.c*"], "abcc a.c*", "abcc ***", id="it is no pattern"),
        pytest.param(['a"bcd'], json.dumps('a"bcd'), '"***"', id="as JSON writes it"),
        pytest.param(["a b&c"], "a%20b%26c a+b%26c", "*** ***", id="as a URL writes it"),
        pytest.param(["secret"], "c2VjcmV0", "***", id="as Base64 writes it"),
        pytest.param(["first line 1\nsecond line"], "first line 1", "***", id="a line of it"),
        pytest.param([], "anything", "anything", id="none"),
    ],
)
def test_what_is_masked(secrets: list[str], text: str, masked: str) -> None:
    assert Mask(tuple(secrets)).text(text) == masked


def test_keys_are_masked_and_other_values_stay() -> None:
    value = {"abcdef": [1, 2.5, True, None, {"x": "abcdef"}]}
    assert Mask(("abcdef",)).json(value) == {"***": [1, 2.5, True, None, {"x": "***"}]}
