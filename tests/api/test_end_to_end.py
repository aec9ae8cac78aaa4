"""The API as its clients meet it: HTTP, a token, the handler, the engine on the whole local stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from treadle.audit import Head, fault
from treadle.auth import Role
from treadle.cli.remote import Remote
from treadle.core.errors import Rejected, TaskError
from treadle.local.dev import Dev, serve
from treadle.tasks import TaskContext, task

HEAD = {"name": "W", "version": "1.0.0"}
STEPS: dict[str, list[dict[str, Any]]] = {
    "simple": [{"id": "a", "set": "${input.x}"}],
    "person": [{"id": "ok", "approval": {}}, {"id": "b", "after": ["ok"], "set": "${steps.ok.output.by}"}],
    "mail": [{"id": "paid", "signal": {"name": "paid"}}],
    "broken": [{"id": "a", "task": "broken", "with": "${input}"}],
    "wide": [{"id": "each", "forEach": "input.items", "set": "${item}"}],
}


@task
def broken(given: Any, context: TaskContext) -> Any:
    if given.get("works"):
        return given
    raise TaskError("Broken", "as it should", permanent=True)


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    with serve(tasks=[broken], skip_time=True) as running:
        yield running


def client(dev: Dev, *roles: Role, tenant: str = "local", subject: str = "ann") -> Remote:
    return Remote(dev.url, dev.key.token(subject, tenant=tenant, roles=roles or (Role.ADMIN,)))


@pytest.fixture
def api(dev: Dev) -> Remote:
    return client(dev)


def definition(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, **HEAD, "steps": STEPS[name], **more}


def until(api: Remote, run_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Asks again, a bounded number of times; the stack under it goes on by itself."""
    for _ in range(2000):
        view = api.show(run_id)
        if holds(view):
            return view
    raise AssertionError(f"it never came to that: {view}")


def ended(view: dict[str, Any]) -> bool:
    return view["endedAt"] is not None


def test_a_definition_runs_without_being_registered(api: Remote) -> None:
    run = api.run_definition(definition("simple"), {"x": [1, None, "é"]})
    view = until(api, run["id"], ended)
    assert (view["status"], view["output"], view["input"]) == ("succeeded", {"a": [1, None, "é"]}, {"x": [1, None, "é"]})


def test_the_same_key_starts_once(api: Remote) -> None:
    one, two = (api.run_definition(definition("simple"), {"x": 1}, key="k1") for _ in range(2))
    assert one["id"] == two["id"]
    with pytest.raises(Rejected) as refused:
        api.run_definition(definition("simple"), {"x": 2}, key="k1")
    assert (refused.value.status, refused.value.code) == (409, "idempotency-conflict")


def test_who_approved_is_whose_token_it_was(dev: Dev, api: Remote) -> None:
    run = api.run_definition(definition("person"), {})["id"]
    until(api, run, lambda view: view["steps"]["ok"]["status"] == "waiting")
    client(dev, Role.APPROVER, subject="grace").act_on_step(run, "ok", "approve", {"comment": "fine"})
    assert until(api, run, ended)["output"] == {"b": "grace"}


def test_a_rejected_step_fails(api: Remote) -> None:
    run = api.run_definition(definition("person"), {})["id"]
    until(api, run, lambda view: view["steps"]["ok"]["status"] == "waiting")
    api.act_on_step(run, "ok", "reject", {})
    assert until(api, run, ended)["error"]["name"] == "Rejected"


def test_a_signal_is_the_output_of_who_waited(api: Remote) -> None:
    run = api.run_definition(definition("mail"), {})["id"]
    api.signal(run, "paid", {"sum": 3})
    assert until(api, run, ended)["steps"]["paid"]["output"] == {"sum": 3}


def test_pause_resume_cancel(api: Remote) -> None:
    run = api.run_definition(definition("mail"), {})["id"]
    api.act(run, "pause")
    assert until(api, run, lambda view: view["status"] == "paused")
    api.act(run, "resume")
    api.act(run, "cancel")
    assert until(api, run, ended)["status"] == "cancelled"
    with pytest.raises(Rejected) as refused:
        api.act(run, "pause")
    assert refused.value.code == "wrong-state"


def test_a_person_decides(api: Remote) -> None:
    run = api.run_definition(definition("broken", errorHandling={"onFailure": "wait"}), {})["id"]
    until(api, run, lambda view: view["steps"]["a"]["status"] == "waiting")
    api.act_on_step(run, "a", "decide", {"choice": "skip", "output": 7})
    assert until(api, run, ended)["output"] == {"a": 7}


def test_what_has_not_begun_is_amended(api: Remote) -> None:
    import json

    run = api.run_definition(definition("mail"), {})["id"]
    waits = until(api, run, lambda view: view["status"] == "waiting")
    steps = [*STEPS["mail"], {"id": "thank", "after": ["paid"], "set": "thank you"}]
    wanted = json.dumps(definition("mail", steps=steps)).encode()
    with pytest.raises(Rejected) as refused:
        api.amend(run, wanted, "application/json", "0")
    assert (refused.value.status, refused.value.code) == (412, "precondition-failed")
    with pytest.raises(Rejected) as refused:
        api.amend(run, wanted.replace(b'{"name": "paid"}', b'{"name": "sent"}'), "application/json", waits["etag"])
    assert (refused.value.status, refused.value.code) == (409, "step-locked")
    api.amend(run, wanted, "application/json", api.show(run)["etag"])
    api.signal(run, "paid", None)
    assert until(api, run, ended)["output"] == {"thank": "thank you"}


