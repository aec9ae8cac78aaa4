"""Hooks: what they are told and when, what they may replace, and that no hook can break a run."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from treadle import TaskError, task
from treadle.cli import status_of
from treadle.hooks import MOMENTS, Extension, Hooks, Instead
from treadle.hooks.custom_logger import CustomLogger
from treadle.simulation.driver import MemoryEngine
from treadle.tasks import Registry
from treadle.tasks.registry import BrokenTask
from treadle.testing import LocalEngine
from treadle.views import RunView

FLAKY = {"id": "flaky", "task": "flaky", "with": {"n": 1}, "retry": {"maxAttempts": 2, "delay": "1s"}}


@task
def double(given: Any) -> Any:
    return given["n"] * 2


@task
def length(given: Any) -> Any:
    return len(given["key"])


def flaky_task() -> Any:
    tries: list[int] = []

    @task
    def flaky(given: Any) -> Any:
        tries.append(1)
        if len(tries) % 2:
            raise TaskError("Busy", "not now")
        return "done"

    return flaky


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": list(steps), **more}


DOUBLE = {"id": "a", "task": "double", "with": {"n": "${input.n}"}}


class Notes:
    """A hook that notes every moment."""

    def __init__(self, name: str = "notes") -> None:
        self.name = name
        self.told: list[dict[str, Any]] = []

    def moments(self) -> list[tuple[str, str | None]]:
        return [(event["moment"], event.get("step")) for event in self.told]

    def __getattr__(self, name: str) -> Any:
        if name not in MOMENTS:
            raise AttributeError(name)
        return self.told.append


def run(definition: dict[str, Any], *hooks: object, tasks: Any = (double,), **given: Any) -> tuple[RunView, LocalEngine]:
    with LocalEngine(tasks=[*tasks], hooks=hooks, skip_time=True) as engine:
        found = engine.run(definition, input=given or {"n": 2})
        engine.stack.pump.quiet()
        return found, engine


# ------------------------------------------------------------------------------------------------ what they are told


def test_the_moments_of_a_run() -> None:
    notes = Notes()
    found, _ = run(workflow(DOUBLE, {"id": "b", "after": ["a"], "set": 1}), notes)
    assert found.status == "succeeded"
    moments = notes.moments()
    assert [moment for moment, step in moments if step is None and moment != "after_delivery"] == ["before_run", "after_run"]
    assert {what for event in notes.told for what in event.get("caches", ())} == {"planHits"}
    assert [moment for moment, step in moments if step == "a"] == ["before_step", "before_attempt", "after_attempt", "after_step"]
    assert [moment for moment, step in moments if step == "b"] == ["before_step", "after_step"]
    for event in notes.told:
        assert {"moment", "at", "run", "workflow", "version", "tenant"} <= set(event)
        assert (event["run"], event["workflow"], event["tenant"]) == (found.id, "w", "local")


def test_each_attempt_is_told_and_the_step_once() -> None:
    notes = Notes()
    run(workflow(FLAKY), notes, tasks=[flaky_task()])
    ends = [(event["attempt"], event["outcome"]) for event in notes.told if event["moment"] == "after_attempt"]
    assert ends == [(1, "failed"), (2, "succeeded")]
    assert [event["error"]["name"] for event in notes.told if "error" in event] == ["Busy"]
    assert notes.moments().count(("before_step", "flaky")) == 1
    assert all(event["durationMs"] >= 0 for event in notes.told if event["moment"] == "after_attempt")


def test_items_groups_and_loops_are_steps() -> None:
    notes = Notes()
    inner = {"id": "g", "group": {"steps": [{"id": "x", "set": 1}]}}
    run(workflow({"id": "f", "forEach": [1, 2], "set": "${item}"}, inner, {"id": "skipped", "when": "false", "set": 1}), notes)
    begun = {step for moment, step in notes.moments() if moment == "before_step"}
    ended = {step for moment, step in notes.moments() if moment == "after_step"}
    assert begun == {"f", "f[0]", "f[1]", "g", "g.x"}
    assert ended == begun | {"skipped"}


def test_one_that_watches_sees_no_payloads() -> None:
    notes = Notes()
    run(workflow(DOUBLE), notes)
    assert not any({"input", "output"} & set(event) for event in notes.told)


# ------------------------------------------------------------------------------------------------ replacing


class Mock:
    name = "mock"
    replaces = True

    def __init__(self, instead: Any) -> None:
        self.instead = instead
        self.seen: list[Any] = []

    def before_attempt(self, event: dict[str, Any]) -> Any:
        self.seen.append(event["input"])
        return self.instead


class Redact:
    name = "redact"
    replaces = True

    def after_attempt(self, event: dict[str, Any]) -> Any:
        if isinstance(event.get("output"), dict):
            event["output"]["card"] = "****"
            return Instead(event["output"])
        return None


def test_a_mock_stands_for_the_task() -> None:
    mock, notes = Mock(Instead(99)), Notes()
    found, _ = run(workflow(DOUBLE), mock, notes, n=2)
    assert (found.output, mock.seen) == ({"a": 99}, [{"n": 2}])


def test_a_mock_may_fail() -> None:
    found, _ = run(workflow(DOUBLE), Mock(Instead(error=TaskError("Down", "mocked", {"n": 1}, permanent=True))))
    error = found.steps["a"].error or {}
    assert (found.status, error["name"], error["message"], error["details"]) == ("failed", "Down", "mocked", {"n": 1})


def test_a_mock_that_says_nothing_lets_the_task_run() -> None:
    assert run(workflow(DOUBLE), Mock(None))[0].output == {"a": 4}


def test_an_output_may_be_redacted_before_it_is_kept() -> None:
    @task
    def pay(given: Any) -> Any:
        return {"card": "4111111111111111", "ok": True}

    class Watch(Redact):
        name = "watch"
        seen: list[Any]

        def after_attempt(self, event: dict[str, Any]) -> Any:
            self.seen = [event["output"]]

    watch = Watch()
    found, _ = run(workflow({"id": "a", "task": "pay"}), Redact(), watch, tasks=[pay])
    assert found.output == {"a": {"card": "****", "ok": True}}
    assert watch.seen == [{"card": "****", "ok": True}]


def test_one_that_only_watches_replaces_nothing() -> None:
    class Eager(Mock):
        replaces = False

        def before_attempt(self, event: dict[str, Any]) -> Any:
            return self.instead

    assert run(workflow(DOUBLE), Eager(Instead(99)))[0].output == {"a": 4}


def test_what_a_hook_does_to_what_it_is_shown_changes_nothing() -> None:
    class Meddles(Mock):
        def before_attempt(self, event: dict[str, Any]) -> Any:
            event["input"]["n"] = 1000
            event.clear()

    assert run(workflow(DOUBLE), Meddles(None))[0].output == {"a": 4}


def test_a_secret_is_not_shown() -> None:
    mock = Mock(None)
    with LocalEngine(tasks=[length], hooks=[mock], skip_time=True, secrets={"API": "canary"}) as engine:
        found = engine.run(workflow({"id": "a", "task": "length", "with": {"key": "Bearer ${secrets.API}"}}))
    assert (found.output, mock.seen) == ({"a": len("Bearer canary")}, [{"key": "Bearer ***"}])


# ------------------------------------------------------------------------------------------------ broken hooks


class Broken:
    """Raises at every moment."""

    name = "broken"
    replaces = True

    def __getattr__(self, name: str) -> Any:
        if name not in MOMENTS:
            raise AttributeError(name)
        return self.fail

    def fail(self, event: dict[str, Any]) -> Any:
        raise RuntimeError("no disk")


def test_a_broken_hook_breaks_no_run_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    with caplog.at_level(logging.WARNING, "treadle.hooks"):
        found, _ = run(workflow(DOUBLE, {"id": "b", "after": ["a"], "set": 1}), Broken(), notes)
    assert found.status == "succeeded"
    assert len(notes.told) >= 6
    (record,) = [record for record in caplog.records if record.name == "treadle.hooks"]
    assert (record.__dict__["hook"], record.__dict__["error"]) == ("broken", "RuntimeError: no disk")


def test_and_an_event_says_so() -> None:
    hooks = Hooks({"broken": Broken()})
    assert hooks.tell("before_run", {"moment": "before_run"}) is None
    assert hooks.newly_broken() == [("broken", "RuntimeError: no disk")]
    hooks.tell("after_run", {"moment": "after_run"})
    assert hooks.newly_broken() == []
    assert hooks.timings["broken", "after_run"].failures == 1


@pytest.mark.parametrize(
    "instead", [Instead(object()), Instead({1, 2}), Instead(float("nan")), 7, "x", Instead(error=TaskError("X", details=object()))]
)
def test_a_replacement_that_is_none_counts_as_broken(instead: Any) -> None:
    found, engine = run(workflow(DOUBLE), Mock(instead))
    assert found.output == {"a": 4}
    assert engine.stack.hooks is not None
    assert engine.stack.hooks.timings["mock", "before_attempt"].failures == 1


def test_a_broken_hook_is_an_event_on_the_bus() -> None:
    """`HookFailed`: whoever operates the engine may listen to it."""
    told: list[str] = []
    with LocalEngine(tasks=[double], hooks=[Broken()], skip_time=True) as engine:
        engine.stack.cloud.clients.events.meta.events.register(
            "before-parameter-build.events.PutEvents", lambda params, **_: told.extend(entry["DetailType"] for entry in params["Entries"])
        )
        engine.run(workflow(DOUBLE), input={"n": 1})
        engine.stack.pump.quiet()
    assert told.count("HookFailed") == 1


# ------------------------------------------------------------------------------------------------ where they come from


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        pytest.param(object(), "none of", id="no moment"),
        pytest.param(type("Later", (), {"interface": 2, "before_run": print})(), "interface 2", id="of a later interface"),
    ],
)
def test_what_is_no_hook(hook: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Hooks({"x": hook})


def test_what_hooks_take_is_a_metric() -> None:
    class Breaks:
        name = "breaks"

        def after_attempt(self, event: Any) -> None:
            raise RuntimeError("no")

    config = {"workflow_engine": {"initialization": {"monitoring": {"metrics": ["latency", "failures"]}}}}
    with LocalEngine([double], hooks=[Breaks()], config=config) as engine:
        engine.run(workflow({"id": "a", "task": "double", "with": {"n": 1}}))
        lines = [line for line in map(json.loads, engine.stack.metrics) if "hook" in line]
    assert [(line["hook"], line["FailedHookCalls"]) for line in lines] == [("breaks", 1)]
    assert lines[0]["HookLatency"] >= 0
    assert lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["hook"]]


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """An installed package with entry points in both groups."""
    (tmp_path / "acme_plugin.py").write_text(
        "class Audit:\n    def __init__(self, level='low'):\n        self.level = level\n    def after_run(self, event):\n        pass\n"
        "class Fails:\n    def __init__(self):\n        raise RuntimeError('no licence')\n"
        "def score(given):\n    return 7\n"
    )
    info = tmp_path / "acme_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[treadle.hooks]\naudit = acme_plugin:Audit\nfails = acme_plugin:Fails\ngone = acme_plugin:Gone\n"
        "[treadle.tasks]\nscore = acme_plugin:score\nvanished = acme_plugin:vanished\n"
    )
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("acme_plugin", None)


OFF = (Extension("fails", enabled=False), Extension("gone", enabled=False))


def test_an_installed_hook_is_told_without_being_named(package: Path) -> None:
    hooks = Hooks.load(extensions=OFF)
    assert hooks is not None
    hooks.tell("after_run", {})
    assert ("audit", "after_run") in hooks.timings


def test_it_can_be_switched_off(package: Path) -> None:
    assert Hooks.load(extensions=[*OFF, Extension("audit", enabled=False)]) is None


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([Extension("audit", config={"levle": 1})], "audit"),
        ([Extension("fails")], "no licence"),
        ([Extension("gone")], "gone"),
        ([Extension("nobody")], "nobody"),
        ([Extension("custom_logger", config={"log_level": "loud"})], "log_level"),
    ],
)
def test_one_that_cannot_be_made(package: Path, extensions: list[Extension], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Hooks.load(extensions=[*extensions, *(off for off in OFF if off.name != extensions[0].name)])
    hooks = Hooks.load(extensions=[*extensions, *(off for off in OFF if off.name != extensions[0].name)], strict=False)
    assert hooks is not None
    assert [name for name, _ in hooks.newly_broken()] == [extensions[0].name]


def test_a_task_of_an_installed_package_that_is_broken_takes_no_other_one_with_it(package: Path) -> None:
    why = "task vanished of the package acme-plugin 1.0 cannot be loaded: AttributeError"
    with pytest.raises(BrokenTask, match=why):
        Registry.load()
    engine = MemoryEngine(Registry.load(strict=False))
    failed = engine.run(workflow({"id": "a", "task": "vanished"}))
    assert engine.run(workflow({"id": "a", "task": "score"})).output == {"a": 7}
    assert failed.error is not None
    assert failed.error["name"] == "TaskNotFound"
    assert why in failed.error["message"]


def test_doctor_tells_of_each_plugin(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["doctor", "-o", "json"]) == 1
    found = {told["what"]: (told["level"], told["found"]) for told in json.loads(capsys.readouterr().out)["findings"]}
    assert found["task score"] == found["hook audit"] == ("ok", "from acme-plugin 1.0")
    assert {what for what, (level, _) in found.items() if level == "error"} == {"task vanished", "hook fails", "hook gone"}
    assert "switch it off: extensions: [{name: fails, enabled: false}]" in found["hook fails"][1]


@pytest.mark.parametrize(
    "given", ["x", {}, {"name": 1}, {"name": "x", "enabled": "yes"}, {"name": "x", "config": []}, {"name": "x", "on": True}]
)
def test_an_extension_that_is_none(given: Any) -> None:
    with pytest.raises(ValueError):
        Extension.from_json(given)


# ------------------------------------------------------------------------------------------------ custom_logger


def logged(level: str, form: str = "json") -> list[str]:
    stream = io.StringIO()
    run(workflow(DOUBLE, FLAKY), CustomLogger(level, form, stream), tasks=[double, flaky_task()])
    return stream.getvalue().splitlines()


def test_lines_of_json() -> None:
    lines = [json.loads(line) for line in logged("debug")]
    assert {line["moment"] for line in lines} == set(MOMENTS)
    assert all({"level", "time", "message", "run", "workflow"} <= set(line) for line in lines)


def test_lines_of_text() -> None:
    lines = logged("info", "text")
    assert any("w " in line and "the run has ended: succeeded" in line for line in lines)
    assert not any("attempt" in line and "begins" in line for line in lines)


@pytest.mark.parametrize(("level", "levels"), [("info", {"info", "warning"}), ("warning", {"warning"}), ("error", set())])
def test_the_level_is_the_least_that_is_written(level: str, levels: set[str]) -> None:
    assert {json.loads(line)["level"] for line in logged(level)} == levels


def test_the_founding_example() -> None:
    given = {"name": "custom_logger", "enabled": True, "config": {"log_level": "info", "output_format": "json"}}
    assert Hooks.load(extensions=[Extension.from_json(given)], plugins=False) is not None


@pytest.mark.parametrize("config", [{"log_level": "loud"}, {"output_format": "xml"}])
def test_a_logger_that_cannot_be(config: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(config))):
        CustomLogger(**config)
