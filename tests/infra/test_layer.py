"""The layer: what goes into it and what stays out. (That all wheels exist for the Lambdas is shown by `make layer`.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from treadle import topology

from infra import layer


def test_what_is_locked_for_the_lambdas_is_what_the_layer_holds() -> None:
    locked = set(re.findall(r"^([A-Za-z0-9_.-]+)==", layer.LOCK.read_text(), re.MULTILINE))
    assert {"boto3", "cel-expr-python", "pydantic", "pyyaml", "jsonschema", "aws-lambda-powertools"} <= locked
    assert not locked & {"moto", "click", "aws-cdk-lib", "pytest"}


def test_a_staged_folder_is_for_one_machine_and_one_content() -> None:
    arm, intel = layer.LAMBDA, layer.Target(python="3.11", platforms=("manylinux2014_x86_64",))
    digests = {layer._digest(target, *files) for target in (arm, intel) for files in ((layer.LOCK,), (layer.LOCK, layer.ROOT / "cdk.json"))}
    assert len(digests) == 4
    assert layer._digest(arm, layer.LOCK) == layer._digest(layer.Target(), layer.LOCK)


def test_a_folder_is_made_once_and_seen_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "STAGED", tmp_path)
    made: list[Path] = []

    def make(folder: Path) -> None:
        assert not (tmp_path / "name").exists()
        (folder / "file").write_text("content")
        made.append(folder)

    assert layer._made_once("name", make) == layer._made_once("name", make) == tmp_path / "name"
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_placeholder_needs_no_package_index() -> None:
    assert (layer.placeholder() / "python" / "README").is_file()


def test_every_function_of_the_topology_has_its_handler() -> None:
    missing = [item.name for item in topology.FUNCTIONS if not (layer.ROOT / "functions" / item.name / "handler.py").is_file()]
    assert not missing


def test_an_extension_of_cel_that_is_switched_on_is_not_dropped() -> None:
    used = {name for path in layer.PACKAGE.rglob("*.py") for name in re.findall(r"cel_expr_python\.ext import (\w+)", path.read_text())}
    assert used
    assert not [name for name in used for pattern in layer._DROPPED if Path(f"cel_expr_python/ext/{name}.so").match(pattern)]
