"""Each example runs on the local stack and gives what its `expected.json` says; only what is named there is compared.

Where people have a part in it, `acts.json` says what they do, each as soon as the run has the status in `once`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from treadle.core.errors import Rejected
from treadle.testing import LocalEngine

EXAMPLES = sorted(path.parent for path in (Path(__file__).resolve().parents[2] / "examples").glob("*/workflow.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_gives_what_it_promises(example: Path) -> None:
    given = json.loads((example / "input.json").read_text())
    expected = json.loads((example / "expected.json").read_text())
    acts = json.loads((example / "acts.json").read_text()) if (example / "acts.json").exists() else []
    with LocalEngine(tasks=str(example / "tasks.py"), skip_time=True) as engine:
        run_id = engine.start(example / "workflow.yaml", input=given)
        for act in acts:
            engine.wait(run_id, act.pop("once"), timeout=60)
            getattr(engine, act.pop("do"))(run_id, **act)
        run = engine.wait(run_id, timeout=60).model_dump(mode="json", by_alias=True)
    assert differences(expected, run) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_without_a_warning(example: Path) -> None:
    with LocalEngine(tasks=str(example / "tasks.py")) as engine:
        assert engine.validate(example / "workflow.yaml") == []


def differences(expected: Any, got: Any, path: str = "run") -> list[str]:
    """Where `got` lacks or contradicts `expected`; maps may hold more than was named."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return [
            line
            for key, wanted in expected.items()
            for line in (differences(wanted, got[key], f"{path}.{key}") if key in got else [f"{path}.{key} is missing"])
        ]
    return [] if expected == got else [f"{path}: expected {expected!r}, got {got!r}"]


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("order", {"customer": "Ada", "items": []}),
    ("etl", {"day": "yesterday", "parts": 1}),
    ("expense", {"who": "ann", "cents": 0, "what": "nothing"}),
    ("incident", {"alarm": "a", "severity": "medium", "service": "s"}),
    ("report", {"week": 54, "sales": [1.0], "target": 1.0}),
]


@pytest.mark.parametrize(("name", "given"), REFUSED, ids=[name for name, _ in REFUSED])
def test_an_example_refuses_input_that_breaks_its_schema(name: str, given: dict[str, Any]) -> None:
    example = next(path for path in EXAMPLES if path.name == name)
    with LocalEngine(tasks=str(example / "tasks.py"), skip_time=True) as engine, pytest.raises(Rejected) as refusal:
        engine.start(example / "workflow.yaml", input=given)
    assert refusal.value.code == "invalid-input"


def test_the_order_fails_when_something_is_out_of_stock() -> None:
    example = next(path for path in EXAMPLES if path.name == "order")
    given = json.loads((example / "input.json").read_text())
    given["items"][1]["quantity"] = 5
    with LocalEngine(tasks=str(example / "tasks.py"), skip_time=True) as engine:
        run = engine.run(example / "workflow.yaml", input=given, timeout=60)
    assert (run.status, (run.error or {}).get("name")) == ("failed", "OutOfStock")


def test_the_report_stops_at_figures_that_cannot_be_true() -> None:
    example = next(path for path in EXAMPLES if path.name == "report")
    with LocalEngine(tasks=str(example / "tasks.py"), skip_time=True) as engine:
        run = engine.run(example / "workflow.yaml", input={"week": 3, "sales": [10.0, -1.0], "target": 5.0}, timeout=60)
    assert (run.status, (run.error or {}).get("name")) == ("failed", "Implausible")


def test_the_demo_loses_a_worker_and_nothing_else(tmp_path: Path) -> None:
    demo = Path(__file__).resolve().parents[2] / "examples/order/demo.py"
    done = subprocess.run([sys.executable, str(demo)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the task ran 2 times, and has one recorded result" in done.stdout
    assert "<svg" in (tmp_path / "demo.html").read_text(encoding="utf-8")
