"""The structure of a document: pydantic's errors in the language's own codes and words, and the JSON Schema."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails

from ..regexes import Regexes
from .diagnostics import MAX_PER_CODE, MEANING, Code, Fault, Path, kind
from .examples import EXAMPLES
from .metaschema import as_schema
from .model import Workflow, examples
from .spelling import Speller, otherwise
from .types import TAG

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}

# What is meant by a map that is left out: `retry: 3`.
_USUAL = {
    "signal": ("name", str), "workflow": ("id", str), "fail": ("error", str), "emit": ("type", str), "compensate": ("task", str),
    "retry": ("maxAttempts", int), "repeat": ("max", int), "tolerate": ("failures", int),
}  # fmt: skip
_SHORT = re.compile(r"[\w.*-]{1,64}")


def structure_faults(document: Any, model: type[BaseModel] = Workflow, regexes: Regexes | None = None) -> list[Fault]:
    """What is wrong key by key: missing, unknown, of the wrong type, not among the allowed values."""
    try:
        model.model_validate(document, context=regexes)
    except ValidationError as error:
        return list(_faults(error, model))
    return []


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """In the order of the document; of one kind no more than will be told, for hints take their time."""
    counts: Counter[str] = Counter()
    speller = Speller()
    for details in error.errors(include_url=False):
        counts[details["type"]] += 1
        if counts[details["type"]] <= MAX_PER_CODE:
            yield (fault := _fault(details, model, speller))
            for message, inside in details.get("ctx", {}).get("more", ()):
                yield Fault(fault.code, message, (*_place(details), *inside))


def _place(error: ErrorDetails) -> Path:
    return tuple(part for part in error["loc"] if not (isinstance(part, str) and part.startswith(TAG)))


def _fault(error: ErrorDetails, model: type[BaseModel], speller: Speller) -> Fault:
    path = _place(error)
    name = str(path[-1]) if path else "the document"
    given, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return Fault(Code.MISSING_FIELD, f"`{name}` is missing", path[:-1])
        case "extra_forbidden":
            known = _known_keys(path[:-1], model)
            hint = otherwise(name, known) or speller.hint(name, known) or _listed(known)
            return Fault(Code.UNKNOWN_FIELD, f"there is no key `{name[:60]}` here", path, hint, at_key=True)
        case "literal_error" if isinstance(given, str):
            allowed = re.findall(r"'([^']*)'", context["expected"])
            return Fault(Code.BAD_VALUE, f"`{name}` is one of {', '.join(allowed)}", path, speller.hint(given, allowed))
        case "literal_error":
            return Fault(Code.BAD_TYPE, f"expected a string, not {kind(given)}", path)
        case kind_of if kind_of in _EXPECTED:
            hint = _unquoted(given, kind_of) or _unwrapped(name, given, kind_of)
            return Fault(Code.BAD_TYPE, f"expected {_EXPECTED[kind_of]}, not {_instead(given, kind_of)}", path, hint)
        case kind_of if kind_of in MEANING:
            return Fault(Code(kind_of), context["message"], (*path, *context["inside"]), context["hint"])
        case _:
            return Fault(Code.BAD_VALUE, _bounded(error), path)


def _instead(given: Any, expected: str) -> str:
    return "a fraction" if isinstance(given, float) and expected.startswith("int") else kind(given)


def _unquoted(given: Any, expected: str) -> str | None:
    """A hint for a number or boolean in quotes, or for a string that lost its quotes."""
    if isinstance(given, str) and expected in ("int_type", "float_type", "bool_type"):
        plain = re.fullmatch(r"(-?[0-9.]+|true|false)(\s*%)?", given)
        return None if plain is None else f"did you mean `{plain[1]}`?" if plain[2] else f"without quotes: {given}"
    if isinstance(given, bool | int | float) and expected == "string_type":
        return f'in quotes: "{str(given).lower() if isinstance(given, bool) else given}"'
    return None


def _unwrapped(name: str, given: Any, expected: str) -> str | None:
    """A hint for what stands there by itself, where it has to stand in a list or in a map."""
    if given is None:
        return _instead_of_null(name, expected)
    if expected == "list_type":
        return f"did you mean `[{given}]`?" if isinstance(given, str) and _SHORT.fullmatch(given) else _as_list(given)
    if name == "group" and isinstance(given, list):
        return "did you mean `{steps: [...]}`?"
    key, kind_of = _USUAL.get(name, ("", object))
    if not key or not expected.startswith("model") or type(given) is not kind_of:
        return None
    return f"did you mean `{{{key}: {given}}}`?" if _SHORT.fullmatch(str(given)) else None


def _instead_of_null(name: str, expected: str) -> str:
    if expected.startswith("model") and name == "approval":
        return "did you mean `{}`?"
    return "nothing stands behind it: leave the key out, or give it a value"


def _as_list(given: Any) -> str | None:
    return "an entry of a list begins with `- `" if isinstance(given, dict) and given else None


def _bounded(error: ErrorDetails) -> str:
    """pydantic's sentence (`String should have at most 200 characters`), begun in lower case."""
    if error["type"] in ("too_short", "string_too_short") and error["ctx"]["min_length"] == 1:
        return "must not be empty"
    message = error["msg"]
    return message[:1].lower() + message[1:]


