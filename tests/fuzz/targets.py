"""What is fed, and what must hold: an answer of the right form, no error but a typed one, and no more CPU time than so much."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from treadle.cel import Cel, bounds, programs
from treadle.core import expressions
from treadle.core.errors import ExpressionFault
from treadle.core.expressions import Patience
from treadle.definition import Checker
from treadle.definition.rendering import to_text

# Of CPU time, for an input of at most 8 KiB. An evaluation is bounded by what it makes and how often it loops (language page, limits),
# not by its text: copies of 64 MiB alone take longer than 50 ms.
MOST_MS = {"definition": 50, "expression": 50, "evaluation": 200}
CHECKER = Checker({"echo", "charge", "refund"}, Cel())
CEL = Cel()
NAMES: dict[str, Any] = {
    "input": {
        "amount": 7,
        "n": 2**62,
        "d": -0.5,
        "s": "añ😀" * 200,
        "list": [3, 1, None, "x"] * 10,
        "map": {"b": {"c": [1]}, "a": True},
        "x": "a",
        "many": list(range(200)),
    },
    "steps": {"a": {"output": [1, {"k": None}], "outcome": "succeeded", "error": None, "attempts": 1}, "x": None},
    "item": {"key": "k", "value": 1.5},
    "index": 3,
    "iteration": 0,
    "previous": None,
    "result": [],
    "output": {},
    "error": {"name": "E"},
    "run": {"id": "r", "workflow": "w", "version": "1.0.0", "startedAt": "2026-11-23T00:00:00.000Z"},
    "event": {},
    "secrets": {},
}
SCHEMAS: dict[str, Any] = {
    "input": {
        "additionalProperties": False,
        "properties": {"amount": {"type": "integer"}, "s": {"type": "string"}, "list": {"type": "array"}, "map": {"$ref": "#/$defs/map"}},
        "$defs": {"map": {"anyOf": [{"type": "null"}, {"properties": {"b": {"$ref": "#/$defs/map"}}, "additionalProperties": False}]}},
    }
}


class Slow(Exception):
    """It took too long, twice."""


def definition(data: bytes) -> None:
    """The readers and the whole checker, by bytes and, where it is text, by text."""
    checked = CHECKER.check(data)
    assert (checked.document is None) == bool(checked.errors)
    for told in checked.diagnostics:
        assert told.message
        assert told.path == "" or told.path.startswith("/")
        assert told.line is None or (told.line >= 1 and told.column is not None and told.column >= 1)
    to_text(checked.diagnostics, checked.text).encode("utf-8", "backslashreplace")
    if checked.document is not None:
        json.dumps(checked.document, allow_nan=False).encode()


def expression(data: bytes) -> None:
    """Parse and check; and the same text as a template."""
    text = _text(data)
    _json_or_fault(lambda: CEL.references(text) and None)
    _json_or_fault(lambda: [told.message for told in CEL.mismatches(text, SCHEMAS, Patience())])
    _json_or_fault(lambda: [hole.offset for hole in expressions.holes(text)])


def evaluation(data: bytes) -> None:
    """Of an expression, and of a template that holds it."""
    text = _text(data)
    _json_or_fault(lambda: CEL.evaluate(text, NAMES))
    _json_or_fault(lambda: expressions.render({"a": [text, "${" + text + "}"]}, CEL, NAMES))


def _text(data: bytes) -> str:
    return (data.decode("utf-8", "surrogatepass") if _is_text(data) else data.decode("latin-1"))[:4096]


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _json_or_fault(work: Callable[[], Any]) -> None:
    try:
        value = work()
    except ExpressionFault as fault:
        told: Any = fault.message
    else:
        told = [json.dumps(value, allow_nan=False)]
    assert told, "a fault says what is wrong"


TARGETS: dict[str, Callable[[bytes], None]] = {"definition": definition, "expression": expression, "evaluation": evaluation}


def timed(target: str, data: bytes) -> float:
    """ms of CPU time, with nothing kept of what was looked at before."""
    for kept in (programs._compiled, programs._seen, programs.parsed, bounds._regex_size, expressions.split):
        kept.cache_clear()
    begin = time.process_time()
    TARGETS[target](data)
    return (time.process_time() - begin) * 1000


def within(target: str, data: bytes, most_ms: float) -> None:
    """Raises Slow where it takes more than so many, a second time as well: the first may have loaded something."""
    if timed(target, data) > most_ms and (took_ms := timed(target, data)) > most_ms:
        raise Slow(f"{took_ms:.0f} ms")