def test_a_failed_run_is_retried(api: Remote) -> None:
    run = api.run_definition(definition("broken"), {})["id"]
    assert until(api, run, ended)["error"]["name"] == "Broken"
    api.act(run, "retry", {"from": "a", "input": {"works": True}})
    assert until(api, run, lambda view: view["status"] == "succeeded")["output"] == {"a": {"works": True}}


def test_registered_workflows_and_their_runs(api: Remote) -> None:
    import json

    text = json.dumps(definition("simple", metadata={"attributes": {"region": "eu"}})).encode()
    assert api.register(text, "application/json")["created"]
    assert not api.register(text, "application/json")["created"]
    runs = [api.start("simple", {"x": at})["id"] for at in range(3)]
    for run in runs:
        until(api, run, ended)
    first, after = api.runs(workflow="simple", limit=2, **{"attribute.region": "eu"})
    rest, end = api.runs(workflow="simple", limit=2, cursor=after, **{"attribute.region": "eu"})
    assert {run["id"] for run in [*first, *rest]} >= set(runs)
    assert len(first) == 2
    assert end is None or rest
    assert api.runs(workflow="simple", status="failed") == ([], None)
    assert api.runs(workflow="simple", startedAfter="2999-01-01T00:00:00Z") == ([], None)


def test_another_tenant_finds_nothing(dev: Dev, api: Remote) -> None:
    run = api.run_definition(definition("simple"), {"x": 1})["id"]
    rival = client(dev, tenant="rival")
    assert rival.runs() == ([], None)
    acts: list[Callable[[], Any]] = [
        lambda: rival.show(run),
        lambda: rival.history(run),
        lambda: rival.act(run, "cancel"),
        lambda: rival.signal(run, "x", None),
        lambda: rival.act_on_step(run, "a", "approve", {}),
    ]
    for act in acts:
        with pytest.raises(Rejected) as refused:
            act()
        assert (refused.value.status, refused.value.code) == (404, "not-found")


def test_a_wide_run_comes_in_pages_of_steps(api: Remote) -> None:
    run = api.run_definition(definition("wide"), {"items": list(range(1500))})["id"]
    view = until(api, run, ended)
    paths = set(view["steps"])
    while view.get("stepsCursor"):
        view = api.show(run, cursor=view["stepsCursor"])
        paths |= set(view["steps"])
    assert paths == {"each", *(f"each[{at}]" for at in range(1500))}


def test_what_a_run_has_come_to_is_kept_and_gone_on_from(api: Remote) -> None:
    run = api.run_definition(definition("person"), {})["id"]
    until(api, run, lambda view: view["steps"]["ok"]["status"] == "waiting")
    api.act_on_step(run, "ok", "approve", {})
    until(api, run, ended)
    kept = api.once(["runs", run, "checkpoints"], None)
    restored = api.once(["checkpoints", kept["id"], "restore"], "once")
    assert until(api, restored["id"], ended)["output"] == {"b": "ann"}
    assert api.once(["checkpoints", kept["id"], "restore"], "once")["id"] == restored["id"]
    assert [found["id"] for found in api.page(f"/runs/{run}/checkpoints")[0]] == [kept["id"]]


def test_questions_are_there_for_as_long_as_somebody_waits(dev: Dev, api: Remote) -> None:
    run = api.run_definition(definition("person"), {})["id"]
    until(api, run, lambda view: view["steps"]["ok"]["status"] == "waiting")
    grace = client(dev, Role.APPROVER, subject="grace")
    assert (run, "ok", "approval") in [(found["run"], found["step"], found["kind"]) for found in grace.page("/approvals")[0]]
    assert client(dev, Role.VIEWER).page("/approvals") == ([], None)
    grace.act_on_step(run, "ok", "reject", {"comment": "no"})
    assert run not in [found["run"] for found in grace.page("/approvals")[0]]
    told = [(entry["act"], entry["by"], entry["comment"]) for entry in api.history(run) if entry["what"] == "Acted"]
    assert told == [("reject", "grace", "no")]


def test_a_patch_is_refused_once_the_run_has_moved_on(api: Remote) -> None:
    run = api.run_definition(definition("mail"), {})["id"]
    seen = api.show(run)["etag"]
    done = api.update(run, {"attributes": {"region": "eu"}, "status": "paused"}, seen)
    assert ([change["path"] for change in done["changes"]], done["run"]["status"]) == (["/attributes/region", "/status"], "paused")
    with pytest.raises(Rejected) as refused:
        api.update(run, {"metadata": {"a": 1}}, seen)
    assert refused.value.status == 412
    api.act(run, "cancel", {"reason": "no more"})


def test_what_a_retry_would_do_is_told_and_a_rerun_is_another_run(api: Remote) -> None:
    run = api.run_definition(definition("broken"), {})["id"]
    until(api, run, ended)
    assert api.prospect(["runs", run, "retry"], None) == {"reopened": ["a"], "kept": []}
    again = api.once(["runs", run, "rerun"], None)["id"]
    assert again != run
    assert until(api, again, ended)["status"] == "failed"


def test_the_audit_trail_is_whole_and_says_from_where(dev: Dev, api: Remote) -> None:
    run = api.run_definition(definition("mail"), {})["id"]
    api.act(run, "cancel", {"reason": "no more"})
    records, head = client(dev, Role.AUDITOR).trail()
    assert fault(records, Head(**head)) is None
    (found,) = [record for record in records if record.get("run") == run]
    assert (found["what"], found["by"], found["from"], found["reason"]) == ("cancel", "ann", "127.0.0.1", "no more")
