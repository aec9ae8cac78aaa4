"""What a task says that it takes and gives is what it gets and what is kept: models and JSON Schemas, wherever the task runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from treadle import LATER, TaskContext, TaskError, task
from treadle.tasks import Registry, Task
from treadle.testing import LocalEngine

from tests.tasks.attempts import context


class Order(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    cents: int = Field(gt=0, alias="amountCents")
    card: str


class Receipt(BaseModel):
    number: str
    left: int = 0


@task
def pay(order: Order, context: TaskContext) -> Receipt:
    return Receipt(number=f"{order.card}-{order.cents}")


@task
def pay_later(order: Order):  # type: ignore[no-untyped-def]
    return LATER


@task(output=Receipt)
def says_what_it_gives(given: Any) -> Any:
    return given


SQUARE = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "maximum": 9}}, "additionalProperties": False}


@task(input=SQUARE, output={"type": "array", "items": {"type": "integer"}})
def square(given: dict[str, int]) -> Any:
    return (given["n"], given["n"] ** 2 if given["n"] else "none")


@task(input={"type": "object", "properties": {"card": {"const": "gold"}}})
def for_gold(given: Any) -> Any:
    return given


@task(input={"type": "nonsense"})
def wrong_schema(given: Any) -> Any:
    return given


@task
def free(given: dict[str, Any], context: OnlyForTypeCheckers) -> NorHere:  # type: ignore[name-defined]  # noqa: F821
    return given


ALL = [pay, pay_later, says_what_it_gives, square, for_gold, wrong_schema, free]


def run(known: Task, given: Any) -> Any:
    return known.run(given, context())


@pytest.mark.parametrize(
    ("known", "given", "output"),
    [
        pytest.param(pay, {"amountCents": 5, "card": "c"}, {"number": "c-5", "left": 0}, id="a model in, a model out"),
        pytest.param(pay_later, {"amountCents": 5, "card": "c"}, LATER, id="what comes later is not checked now"),
        pytest.param(says_what_it_gives, {"number": "n"}, {"number": "n", "left": 0}, id="a map that fits the model of the output"),
        pytest.param(says_what_it_gives, Receipt(number="n", left=2), {"number": "n", "left": 2}, id="an instance of it"),
        pytest.param(square, {"n": 3}, [3, 9], id="a schema; the result as it is kept"),
        pytest.param(free, {"x": 1}, {"x": 1}, id="annotations that cannot be resolved say nothing"),
    ],
)
def test_what_fits_goes_through(known: Task, given: Any, output: Any) -> None:
    assert run(known, given) == output


@pytest.mark.parametrize(
    ("known", "given", "name", "path", "told"),
    [
        pytest.param(pay, {"amountCents": 0, "card": "c"}, "InputInvalid", "/amountCents", "greater than 0", id="a model's field"),
        pytest.param(pay, {"amountCents": 1}, "InputInvalid", "/card", "required", id="a field that is missing"),
        pytest.param(pay, None, "InputInvalid", "", "an object", id="no map at all"),
        pytest.param(says_what_it_gives, {"left": "x"}, "OutputInvalid", "/number", "required", id="a result that breaks the model"),
        pytest.param(square, {"n": 10}, "InputInvalid", "/n", "`maximum: 9`", id="a schema's bound"),
        pytest.param(square, {"n": 1, "m": 1}, "InputInvalid", "", "`additionalProperties: false`", id="a key too many"),
        pytest.param(square, {"n": 0}, "OutputInvalid", "/1", '`type: "integer"`', id="a result that breaks the schema"),
        pytest.param(wrong_schema, {}, "InputInvalid", None, "the task's own schema is wrong", id="a schema that is none"),
    ],
)
def test_what_does_not_fit_is_a_permanent_error_that_says_where(known: Task, given: Any, name: str, path: str | None, told: str) -> None:
    with pytest.raises(TaskError) as caught:
        run(known, given)
    assert (caught.value.name, caught.value.permanent) == (name, True)
    assert told in caught.value.message
    if path is not None:
        assert path in [fault["path"] for fault in caught.value.details["faults"]]


@pytest.mark.parametrize("known", [pay, for_gold], ids=["model", "schema"])
def test_no_part_of_the_value_is_told(known: Task) -> None:
    with pytest.raises(TaskError) as caught:
        run(known, {"amountCents": "s3cret-canary", "card": "s3cret-canary"})
    assert "s3cret" not in json.dumps([caught.value.message, caught.value.details])


def test_a_run_fails_at_once_with_it_and_keeps_what_the_model_writes() -> None:
    retried = {"task": "pay", "retry": {"maxAttempts": 3, "delay": "1s"}}
    steps = [
        {"id": "good", **retried, "with": {"amountCents": 1, "card": "c"}},
        {"id": "bad", **retried, "with": {"amountCents": "${input.cents}", "card": "c"}},
    ]
    with LocalEngine(tasks=ALL, skip_time=True) as engine:
        seen = engine.run(
            {"id": "w", "name": "W", "version": "1.0.0", "errorHandling": {"onFailure": "continue"}, "steps": steps}, {"cents": -1}
        )
    assert seen.steps["good"].output == {"number": "c-1", "left": 0}
    assert ((seen.error or {})["name"], seen.steps["bad"].attempts) == ("InputInvalid", 1)


def test_a_lambda_of_its_own_checks_as_well() -> None:
    with pytest.raises(TaskError, match="amountCents"):
        pay.handler({"card": "c"}, None)


def test_the_registry_knows_the_schemas() -> None:
    registry = Registry(ALL)
    found = registry.find("pay")
    assert found is not None
    assert found.input_schema is not None
    assert found.output_schema is not None
    assert found.input_schema["required"] == ["amountCents", "card"]
    assert set(found.output_schema["properties"]) == {"number", "left"}
    assert square.input_schema == SQUARE
    assert (free.input_schema, free.output_schema) == (None, None)


def test_a_unit_test_calls_the_function_itself() -> None:
    assert pay(Order(amountCents=1, card="c"), context()) == Receipt(number="c-1")


def test_what_is_neither_a_model_nor_a_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="pydantic models or JSON Schemas"):
        task(input="object")(free.function)


def test_a_task_without_one_imports_neither_library() -> None:
    code = """
import sys
from treadle import task
from treadle.tasks import Registry
@task(output={"type": "object"})
def a(given): ...
Registry([a])
print(sorted({"pydantic", "jsonschema"} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
