"""The synthesised template, deployed by create_stack, and runs driven through it to their end.

HTTP API and JWT authorizer, queues and mappings, bus and rules, Lambdas as processes with the layer, roles whose policies are
evaluated: all of them as the template has them, none of them ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from treadle import topology

from tests.infra.test_security import SERVICES
from tests.ministack import trail
from tests.ministack.deployment import STACK, TOPIC, Deployed

pytestmark = [pytest.mark.ministack, pytest.mark.timeout(180)]

ORDER: dict[str, Any] = {
    "id": "order",
    "name": "Order fulfilment",
    "version": "1.0.0",
    "input": {"type": "object", "required": ["amount", "channels"]},
    "steps": [
        {"id": "validate", "task": "echo", "with": "${input}"},
        {"id": "charge", "after": ["validate"], "task": "echo", "with": {"receipt": "r-${input.amount}"}},
        {"id": "reserve", "after": ["validate"], "set": {"shelf": 7}},
        {"id": "settle", "after": ["charge", "reserve"], "wait": "1s"},
        {
            "id": "tell",
            "after": ["settle"],
            "forEach": "input.channels",
            "task": "echo",
            "with": {"channel": "${item}", "receipt": "${steps.charge.output.receipt}"},
        },
    ],
    "output": {"told": "${steps.tell.output}"},
}
TOLD = {"told": [{"channel": "mail", "receipt": "r-5"}, {"channel": "sms", "receipt": "r-5"}]}


def test_whoever_has_no_token_gets_in_nowhere_but_through_the_open_doors(deployed: Deployed) -> None:
    assert deployed.call("GET", "/health", as_=None).status == 200
    assert deployed.call("GET", "/openapi.json", as_=None).status == 200
    assert deployed.call("POST", "/callbacks/nobody-knows-it/succeed", {}, as_=None).status == 404
    for method, path in (("GET", "/runs"), ("POST", "/workflows"), ("GET", "/workflows/order")):
        assert deployed.call(method, path, as_=None).status == 401
    forged = {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWxsb3J5In0."}
    assert deployed.call("GET", "/runs", as_=None, headers=forged).status == 401


def test_a_role_may_do_what_the_policy_says(deployed: Deployed) -> None:
    assert deployed.call("GET", "/runs", as_="viewer").status == 200
    refused = deployed.call("POST", "/workflows", ORDER, as_="viewer")
    assert (refused.status, refused.body["code"]) == (403, "forbidden")


def test_a_run_goes_through_queues_and_functions_to_its_end(deployed: Deployed) -> None:
    assert deployed.call("POST", "/workflows", ORDER, as_="author").status in (200, 201)
    assert deployed.call("POST", "/workflows", ORDER, as_="author").status == 200
    key = {"idempotency-key": "order-1"}
    body = {"input": {"amount": 5, "channels": ["mail", "sms"]}}
    started = deployed.call("POST", "/workflows/order/runs", body, as_="operator", headers=key)
    assert started.status == 202, started.body
    assert deployed.call("POST", "/workflows/order/runs", body, as_="operator", headers=key).body["id"] == started.body["id"]
    run = deployed.until_final(started.body["id"])
    assert (run["status"], run["output"]) == ("succeeded", TOLD), run
    assert run["steps"]["tell[1]"]["status"] == "succeeded"
    history = deployed.call("GET", f"/runs/{run['id']}/history")
    assert history.status == 200


def test_a_failure_is_retried_caught_and_compensated_by_way_of_the_bus(deployed: Deployed) -> None:
    definition = {
        "id": "failing",
        "name": "Failing",
        "version": "1.0.0",
        "steps": [
            {"id": "paid", "task": "echo", "with": {"n": 1}, "compensate": {"task": "echo", "with": {"undo": "${output.n}"}}},
            {"id": "caught", "after": ["paid"], "fail": {"error": "Small"}, "catch": [{"errors": ["Small"], "output": "mended"}]},
            {"id": "lost", "after": ["caught"], "fail": {"error": "Big"}, "retry": {"maxAttempts": 2, "delay": "1s"}},
        ],
        "errorHandling": {"onFailure": "compensate"},
    }
    started = deployed.call("POST", "/runs", {"definition": definition, "input": {}})
    assert started.status == 202, started.body
    run = deployed.until_final(started.body["id"])
    assert (run["status"], run["error"]["name"], run["compensated"]) == ("failed", "Big", True), run
    assert run["steps"]["caught"]["output"] == "mended"
    assert run["steps"]["lost"]["attempts"] == 2


def test_a_person_approves(deployed: Deployed) -> None:
    definition = {
        "id": "asking",
        "name": "Asking",
        "version": "1.0.0",
        "steps": [
            {"id": "ask", "approval": {"timeout": "1h"}},
            {"id": "go", "after": ["ask"], "set": "${steps.ask.output.decision}"},
        ],
    }
    run_id = deployed.call("POST", "/runs", {"definition": definition, "input": {}}).body["id"]
    _eventually(lambda: deployed.call("GET", f"/runs/{run_id}").body["status"] == "waiting")
    assert deployed.call("POST", f"/runs/{run_id}/steps/ask/approve", {"comment": "fine"}, as_="approver").status == 202
    run = deployed.until_final(run_id)
    assert (run["status"], run["steps"]["go"]["output"]) == ("succeeded", "approved"), run


def test_what_lands_in_the_inbox_becomes_a_workflow_and_a_run(deployed: Deployed) -> None:
    s3, inbox = deployed.emulator.client("s3"), deployed.outputs["InboxBucket"]
    dropped = {**ORDER, "id": "dropped"}
    s3.put_object(Bucket=inbox, Key="definitions/dropped.json", Body=json.dumps(dropped).encode())
    _eventually(lambda: deployed.call("GET", "/workflows/dropped").status == 200)
    s3.put_object(Bucket=inbox, Key="inputs/dropped/1.json", Body=json.dumps({"amount": 5, "channels": ["mail", "sms"]}).encode())
    _one_run_of(deployed, "dropped", TOLD)


def test_what_is_put_on_the_bus_becomes_a_run(deployed: Deployed) -> None:
    detail = {"definition": {**ORDER, "id": "announced"}, "input": {"amount": 5, "channels": ["mail", "sms"]}}
    entry = {
        "EventBusName": deployed.outputs["BusName"],
        "Source": "shop",
        "DetailType": "WorkflowSubmitted",
        "Detail": json.dumps(detail),
    }
    assert deployed.emulator.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    _one_run_of(deployed, "announced", TOLD)


def test_what_is_large_goes_by_way_of_the_bucket(deployed: Deployed) -> None:
    cloth = "warp and weft " * 4000
    definition = {
        "id": "large",
        "name": "Large",
        "version": "1.0.0",
        "steps": [
            {"id": "carry", "task": "echo", "with": {"cloth": "${input.cloth}"}},
            {"id": "fold", "after": ["carry"], "set": "${size(steps.carry.output.cloth)}"},
        ],
    }
    run_id = deployed.call("POST", "/runs", {"definition": definition, "input": {"cloth": cloth}}).body["id"]
    run = deployed.until_final(run_id)
    assert (run["status"], run["output"]) == ("succeeded", {"fold": len(cloth)}), run["error"]
    assert deployed.emulator.client("s3").list_objects_v2(Bucket=deployed.blobs)["KeyCount"] > 0


def test_a_topic_is_told_of_an_escalation_that_names_it(deployed: Deployed) -> None:
    sns, sqs = deployed.emulator.client("sns"), deployed.emulator.client("sqs")
    assert sns.create_topic(Name="ops")["TopicArn"] == TOPIC
    heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns_may = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sns_may]})
    sqs.set_queue_attributes(QueueUrl=heard, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
    handling = {"escalation": [{"afterAttempts": 1, "notify": "ops", "severity": "critical"}]}
    steps = [{"id": "a", "fail": {"error": "Broken"}}]
    definition = {"id": "tells", "name": "tells", "version": "1.0.0", "steps": steps, "errorHandling": handling}
    run = deployed.call("POST", "/runs", {"definition": definition, "input": {}}).body["id"]
    found: list[Any] = []

    def told() -> bool:
        found.extend(sqs.receive_message(QueueUrl=heard, WaitTimeSeconds=1).get("Messages", []))
        return bool(found)

    _eventually(told)
    event = json.loads(json.loads(found[0]["Body"])["Message"])
    assert (event["type"], event["data"]["run"], event["data"]["severity"]) == ("EscalationRaised", run, "critical")
    assert event["data"]["url"].endswith(f"/v1/runs/{run}")
    _eventually(lambda: any(entry["what"] == "Notified" for entry in deployed.call("GET", f"/runs/{run}/history").body["items"]))


def test_the_sweeper_may_look_for_what_is_due(deployed: Deployed) -> None:
    answer = deployed.emulator.client("lambda").invoke(FunctionName=deployed.functions["sweeper"], Payload=b"{}")
    assert json.loads(answer["Payload"].read())["sent"] >= 0


def test_the_roles_were_enough_and_nothing_was_given_up(deployed: Deployed) -> None:
    """Last: of all that the tests before made the functions do."""
    log = deployed.emulator.log.read_text()
    assert not [line for line in log.splitlines() if "AccessDenied" in line or "not authorized to perform" in line]
    made = trail.calls(deployed.emulator, deployed.functions)
    assert {"parser", "dispatcher", "errors", "sweeper", "notifier", "api"} <= set(made)
    for function in topology.FUNCTIONS:
        granted = {f"{SERVICES[port]}:{action}" for port, actions in function.uses.items() for action in actions}
        assert made[function.name] <= granted
    sqs = deployed.emulator.client("sqs")
    for name in [*(queue.name for queue in topology.QUEUES), "bus"]:
        url = sqs.get_queue_url(QueueName=f"{STACK}-{name}-dlq")["QueueUrl"]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        assert not found, f"{name}: {found}"


def _one_run_of(deployed: Deployed, workflow: str, output: Any) -> None:
    found: list[dict[str, Any]] = []

    def listed() -> bool:
        found[:] = deployed.call("GET", f"/runs?workflow={workflow}").body["items"]
        return bool(found)

    _eventually(listed)
    (run,) = found
    run = deployed.until_final(run["id"])
    assert (run["status"], run["output"]) == ("succeeded", output), run


def _eventually(holds: Callable[[], bool], *, within_s: float = 90) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.25)
