"""`run` and `dev`: the whole local stack behind a verb."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call

TASKS = """
from treadle import TaskError, task

@task
def shout(given, context):
    if context.attempt == 1:
        raise TaskError("Busy", "not now")
    return given["text"].upper()
"""
HEAD = "id: w\nname: W\nversion: 1.0.0\n"
GOOD = (
    HEAD
    + """
input: {type: object, required: [name]}
steps:
  - {id: greet, set: "Hello, ${input.name}"}
  - {id: shout, after: [greet], task: shout, with: {text: "${steps.greet.output}"}, retry: {maxAttempts: 2, delay: 1h}}
output: {text: "${steps.shout.output}"}
"""
)
FAILS = HEAD + "steps:\n  - {id: a, fail: {error: Broken, message: as it should}}\n"
WAITS = HEAD + "steps:\n  - {id: ok, approval: {}}\n"
FAULTY = HEAD + "steps:\n  - {id: a, task: shuot}\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {"tasks.py": TASKS, "good.yaml": GOOD, "fails.yaml": FAILS, "waits.yaml": WAITS, "faulty.yaml": FAULTY}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_run_to_its_end(call: Call, files: Path) -> None:
    arguments = ["run", files / "good.yaml", "--tasks", files / "tasks.py", "--input", '{"name": "Ada"}', "--skip-time"]
    result = call(*arguments, "-o", "json", "--html", files / "run.html")
    view = json.loads(result.out)
    assert (result.status, view["status"], view["output"]) == (0, "succeeded", {"text": "HELLO, ADA"})
    assert view["steps"]["shout"]["attempts"] == 2
    assert "shout" in result.err
    assert "succeeded" in result.err
    assert (files / "run.html").read_text().lower().startswith("<!doctype html>")


def test_where_no_picture_can_be_put_nothing_is_run(call: Call, files: Path) -> None:
    result = call("run", files / "fails.yaml", "--html", files / "pictures" / "run.html")
    assert (result.status, result.out) == (2, "")
    assert f"there is no folder {files / 'pictures'}" in result.err


def test_a_picture_that_cannot_be_written_takes_nothing_from_the_result(call: Call, files: Path) -> None:
    (files / "run.html").symlink_to(files / "nowhere" / "run.html")
    result = call("run", files / "fails.yaml", "--html", files / "run.html")
    assert result.status == 1
    assert "Broken: as it should (step a)" in result.out
    assert f"the run cannot be drawn into {files / 'run.html'}: No such file" in result.err


def test_a_step_that_only_a_pool_of_the_configuration_can_hold_is_run_and_drawn(call: Call, files: Path) -> None:
    (files / "large.yaml").write_text(HEAD + "steps:\n  - {id: a, task: echo, resources: {memory: 16GB}}\n")
    (files / "engine.yaml").write_text("workflow_engine:\n  scalability:\n    pools: {batch: {kind: fargate, memory: 16GB}}\n")
    result = call("run", files / "large.yaml", "--config", files / "engine.yaml", "--html", files / "run.html")
    assert (result.status, (files / "run.html").exists()) == (0, True)


def test_nobody_is_sent_to_an_engine_that_has_gone(call: Call, files: Path) -> None:
    (files / "wrong.yaml").write_text(HEAD + "steps:\n  - {id: a, task: http, with: {url: nowhere}}\n")
    result = call("run", files / "wrong.yaml")
    assert (result.status, "InputInvalid" in result.out, "treadle input" in result.out) == (1, True, False)


def test_a_run_that_fails(call: Call, files: Path) -> None:
    result = call("run", files / "fails.yaml")
    assert result.status == 1
    assert "Broken: as it should (step a)" in result.out


def test_a_run_that_takes_too_long(call: Call, files: Path) -> None:
    """A slow machine is given more time to come to where it waits."""
    for timeout in ("300ms", "3s", "30s"):
        result = call("run", files / "waits.yaml", "--timeout", timeout, "-o", "json")
        if json.loads(result.out)["status"] == "waiting":
            break
    assert (result.status, json.loads(result.out)["status"]) == (124, "waiting")
    assert "waiting: ok" in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["faulty.yaml", "--tasks", "tasks.py"], 1, "did you mean `shout`?", id="a definition with a fault"),
        pytest.param(["good.yaml", "--tasks", "tasks.py"], 1, "[invalid-input]", id="an input that does not fit"),
        pytest.param(["good.yaml", "--tasks", "missing.py"], 2, "missing.py", id="tasks that are not there"),
        pytest.param(["good.yaml", "--config", "good.yaml"], 2, "--config", id="a configuration that is none"),
    ],
)
def test_what_cannot_run(call: Call, files: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str) -> None:
    monkeypatch.chdir(files)
    result = call("run", *arguments)
    assert (result.status, result.out) == (status, "")
    assert said in result.err
    assert "Traceback" not in result.err


# ------------------------------------------------------------------------------------------------ dev


@dataclass(frozen=True)
class Dev:
    process: subprocess.Popen[str]
    told: dict[str, Any]


@pytest.fixture
def dev(call: Call, files: Path) -> Iterator[Dev]:
    """`treadle dev` in a process of its own, as in another terminal."""
    command = [
        sys.executable,
        "-c",
        "from treadle.cli import main; main()",
        "dev",
        "--port",
        "0",
        "--tasks",
        "tasks.py",
        "--skip-time",
        "--person",
        "boss:approver",
        "-o",
        "jsonl",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, cwd=files, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Dev(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def test_a_day_with_dev(dev: Dev, call: Call, files: Path) -> None:
    def asked(*arguments: str | Path) -> Any:
        result = call(*arguments, "-o", "json")
        assert result.status == 0, result.err
        return json.loads(result.out)

    assert {"url", "token", "endpointUrl", "bus", "inbox"} <= dev.told.keys()
    assert asked("submit", files / "good.yaml")["created"]
    assert not asked("submit", files / "good.yaml")["created"]
    (files / "good.yaml").write_text(GOOD.replace("Hello", "Bye"))
    assert call("submit", files / "good.yaml").status == 4

    run = asked("start", "w", "--input", '{"name": "Ada"}', "--key", "k")
    assert asked("start", "w", "--input", '{"name": "Ada"}', "--key", "k")["id"] == run["id"]
    assert call("start", "w", "--input", '{"name": "Bob"}', "--key", "k").status == 4
    assert call("start", "w").status == 1
    assert asked("watch", run["id"], "--timeout", "60s")["output"] == {"text": "HELLO, ADA"}
    assert [found["id"] for found in asked("runs", "--workflow", "w")["items"]] == [run["id"]]
    assert asked("history", run["id"])
    assert call("cancel", run["id"]).status == 4
    assert call("show", "nothing").status == 3

    (files / "asks.yaml").write_text(HEAD.replace("id: w", "id: asks") + "steps:\n  - {id: ok, approval: {by: [boss]}}\n")
    assert asked("submit", files / "asks.yaml")["created"]
    waiting = asked("start", "asks")["id"]
    assert call("watch", waiting, "--timeout", "2s").status == 124
    assert "it asks for boss" in call("approve", waiting, "ok").err
    assert call("approve", waiting, "ok", "--token", dev.told["people"]["boss"]).status == 0
    assert asked("watch", waiting, "--timeout", "60s")["output"]["ok"]["by"] == "boss"

    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(timeout=60) == 0
    assert call("runs").status == 6


@pytest.mark.parametrize(("person", "said"), [("ann:chief", "there is no role `chief`"), (":viewer", "names nobody")])
def test_a_person_has_a_name_and_roles_that_there_are(call: Call, person: str, said: str) -> None:
    result = call("dev", "--port", "0", "--person", person)
    assert (result.status, said in result.err) == (2, True)


ASKS = HEAD + "steps:\n  - {id: use, task: tell, with: {key: '${secrets.API}', pass: '${secrets.DB.pass}'}}\n"
TELLS = """
from treadle import task

