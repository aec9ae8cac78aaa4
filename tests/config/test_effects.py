"""Each key of the `workflow_engine:` file does what docs/reference/configuration.md says, on the whole local stack."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.config import InvalidConfiguration, effects_of, load
from treadle.config.effects import changed_settings
from treadle.core.errors import Rejected
from treadle.engine import Settings
from treadle.hooks.metrics import Metrics
from treadle.ports import Message
from treadle.testing import LocalEngine

from tests.tasks.servers import in_json, serving


def config(**sections: Any) -> dict[str, Any]:
    return {"workflow_engine": sections}


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps), **more}


@task
def fails(given: Any) -> Any:
    raise ValueError("always")


# ------------------------------------------------------------------------------------------------ initialization


def test_live_runs_beyond_the_limit_stay_pending_and_go_on_first_come_first_served() -> None:
    waits = workflow({"id": "paid", "signal": {"name": "paid"}})
    with LocalEngine(config=config(initialization={"max_concurrent_workflows": 1})) as engine:
        runs = [engine.start(waits, {"n": n}) for n in range(3)]
        engine.wait(runs[0], status="waiting")
        assert [engine.show(run).status for run in runs[1:]] == ["pending", "pending"]
        for run, after in pairwise(runs):
            engine.signal(run, "paid", {})
            assert engine.wait(run).status == "succeeded"
            engine.wait(after, status="waiting")
        assert engine.show(runs[1]).status == "succeeded"


def test_a_child_runs_in_the_place_of_its_parent() -> None:
    with LocalEngine(config=config(initialization={"max_concurrent_workflows": 1})) as engine:
        engine.register({**workflow({"id": "one", "set": 1}), "id": "child"})
        assert engine.run(workflow({"id": "sub", "workflow": {"id": "child"}})).status == "succeeded"


def test_a_retried_run_asks_for_its_place_again() -> None:
    with LocalEngine([fails], config=config(initialization={"max_concurrent_workflows": 1})) as engine:
        failed = engine.run(workflow({"id": "try", "task": "fails"}))
        waiting = engine.start(workflow({"id": "paid", "signal": {"name": "paid"}}))
        engine.wait(waiting, status="waiting")
        engine.retry(failed.id)
        assert engine.wait(failed.id, status="pending").status == "pending"
        engine.cancel(waiting)
        assert engine.wait(failed.id).status == "failed"


def test_a_definition_without_retries_gets_those_of_the_engine() -> None:
    handling = {"error_handling": {"retry_attempts": 4, "backoff_strategy": "fixed"}}
    with LocalEngine([fails], skip_time=True, config=config(initialization=handling)) as engine:
        assert engine.run(workflow({"id": "try", "task": "fails"})).steps["try"].attempts == 5
        (plan,) = engine.stack.operations.world.plans.values()
        assert plan.retry is not None
        assert plan.retry.backoff == "fixed"
        own = workflow({"id": "try", "task": "fails"}, errorHandling={"retryAttempts": 0})
        assert engine.run(own).steps["try"].attempts == 1


def test_manual_escalation_leaves_a_failed_step_to_a_person() -> None:
    with LocalEngine([fails], config=config(initialization={"error_handling": {"escalation_policy": "manual"}})) as engine:
        run = engine.start(workflow({"id": "try", "task": "fails"}))
        assert engine.wait(run, status="waiting").steps["try"].status == "waiting"
        engine.decide(run, "try", "skip", output=7)
        assert engine.wait(run).steps["try"].output == 7
        stops = workflow({"id": "try", "task": "fails"}, errorHandling={"onFailure": "stop"})
        assert engine.run(stops).status == "failed"


def test_a_definition_may_ask_for_a_person_by_the_founding_specs_name() -> None:
    with LocalEngine([fails]) as engine:
        run = engine.start(workflow({"id": "try", "task": "fails"}, errorHandling={"escalationPolicy": "manual"}))
        assert engine.wait(run, status="waiting").steps["try"].status == "waiting"


def test_thresholds_and_ladders_of_the_engine_are_those_of_a_definition_without() -> None:
    handling = {"error_thresholds": {"maxFailedSteps": 1, "action": "cancel"}, "escalation_policy": [{"afterAttempts": 1, "notify": "ops"}]}
    defaults = effects_of(load(config(initialization={"error_handling": handling}), environment={}).required()).settings.defaults
    assert defaults == {"thresholds": {"maxFailedSteps": 1, "action": "cancel"}, "escalation": [{"afterAttempts": 1, "notify": "ops"}]}
    steps = ({"id": "a", "task": "fails"}, {"id": "b", "task": "fails"}, {"id": "c", "signal": {"name": "never"}})
    goes_on = workflow(*steps, errorHandling={"onFailure": "continue"})
    with LocalEngine([fails], config=config(initialization={"error_handling": handling})) as engine:
        assert engine.run(goes_on).status == "cancelled"


CACHES = ("PlanHits", "PlanMisses", "PlanEvictions", "ResultHits", "ResultMisses")
COUNTS = ("FailedAttempts", "EndedSteps", "FailedSteps", "EndedRuns", "FailedRuns")


@pytest.mark.parametrize(
    ("monitoring", "names"),
    [
        pytest.param({}, {"AttemptLatency", "RunLatency", "WorkerMemory", *COUNTS, *CACHES}, id="all groups"),
        pytest.param({"metrics": ["caching"]}, {*CACHES}, id="what the caches had"),
        pytest.param({"metrics": ["utilisation"]}, {"WorkerMemory"}, id="what the worker had"),
        pytest.param({"metrics": ["latency"]}, {"AttemptLatency", "RunLatency"}, id="one group"),
        pytest.param({"metrics": ["satisfaction"], "objectives": {"made": "1m"}}, {"Satisfaction"}, id="an objective"),
        pytest.param({"metrics": ["satisfaction"], "objectives": {"other": "1m"}}, set(), id="an objective of another workflow"),
        pytest.param({"metrics": []}, set(), id="no group"),
        pytest.param({"enabled": False}, set(), id="off"),
    ],
)
def test_the_groups_that_are_named_are_emitted(monitoring: dict[str, Any], names: set[str]) -> None:
    with LocalEngine([fails], config=config(initialization={"monitoring": monitoring, "extensions": []})) as engine:
        engine.run(workflow({"id": "try", "task": "fails"}))
        assert engine.stack.pump.quiet()  # the end of a run is there before it is told
        lines = [json.loads(line) for line in engine.stack.metrics]
    assert {metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]} == names
    assert all(line["workflow"] == "made" for line in lines)


@pytest.mark.parametrize(
    ("status", "took_s", "told"),
    [
        pytest.param("succeeded", 10, [1.0], id="within its objective"),
        pytest.param("succeeded", 11, [0.5], id="later, and still tolerable"),
        pytest.param("succeeded", 41, [0.0], id="more than four times as late"),
        pytest.param("failed", 1, [0.0], id="soon, but failed"),
        pytest.param("timedOut", 1, [0.0], id="timed out"),
        pytest.param("cancelled", 1, [], id="cancelled by somebody"),
    ],
)
def test_how_content_somebody_may_be_with_a_run(status: str, took_s: int, told: list[float]) -> None:
    lines: list[str] = []
    extensions = effects_of(load(config(initialization={"monitoring": {"objectives": {"*": "10s"}}}), environment={}).required()).extensions
    (said,) = [each["config"] for each in extensions if each["name"] == "metrics"]
    ended = {"status": status, "workflow": "w", "run": "r", "at": 1000, "startedAt": 0, "endedAt": took_s * 1000}
    Metrics(**said, write=lines.append).after_run(ended)
    assert [line["Satisfaction"] for line in map(json.loads, lines) if "Satisfaction" in line] == told


def test_in_a_lambda_memory_is_told_as_a_part_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    lines: list[str] = []
    attempt = {"workflow": "w", "run": "r", "at": 1, "durationMs": 1.0, "outcome": "succeeded", "workerPeakMb": 128}
    Metrics(["utilisation"], lines.append).after_attempt(attempt)
    told = json.loads(lines[0])
    assert (told["WorkerMemory"], told["WorkerMemoryUsed"]) == (128, 25)


def test_an_extension_is_told_what_happens_as_it_was_configured(capsys: pytest.CaptureFixture[str]) -> None:
    logger = {"name": "custom_logger", "config": {"log_level": "info", "output_format": "json"}}
    with LocalEngine(config=config(initialization={"extensions": [logger]})) as engine:
        engine.run(workflow({"id": "one", "set": 1}))
    messages = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert "the run has ended: succeeded" in messages


# ------------------------------------------------------------------------------------------------ performance


class Crowd:
    """The task `work`, which knows how many of it ran at the same time at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.together = threading.Event()

    def work(self, given: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now > 1:
                self.together.set()
        self.together.wait(0.05)
        with self._lock:
            self._now -= 1


@pytest.mark.parametrize("shape", ["branches", "items"])
def test_without_parallel_execution_one_task_of_a_run_runs_at_a_time(shape: str) -> None:
    crowd = Crowd()
    steps = [{"id": name, "task": "work"} for name in "abc"] if shape == "branches" else [{"id": "a", "task": "work", "forEach": [1, 2, 3]}]
    with LocalEngine([task(crowd.work)], config=config(performance={"parallel_execution": False})) as engine:
        assert engine.run(workflow(*steps, {"id": "grouped", "group": {"steps": [{"id": "d", "task": "work"}]}})).status == "succeeded"
    assert crowd.most == 1


def test_without_parallel_execution_a_step_may_have_no_places_of_its_own() -> None:
    own = workflow({"id": "a", "task": "echo", "concurrency": {"key": "'x'", "limit": 2}})
    with LocalEngine(config=config(performance={"parallel_execution": False})) as engine, pytest.raises(Rejected, match="as a would"):
        engine.start(own)


@pytest.mark.parametrize(("caching", "calls"), [(True, 1), (False, 2)])
def test_without_caching_a_task_runs_whatever_is_cached_and_plans_are_read_anew(caching: bool, calls: int) -> None:
    counted: list[Any] = []

    @task
    def count(given: Any) -> int:
        counted.append(given)
        return len(counted)

    cached = workflow({"id": "a", "task": "count", "cache": {"key": "'k'", "ttl": "1h"}})
    with LocalEngine([count], config=config(performance={"caching_enabled": caching})) as engine:
        engine.run(cached)
        engine.run(cached)
        assert bool(engine.stack.operations.world.plans) is caching
    assert len(counted) == calls


@pytest.mark.parametrize("is_on", [True, False])
def test_load_balancing_is_the_message_group_of_the_tenant(is_on: bool) -> None:
    sent: list[Message] = []
    with LocalEngine(config=config(performance={"load_balancing": is_on})) as engine:
        world = engine.stack.operations.world
        send = world.lanes.send
        world.lanes.send = lambda messages: (sent.extend(messages), send(messages))[1]  # type: ignore[method-assign]
        engine.run(workflow({"id": "a", "task": "echo"}))
    assert {message.group for message in sent} == ({"local"} if is_on else {None})


@pytest.mark.parametrize("is_on", [True, False])
def test_a_task_that_was_seen_to_need_more_memory_gets_a_larger_pool(is_on: bool) -> None:
    @task(isolated=True)
    def work(given: Any) -> int:
        return len(b"x" * (220 * 1024 * 1024))

    pools = {"default": {"memory": "256MB"}, "large": {"memory": "10GB"}}
    with LocalEngine([work], config=config(performance={"resource_optimization": is_on}, scalability={"pools": pools})) as engine:
        engine.run(workflow({"id": "a", "task": "work"}))
        assert engine.stack.pump.counts.invocations["dispatcher-large"] == 0
        engine.run(workflow({"id": "a", "task": "work"}))
        assert engine.stack.pump.counts.invocations["dispatcher-large"] == int(is_on)


# ------------------------------------------------------------------------------------------------ reliability


def lost_once(reliability: dict[str, Any]) -> Iterator[LocalEngine]:
    """An engine whose first attempt of `work` is lost with its worker."""

    @task
    def work(given: Any, context: TaskContext) -> int:
        return context.attempt

    with LocalEngine([work], skip_time=True, config=config(reliability=reliability)) as engine:
        engine.stack.pump.kill()
        yield engine


def test_a_lost_step_runs_again_by_itself() -> None:
    for engine in lost_once({"recovery_strategy": "automatic"}):
        assert engine.run(workflow({"id": "a", "task": "work"})).status == "succeeded"


def test_with_manual_recovery_a_lost_step_waits_for_a_person() -> None:
    for engine in lost_once({"recovery_strategy": "manual"}):
        run = engine.start(workflow({"id": "a", "task": "work"}, {"id": "b", "task": "work", "after": ["a"]}))
        lost = engine.wait(run, status="waiting").steps["a"]
        assert (lost.status, lost.error and lost.error["name"]) == ("waiting", "Interrupted")
        engine.decide(run, "a", "retry")
        assert engine.wait(run).status == "succeeded"


def test_without_fault_tolerance_a_lost_step_has_failed() -> None:
    for engine in lost_once({"fault_tolerance": False}):
        run = engine.run(workflow({"id": "a", "task": "work"}))
        assert (run.status, run.error and run.error["name"]) == ("failed", "Interrupted")


# ------------------------------------------------------------------------------------------------ scalability, integration


@pytest.mark.parametrize(
    ("wanted", "limit"),
    [
        pytest.param({"memory": "4GB"}, {"memory": "2GB"}, id="memory"),
        pytest.param({"cpu": "2 vCPU"}, {"cpu": "1 vCPU"}, id="processors"),
        pytest.param({"storage": "4GB"}, {"storage": "2GB"}, id="storage"),
    ],
)
def test_no_step_may_ask_for_more_than_the_resource_limits(wanted: dict[str, str], limit: dict[str, str]) -> None:
    wants = workflow({"id": "a", "task": "echo", "resources": wanted})
    with LocalEngine(config=config(scalability={"resource_limits": limit})) as engine:
        assert [fault.code for fault in engine.validate(wants)] == ["no-such-resources"]
    with LocalEngine() as engine:
        assert engine.validate(wants) == []


def test_a_step_goes_to_the_smallest_pool_that_has_what_it_asks_for() -> None:
    pools = {"large": {"memory": "2GB"}, "batch": {"kind": "fargate", "memory": "16GB", "timeout": "2h"}}
    steps = [{"id": name, "task": "echo", "resources": {"memory": name[1:] + "GB"}} for name in ("m1", "m2", "m3")]
    with LocalEngine(config=config(scalability={"pools": pools})) as engine:
        assert engine.run(workflow(*steps)).status == "succeeded"
        invoked = engine.stack.pump.counts.invocations
        assert (invoked["dispatcher-large"], invoked["dispatcher-batch"]) == (2, 1)
        too_much = workflow({"id": "a", "task": "echo", "resources": {"cpu": "5 vCPU"}})
        assert [fault.code for fault in engine.validate(too_much)] == ["no-such-resources"]


def test_the_limits_bound_what_the_pools_offer() -> None:
    limited = config(scalability={"pools": {"large": {"memory": "3GB"}}, "resource_limits": {"memory": "2GB"}})
    with LocalEngine(config=limited) as engine:
        for memory, codes in {"2GB": [], "2.5GB": ["no-such-resources"]}.items():
            step = {"id": "a", "task": "echo", "resources": {"memory": memory}}
            assert [fault.code for fault in engine.validate(workflow(step))] == codes


def test_without_external_systems_there_are_no_tasks_that_reach_out() -> None:
    steps = [{"id": name.replace("-", "_"), "task": name} for name in ("http", "aws", "lambda")]
    with LocalEngine(config=config(integration={"external_system_integration": False})) as engine:
        assert [fault.code for fault in engine.validate(workflow(*steps))] == ["unknown-task"] * 3
        assert "http" not in engine.stack.tasks


@pytest.mark.parametrize(
    ("allow", "error"),
    [
        pytest.param({"hosts": ["127.0.0.1:{port}"], "networks": ["127.0.0.0/8"]}, None, id="allowed"),
        pytest.param({"hosts": ["127.0.0.1:{port}"]}, "AddressRefused", id="an address in no network that is"),
        pytest.param({"hosts": ["api.example.com"], "networks": ["127.0.0.0/8"]}, "NotAllowed", id="another host"),
        pytest.param({}, "NotAllowed", id="nothing is"),
    ],
)
def test_what_the_configuration_allows_is_reached_and_nothing_else(allow: dict[str, list[str]], error: str | None) -> None:
    with serving(lambda asked: in_json({"here": True})) as server:
        allowed = {kind: [each.format(port=server.port) for each in names] for kind, names in allow.items()}
        asks = workflow({"id": "a", "task": "http", "with": {"url": f"http://127.0.0.1:{server.port}/"}})
        with LocalEngine(config=config(integration={"allow": allowed})) as engine:
            run = engine.run(asks)
        assert (run.error and run.error["name"]) == error
        assert len(server.asked) == (error is None)


def test_both_ways_of_advancing_are_a_setting() -> None:
    with LocalEngine(config=config(performance={"advance": "bus"})) as engine:
        assert engine.run(workflow({"id": "a", "set": 1}, {"id": "b", "set": 2, "after": ["a"]})).status == "succeeded"
        assert engine.stack.settings == Settings(advance="bus", largest={}, defaults={})


def test_a_worker_is_told_of_what_differs_only() -> None:
    assert changed_settings(effects_of(load({}, environment={}).required()).settings) == {}
    slow = config(performance={"parallel_execution": False}, initialization={"max_concurrent_workflows": 3})
    changed = changed_settings(effects_of(load(slow, environment={}).required()).settings)
    assert changed == {"max_runs": 3, "one_at_a_time": True}
    assert Settings(**json.loads(json.dumps(changed))).max_runs == 3


def test_an_engine_does_not_start_with_a_configuration_that_is_wrong() -> None:
    with pytest.raises(InvalidConfiguration, match="did you mean `performance`"):
        LocalEngine(config=config(perfomance={}))


# ------------------------------------------------------------------------------------------------ checkpoints


def test_a_long_run_keeps_checkpoints_as_often_as_the_engine_says() -> None:
    slow = workflow({"id": "again", "repeat": {"until": "iteration == 19", "max": 20}, "wait": "1m"})
    with LocalEngine(skip_time=True, config=config(reliability={"checkpoint_frequency": "5m"})) as engine:
        run = engine.run(slow)
        kept = engine.stack.operations.checkpoints("local", run.id)
    assert 2 <= len(kept) <= 4
    assert {each["why"] for each in kept} == {"interval"}
