"""What a task takes and gives, where it says so: a pydantic model, or a JSON Schema.

Nothing here imports either library. A model brings its own methods; jsonschema is imported for the first value that is checked
by a schema. No message holds a part of the value, which may be a secret, unless a model's own validator says it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, get_type_hints

from ..core.errors import TaskError
from ..core.model import Json

MAX_TOLD: Final = 5  # faults that the message names; the details have up to MAX_FAULTS
MAX_FAULTS: Final = 20


class Shape(Protocol):
    def schema(self, *, of_output: bool) -> dict[str, Any]:
        """As JSON Schema 2020-12."""
        ...

    def read(self, given: Json) -> Any:
        """What the function gets. Raises TaskError: InputInvalid, permanent."""
        ...

    def written(self, output: Any) -> Json:
        """What is kept of what the function returned. Raises TaskError: OutputInvalid, permanent."""
        ...


def shape_of(declared: Any) -> Shape | None:
    """Raises TypeError for what is neither a model nor a schema."""
    match declared:
        case None:
            return None
        case Mapping():
            return Schema(dict(declared))
        case type() if is_model(declared):
            return Model(declared)
    raise TypeError(f"input and output of a task are pydantic models or JSON Schemas (maps), not {declared!r}")


def is_model(kind: Any) -> bool:
    """A class with what pydantic's BaseModel brings."""
    return isinstance(kind, type) and hasattr(kind, "model_validate_json") and hasattr(kind, "model_json_schema")


def shape_in(function: Any, name: str) -> Shape | None:
    """Of a parameter, or of `return`: the model that the annotation names. One that cannot be resolved names none."""
    try:
        annotation = getattr(function, "__annotations__", {}).get(name)
    except NameError:  # from Python 3.14 on they are evaluated when they are asked for, all at once
        annotation = _alone(function, name)
    if isinstance(annotation, str):
        annotation = _resolved(function, name, annotation)
    return Model(annotation) if is_model(annotation) else None


def _alone(function: Any, name: str) -> Any:
    import annotationlib  # type: ignore[import-not-found, unused-ignore]  # Python 3.14

    return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF).get(name)


def _resolved(function: Any, name: str, annotation: str) -> Any:
    """Each annotation by itself: another one may name what is there for type checkers only."""
    alone = type("Annotated", (), {"__annotations__": {name: annotation}})
    try:
        return get_type_hints(alone, getattr(function, "__globals__", {}), {}).get(name)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


@dataclass(frozen=True, slots=True)
class Model:
    """The function gets an instance, and may return one. The value is read as the JSON that it is, so that strict models work too."""

    kind: Any

    def schema(self, *, of_output: bool) -> dict[str, Any]:
        schema: dict[str, Any] = self.kind.model_json_schema(mode="serialization" if of_output else "validation")
        return schema

    def read(self, given: Json) -> Any:
        try:
            return self.kind.model_validate_json(json.dumps(given))
        except ValueError as fault:
            raise _invalid("InputInvalid", "the task's input", _faults(fault)) from None

    def written(self, output: Any) -> Json:
        try:
            if not isinstance(output, self.kind):
                output = self.kind.model_validate(output)
            return output.model_dump(mode="json", by_alias=True)
        except ValueError as fault:
            raise _invalid("OutputInvalid", "the task's result", _faults(fault)) from None


def _faults(fault: ValueError) -> list[tuple[str, str]]:
    """Of pydantic's ValidationError: (JSON pointer, message)."""
    errors = getattr(fault, "errors", None)
    if errors is None:
        return [("", "it cannot be written as JSON")]
    told = errors(include_url=False, include_context=False, include_input=False)
    return [("".join(f"/{_escaped(part)}" for part in error["loc"]), error["msg"]) for error in told[:MAX_FAULTS]]


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Schema:
    """The function gets the value itself."""

    given: dict[str, Any]
    _sound: list[bool] = field(default_factory=list, compare=False, repr=False)  # filled by the first check

    def schema(self, *, of_output: bool) -> dict[str, Any]:
        return self.given

    def read(self, given: Json) -> Any:
        self._check(given, "InputInvalid", "the task's input")
        return given

    def written(self, output: Any) -> Json:
        try:
            value: Json = json.loads(json.dumps(output))  # as it will be kept: a tuple is a list
        except (TypeError, ValueError, RecursionError) as fault:
            raise TaskError("OutputInvalid", f"the task's result is no JSON: {fault}", permanent=True) from None
        self._check(value, "OutputInvalid", "the task's result")
        return value

    def _check(self, value: Any, name: str, what: str) -> None:
        from ..definition.schemas import asked_for, first_fault

        if not self._sound:
            why = first_fault(self.given)
            if why is not None:
                raise TaskError(name, f"{what} cannot be checked, the task's own schema is wrong: {why}", permanent=True)
            self._sound.append(True)
        faults = asked_for(self.given, value)
        if faults:
            raise _invalid(name, what, faults)


def _invalid(name: str, what: str, faults: Iterable[tuple[str, str]]) -> TaskError:
    listed = list(faults)
    told = "; ".join(f"{path or 'as a whole'}: {message}" for path, message in listed[:MAX_TOLD])
    more = f" (and {len(listed) - MAX_TOLD} more)" if len(listed) > MAX_TOLD else ""
    details = {"faults": [{"path": path, "message": message} for path, message in listed]}
    return TaskError(name, f"{what} is not what it declares: {told}{more}", details, permanent=True)
