"""What schemas tell of the names that expressions use: the input's, those of tasks, and the shapes that the language itself gives.

All are JSON Schemas. `True` is anything; what a step gives is left open wherever a modifier may give something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .graph import Graph, Node, as_list, as_map
from .places import Place

ANYTHING = True
_TEXT = {"type": "string"}


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_ERROR = _closed(name=_TEXT, message=_TEXT)
_STEP = {"outcome": _TEXT, "error": _ERROR, "attempts": {"type": "integer"}}
_RUN = _closed(id=_TEXT, workflow=_TEXT, version=_TEXT, startedAt=_TEXT)
_APPROVED = _closed(decision=_TEXT, by=_TEXT, comment=ANYTHING)


class Tasks(Protocol):
    """What knows tasks by name, and what each says that it gives (treadle.tasks.Registry)."""

    def find(self, name: str) -> Any: ...


class Known:
    """Of one document. `tasks`: anything; what has no `find` tells nothing."""

    def __init__(self, document: Mapping[str, Any], graph: Graph, tasks: object) -> None:
        given = document.get("input")
        self._input = given if isinstance(given, dict) else ANYTHING
        self._by_id = graph.by_id
        self._find: Callable[[str], Any] = getattr(tasks, "find", lambda name: None)
        self._given: dict[str, Any] = {}  # by task
        self._steps: dict[str, Any] = {}  # by id

    def at(self, place: Place, node: Node | None, names: frozenset[str], steps: frozenset[str]) -> dict[str, Any]:
        """Schemas by name, of `names` and of the steps that the expression reads."""
        found: dict[str, Any] = {"run": _RUN, "input": self._input}
        if "steps" in names:
            found["steps"] = {"type": "object", "properties": {name: self._step(name) for name in steps}}
        if node is not None and "result" in place.names:
            found["result"] = self._of_action(node)
        if node is not None and place.is_after_step:
            found["output"] = self._output(node)
        if node is not None and "error" in place.names:
            found["error"] = _closed(**_ERROR["properties"], step=_TEXT, details=ANYTHING, permanent=ANYTHING)
        return {name: found[name] for name in names & found.keys()}

    def _step(self, name: str) -> Any:
        if name not in self._steps:
            node = self._by_id.get(name)
            self._steps[name] = ANYTHING if node is None else _closed(**_STEP, output=self._output(node))
        return self._steps[name]

    def _output(self, node: Node) -> Any:
        """As others see it."""
        raw = node.raw
        if any("output" in as_map(entry) for entry in as_list(raw.get("catch"))) or "repeat" in raw:
            return ANYTHING
        one = _of_template(raw["output"]) if "output" in raw else self._of_action(node)
        return {"type": "array"} if "forEach" in raw else one

    def _of_action(self, node: Node) -> Any:
        raw = node.raw
        if "set" in raw:
            return _of_template(raw["set"])
        if "approval" in raw:
            return _APPROVED
        schema = as_map(raw.get("signal")).get("schema")
        if isinstance(schema, dict):
            return schema
        if "switch" in raw:
            return _closed(chosen={"type": "array"})
        return self._of_task(raw["task"]) if isinstance(raw.get("task"), str) else ANYTHING

    def _of_task(self, name: str) -> Any:
        if name not in self._given:
            schema = getattr(self._find(name), "output_schema", None)
            self._given[name] = schema if isinstance(schema, dict) else ANYTHING
        return self._given[name]


def _of_template(value: Any) -> Any:
    match value:
        case str() if "${" in value:
            return ANYTHING
        case str():
            return _TEXT
        case bool():
            return {"type": "boolean"}
        case int() | float():
            return {"type": "number"}
        case dict():
            return _closed(**{str(key): _of_template(inner) for key, inner in value.items()})
        case list():
            return {"type": "array"}
    return ANYTHING