@task
def tell(given):
    return [len(given["key"]), len(given["pass"]), given["key"]]
"""


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        pytest.param("API: abcdef\nDB: {pass: '12345'}\n", [6, 5], id="YAML"),
        pytest.param('{"API": "abcdefg", "DB": {"pass": "12345"}}', [7, 5], id="JSON"),
        pytest.param("DB: {pass: '12345'}\n", [9, 5], id="the environment has the rest"),
    ],
)
def test_secrets_come_from_a_file_and_the_environment(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, lengths: list[int]
) -> None:
    monkeypatch.setenv("TREADLE_SECRET_API", "from-envi")
    for name, content in {"asks.yaml": ASKS, "tells.py": TELLS, "secrets": text}.items():
        (tmp_path / name).write_text(content)
    result = call("run", tmp_path / "asks.yaml", "--tasks", tmp_path / "tells.py", "--secrets", tmp_path / "secrets", "-o", "json")
    assert json.loads(result.out)["output"] == {"use": [*lengths, "***"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("API: 12345\n", "the secret API is neither a text nor a map: write it in quotes"),
        ("- abcdef\n", "is not a map of names and texts"),
        ("a/b: abcdef\n", "'a/b' cannot be the name of a secret"),
        ("API: [abcdef\n", "cannot be read as JSON or YAML"),
    ],
)
def test_secrets_that_are_none(call: Call, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "asks.yaml").write_text(ASKS)
    (tmp_path / "secrets").write_text(text)
    result = call("run", tmp_path / "asks.yaml", "--secrets", tmp_path / "secrets")
    assert result.status == 2
    assert told in result.err
    assert "abcdef" not in result.err
    assert "12345" not in result.err
