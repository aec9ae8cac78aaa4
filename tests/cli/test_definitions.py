"""`validate`, `schema`, `openapi`: what compilers and code scanners print, and the exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from treadle import drawing
from treadle.api import openapi
from treadle.cli import definitions

from tests.cli.conftest import Call

GOOD = "id: w\nname: W\nversion: 1.0.0\nsteps:\n  - {id: a, task: charge}\n"
BAD = "id: w\nname: W\nversion: 1.0.0\nsteps:\n  - {id: a, task: charge, afer: [b]}\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return _written(tmp_path / "good.yaml", GOOD)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return _written(tmp_path / "bad.yaml", BAD)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_good_definition(call: Call, good: Path) -> None:
    result = call("validate", good)
    assert (result.status, result.out, result.err) == (0, "", "valid\n")


def test_a_bad_one_is_shown_with_its_place_a_caret_and_a_hint(call: Call, bad: Path) -> None:
    result = call("validate", bad)
    assert result.status == 1
    assert f"{bad}:5:27: error: " in result.out
    assert "\n" + " " * 6 + "| " + " " * 26 + "^\n" in result.out
    assert "did you mean `after`?" in result.out


def test_what_comes_on_stdin(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    result = call("validate", "-")
    assert (result.status, result.out.splitlines()[0]) == (1, "-:5:27: error: there is no key `afer` here [unknown-field]")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert call("graph", "-").out.startswith("flowchart")


POOLS = """
workflow_engine:
  scalability: {pools: {batch: {kind: fargate, memory: 16GB}}}
  integration: {webhook_support: true, notifications: {ops: {sns: "arn:aws:sns:eu-central-1:123456789012:ops"}}}
"""
LARGE = (
    "id: w\nname: W\nversion: 1.0.0\nerrorHandling: {onFailure: wait, escalation: [{afterFailure: 5m, notify: opss}]}\n"
    "steps:\n  - {id: a, task: charge, resources: {memory: 16GB}}\n"
)


def test_what_the_configuration_offers(call: Call, tmp_path: Path) -> None:
    large, config = _written(tmp_path / "large.yaml", LARGE), _written(tmp_path / "engine.yaml", POOLS)
    without = call("validate", large)
    assert (without.status, "no-such-resources" in without.out, "unknown-target" in without.out) == (1, True, False)
    with_it = call("validate", large, "--config", config)
    assert (with_it.status, "no-such-resources" in with_it.out, "did you mean `ops`?" in with_it.out) == (0, False, True)
    assert call("graph", large).status == 0


def test_a_configuration_that_is_none_is_wrong_usage(call: Call, good: Path) -> None:
    result = call("validate", good, "--config", good)
    assert (result.status, "`workflow_engine` is missing" in result.err) == (2, True)


def test_as_json(call: Call, good: Path, bad: Path) -> None:
    assert json.loads(call("validate", good, "-o", "json").out) == {"valid": True, "diagnostics": []}
    result = call("validate", good, bad, "-o", "json")
    found = json.loads(result.out)
    assert (result.status, found["valid"]) == (1, False)
    (fault,) = found["diagnostics"]
    assert (fault["code"], fault["line"], fault["column"], fault["file"]) == ("unknown-field", 5, 27, str(bad))


def test_as_sarif(call: Call, bad: Path) -> None:
    found: dict[str, Any] = json.loads(call("validate", bad, "-o", "sarif").out)
    (result,) = found["runs"][0]["results"]
    assert (found["version"], result["ruleId"]) == ("2.1.0", "unknown-field")


def test_as_annotations(call: Call, bad: Path) -> None:
    assert call("validate", bad, "-o", "github").out.startswith("::error file=")


def test_tasks_that_are_known_can_be_checked(call: Call, good: Path, tmp_path: Path) -> None:
    tasks = _written(tmp_path / "tasks.py", "from treadle.tasks import task\n\n\n@task\ndef charge(given):\n    return given\n")
    others = _written(tmp_path / "others.py", "from treadle.tasks import task\n\n\n@task\ndef refund(given):\n    return given\n")
    assert call("validate", good, "--tasks", tasks).status == 0
    assert "[unknown-task]" in call("validate", good, "--tasks", others).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "import nosuchthing", "tasks.py:1: ModuleNotFoundError: No module named 'nosuchthing'", id="what it imports is not there"
        ),
        pytest.param("\ndef (", "tasks.py:2: invalid syntax", id="a slip of the pen"),
        pytest.param("x = {}\nx['y']", "tasks.py:2: KeyError: 'y'", id="it fails as it is imported"),
    ],
)
def test_a_file_of_tasks_that_cannot_be_loaded_is_wrong_usage(call: Call, good: Path, tmp_path: Path, text: str, said: str) -> None:
    result = call("validate", good, "--tasks", _written(tmp_path / "tasks.py", text))
    assert result.status == 2
    assert said in result.err


def test_tasks_that_nobody_finds_are_told_by_name(call: Call, good: Path) -> None:
    assert "--tasks: No module named 'nowhere'" in call("validate", good, "--tasks", "nowhere.tasks").err


def test_who_names_no_task_that_there_is_learns_which_there_are(call: Call, good: Path, tmp_path: Path) -> None:
    others = _written(tmp_path / "others.py", "from treadle.tasks import task\n\n\n@task\ndef refund(given):\n    return given\n")
    assert "echo, " in (told := call("validate", good, "--tasks", others).err)
    assert f"refund (from {others})" in told
    assert "your own come with --tasks FILE" in call("run", good).err


@pytest.mark.parametrize(("form", "begin"), [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg"), ("html", "<!doctype html>")])
def test_drawing(call: Call, good: Path, form: str, begin: str) -> None:
    result = call("graph", good, "--format", form)
    assert (result.status, result.out.startswith(begin)) == (0, True)


def test_what_is_invalid_is_not_drawn(call: Call, bad: Path) -> None:
    result = call("graph", bad)
    assert (result.status, result.out) == (1, "")
    assert "did you mean" in result.err


def test_the_formats_are_those_that_drawing_has() -> None:
    assert definitions.FORMATS == drawing.FORMATS


def test_the_openapi_document_is_printed(call: Call) -> None:
    assert json.loads(call("openapi").out) == openapi.document()


def test_the_schema_is_one(call: Call) -> None:
    found = json.loads(call("schema").out)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "steps" in found["properties"]


def test_a_machine_that_develops_treadle_is_well(call: Call) -> None:
    result = call("doctor", "-o", "json")
    found = json.loads(result.out)
    assert (result.status, found["well"]) == (0, True)
    assert {finding["level"] for finding in found["findings"]} <= {"ok", "warning"}
