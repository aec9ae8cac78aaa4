"""What the language consists of, by its models, and what of it a definition uses.

A construct is a key (`Step.cache`), a value that a key may have (`Retry.backoff=linear`), or a kind of value where there are several
(`Step.wait: object`). The list is made from the JSON Schema, so what is added to the language is on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..definition import schema

Schema = Mapping[str, Any]

DOCUMENT = "Workflow"
KINDS = {"string": str, "object": dict, "array": list, "boolean": bool, "integer": int, "number": int | float}

_KEYS = ("Cache.key", "RunConcurrency.key", "TaskConcurrency.key")
_EXPRESSIONS = ("Case.when", "Step.when", "Repeat.while", "Repeat.until", "WaitUntil.until")

# What no generated definition has, or none that runs, and why.
EXEMPT: Mapping[str, str] = {
    "Workflow.triggers": "starts runs, and nothing in a run sees it; tests/triggers",
    "Trigger": "as triggers",
    "S3Trigger": "as triggers",
    "JsonSchema": "the words of JSON Schema, not of this language; tests/definition",
    "Retry.jitter=full": "a random time: the back-off itself is held by tests/core/test_retry.py",
    "Compensation.signal": "refused: undoing waits for nobody",
    "Compensation.approval": "refused: undoing waits for nobody",
    "Step.forEach: boolean": "refused: no list",
    **{f"{key}: {kind}": "one key for all, as a text is" for key in _KEYS for kind in ("boolean", "array")},
    **{f"{key}: array": "of the wrong kind, as `when: input.n` is" for key in _EXPRESSIONS},
    "WaitUntil.until: boolean": "of the wrong kind, as `when: input.n` is",
}


def is_exempt(construct: str) -> bool:
    return construct in EXEMPT or construct.partition(".")[0] in EXEMPT


@dataclass
class Table:
    """In how many definitions each construct was, and in how many of them it was executed: the step that says it ended (a
    compensation: was undone), a request was not refused."""

    definitions: int = 0
    carried: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)

    def add(self, documents: Iterable[Mapping[str, Any]], ran: Collection[str], undone: Collection[str], acts: Mapping[str, bool]) -> None:
        """`ran`, `undone`: ids of steps. `acts`: what people did, and whether it was ever taken."""
        found = [pair for document in documents for pair in used(document)]
        self.definitions += 1
        self.carried.update({name for name, _ in found} | {f"act={act}" for act in acts})
        done = {name for name, step in found if not step or step in (undone if name.startswith("Compensation.") else ran)}
        self.executed.update(done | {f"act={act}" for act, was_taken in acts.items() if was_taken})

    def missing(self) -> list[str]:
        """What was never executed though it should have been."""
        return [name for name in constructs() if not self.executed[name] and not is_exempt(name)]

    def __str__(self) -> str:
        lines = [f"{'of ' + str(self.definitions) + ' definitions':<44} {'with it':>9} {'executed':>9}"]
        for name in [*constructs(), *sorted(name for name in self.carried if name.startswith("act="))]:
            why = EXEMPT.get(name) or EXEMPT.get(name.partition(".")[0])
            told = f"  ({why})" if why and not self.executed[name] else "" if self.executed[name] else "  never"
            lines.append(f"{name:<44} {self.carried[name]:>9} {self.executed[name]:>9}{told}")
        return "\n".join(lines)


@cache
def _whole() -> Schema:
    return schema()


def constructs() -> list[str]:
    """All of them, in the order of the models."""
    found: dict[str, None] = {}
    for title, model in {DOCUMENT: _whole(), **_whole()["$defs"]}.items():
        for key, of in model["properties"].items():
            name = f"{title}.{key}"
            found |= dict.fromkeys([name, *(f"{name}={value}" for value in _values(of)), *(f"{name}: {kind}" for kind in _kinds(of))])
    return list(found)


def used(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(construct, id of the step it is said of, or "" for the run), as often as it is used."""
    yield from _used(document, _whole(), DOCUMENT, "")


def _used(value: Mapping[str, Any], model: Schema, title: str, step: str) -> Iterator[tuple[str, str]]:
    step = value["id"] if title == "Step" else step
    for key, inner in value.items():
        of = model["properties"].get(key)
        if of is None:
            continue
        name = f"{title}.{key}"
        yield name, step
        items = inner if isinstance(inner, list) else [inner]
        yield from ((f"{name}={one}", step) for one in items if isinstance(one, str) and one in _values(of))
        yield from ((f"{name}: {kind}", step) for kind in _kinds(of) for one in _with_items(inner, of) if _is(one, kind))
        for one in items:
            if isinstance(one, dict):
                for model_title in _models(of):
                    inner_model = _whole()["$defs"][model_title]
                    if inner_model.get("additionalProperties") or one.keys() <= inner_model["properties"].keys():
                        yield from _used(one, inner_model, model_title, step)


def _with_items(value: Any, of: Schema) -> list[Any]:
    return value if isinstance(value, list) and "items" in of else [value]


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _branches(of: Schema) -> list[Schema]:
    inner = of.get("items", of)
    return list(inner.get("oneOf", inner.get("anyOf", [inner])))


def _values(of: Schema) -> list[str]:
    return [value for branch in _branches(of) for value in branch.get("enum", ())]


def _models(of: Schema) -> list[str]:
    return [branch["$ref"].rpartition("/")[2] for branch in _branches(of) if "$ref" in branch]


def _kinds(of: Schema) -> list[str]:
    """Where there are several."""
    found: dict[str, None] = {}
    for branch in _branches(of):
        kinds = branch.get("type", "object" if "$ref" in branch else "string" if "enum" in branch else None)
        found |= dict.fromkeys([kinds] if isinstance(kinds, str) else kinds or [])
    return list(found) if len(found) > 1 else []