def _listed(known: list[str]) -> str | None:
    return f"known keys: {', '.join(known)}" if 0 < len(known) <= 8 else None


# ------------------------------------------------------------------------------------------------ JSON Schema


class _Generator(GenerateJsonSchema):
    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Without `default: null`: what may be left out may not be null."""
        generated = super().default_schema(schema)
        if generated.get("default", ...) is None:
            del generated["default"]
        return generated


@lru_cache(maxsize=1)
def _generated() -> dict[str, Any]:
    generated = Workflow.model_json_schema(by_alias=True, schema_generator=_Generator)
    for name, model in generated["$defs"].items():
        model["examples"] = [EXAMPLES[name]]
        _show_keys(model, EXAMPLES[name])
    _show_keys(generated, examples()[0])
    generated["$defs"]["JsonSchema"] = {"description": "JSON Schema 2020-12.", **as_schema("#/$defs/JsonSchema")}
    generated["properties"]["input"]["$ref"] = generated["$defs"]["Signal"]["properties"]["schema"]["$ref"] = "#/$defs/JsonSchema"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "treadle workflow",
        **{key: value for key, value in generated.items() if key != "title"},
        "examples": examples(),
    }


def _show_keys(model: dict[str, Any], example: Mapping[str, Any]) -> None:
    """Each key by itself, as the map's example has it: what an editor offers behind a key."""
    for key, shape in model["properties"].items():
        if key in example and not shape.keys() & {"$ref", "examples", "enum", "items"}:
            shape["examples"] = [example[key]]


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a definition: for editors, and for programs that write definitions."""
    return cast(dict[str, Any], _copied(_generated()))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


@lru_cache(maxsize=4)
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return _generated() if model is Workflow else model.model_json_schema(by_alias=True)


def _known_keys(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that may be in the map at `path`, by walking the schema along it."""
    root = _schema_of(model)
    schemas = [root]
    for part in path:
        schemas = [inner for around in schemas for inner in _inside(around, part, root)]
    return sorted({key for around in schemas for option in _options(around, root) for key in option.get("properties", {})})


def _inside(around: dict[str, Any], part: str | int, root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in _options(around, root):
        if isinstance(part, int) and "items" in option:
            yield option["items"]
        elif isinstance(part, str) and part in option.get("properties", {}):
            yield option["properties"][part]


def _options(around: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema with its references followed and its unions opened."""
    if "$ref" in around:
        yield from _options(root["$defs"][around["$ref"].rpartition("/")[2]], root)
    elif "properties" not in around and ("oneOf" in around or "anyOf" in around):
        for option in around.get("oneOf", around.get("anyOf", [])):
            yield from _options(option, root)
    else:
        yield around
