"""The configuration on the command line: `run --config` takes it, `doctor` tells the effective one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from treadle.cli import status_of

FAILS = "id: w\nname: W\nversion: 1.0.0\nsteps:\n  - {id: a, fail: {error: Broken}}\n"
CONFIG = "workflow_engine:\n  initialization: {error_handling: {retry_attempts: 1}}\n  performance: {resource_optimization: true}\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {"fails.yaml": FAILS, "engine.yaml": CONFIG, "wrong.yaml": "workflow_engine:\n  perfomance: {}\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_run_takes_its_configuration_and_says_what_has_little_to_do(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(["run", str(files / "fails.yaml"), "--config", str(files / "engine.yaml"), "--skip-time", "-o", "json"])
    printed = capsys.readouterr()
    assert (status, json.loads(printed.out)["steps"]["a"]["attempts"]) == (1, 2)
    assert f"{files / 'engine.yaml'}:3:40: warning: there is one pool of workers" in printed.err


def test_a_run_with_a_configuration_that_is_wrong_does_not_begin(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["run", str(files / "fails.yaml"), "--config", str(files / "wrong.yaml")]) == 2
    assert (
        "wrong.yaml:2:3: error: there is no key `perfomance` here [unknown-field] (did you mean `performance`?)" in capsys.readouterr().err
    )


def test_doctor_tells_each_value_and_where_it_is_from(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREADLE_PERFORMANCE__CACHING_ENABLED", "false")
    status_of(["doctor", "--config", str(files / "engine.yaml"), "-o", "json"])
    keys = json.loads(capsys.readouterr().out)["configuration"]
    assert keys["performance.caching_enabled"] == {"value": False, "from": "variable TREADLE_PERFORMANCE__CACHING_ENABLED"}
    assert keys["initialization.error_handling.retry_attempts"] == {"value": 1, "from": f"{files / 'engine.yaml'}:2"}
    assert keys["reliability.recovery_strategy"] == {"value": "automatic", "from": "default"}


def test_doctor_is_not_well_with_a_configuration_that_is_wrong(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["doctor", "--config", str(files / "wrong.yaml")]) == 1
    assert "there is no key `perfomance`" in capsys.readouterr().out
