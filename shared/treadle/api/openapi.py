"""The OpenAPI 3.1 document, made from the same table that answers the requests: what is not served is not in it."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from .. import __version__
from . import problems, shapes
from .calls import BASE
from .routes import ROUTES, Route

_REF = "#/components/schemas/{model}"
_SHAPES = (shapes.Registration, shapes.Validation, shapes.Listing, shapes.Stats, shapes.Health, shapes.Problem, shapes.Difference,
           shapes.Prospect, shapes.Task, shapes.TaskInput, shapes.Checkpoint, shapes.Trail, shapes.Redriven, shapes.DeadLetter)  # fmt: skip
_BODY_CODES = ("invalid-json", "invalid-encoding", "invalid-number", "duplicate-key", "too-deep", "unknown-field", "missing-field",
               "bad-type", "bad-value", "payload-too-large", "unsupported-media-type")  # fmt: skip
_QUERY_CODES = ("unknown-field", "bad-value")
_TOKEN_CODES = ("unauthenticated", "forbidden", "rate-limited", "unavailable")
_PLAIN: dict[str, Any] = {
    "Workflow": {
        "type": "object",
        "required": ["id", "version", "definition"],
        "properties": {name: {"type": "string"} for name in ("id", "name", "version")}
        | {"definition": {"$ref": _REF.format(model="Definition")}},
    },
    "Definition": {
        "type": "object",
        "required": ["id", "name", "version", "steps"],
        "description": "A workflow definition; `treadle schema` prints its JSON Schema.",
    },
    "Amended": {
        "description": "The run, and what was changed of its plan.",
        "allOf": [
            {"$ref": _REF.format(model="Run")},
            {"type": "object", "required": ["amended"], "properties": {"amended": {"$ref": _REF.format(model="Difference")}}},
        ],
    },
    "Updated": {
        "type": "object",
        "required": ["changes", "run"],
        "properties": {"changes": {"type": "array", "items": {"type": "object"}}, "run": {"$ref": _REF.format(model="Run")}},
    },
    "OpenApi": {"type": "object"},
}


def version() -> str:
    try:
        return metadata.version("treadle")
    except metadata.PackageNotFoundError:  # in the Lambda layer it is a folder, not an installed package
        return __version__


@cache
def document() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "treadle",
            "version": version(),
            "summary": "Workflows: register, run, watch, steer.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
    }
    if route.needs:
        operation["description"] = f"Needs the permission to {' and to '.join(need.value for need in route.needs)}."
    else:
        operation["security"] = []
    if route.is_definition or route.body is not None:
        operation["requestBody"] = _request_body(route)
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in route.parameters]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema()
    parameters = []
    for name, shown in schema.get("properties", {}).items():
        text = shown.pop("description", "")
        parameters.append({"name": name, "in": "query", "schema": shown, **({"description": text} if text else {})})
    if route.takes_attributes:
        text = "Runs whose search attribute NAME has this value; NAME is any name."
        parameters.append({"name": "attribute.NAME", "in": "query", "schema": {"type": "string"}, "description": text})
    return parameters


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if route.takes_key:
        return [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}]
    if route.takes_match:
        text = "The run's `etag`, or the `ETag` of the answer that showed it; `*`: whichever it is."
        return [{"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}, "description": text}]
    if route.query is shapes.RunQuery:
        return [{"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}]
    return []


def _request_body(route: Route) -> dict[str, Any]:
    if route.is_definition:
        text = {"schema": {"type": "string", "description": "A workflow definition in YAML 1.2."}}
        return {"required": True, "content": {"application/json": {"schema": _reference("Definition")}, "application/yaml": text}}
    shape = route.body or shapes.Nothing
    is_needed = any(field.is_required() for field in shape.model_fields.values())
    return {"required": is_needed, "content": {name: {"schema": _reference(shape.__name__)} for name in route.media_types}}


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in route.answers.items():
        headers = {"Location": {"schema": {"type": "string"}}} if status in (201, 202) else {}
        headers |= {"ETag": {"schema": {"type": "string"}}} if route.query is shapes.RunQuery else {}
        described = {"description": f"{answer}.", "content": {"application/json": {"schema": _reference(answer)}}}
        responses[str(status)] = {**described, "headers": headers} if headers else described
    if route.query is shapes.RunQuery:
        responses["304"] = {"description": "The run is as `If-None-Match` says."}
    for status, codes in sorted(_refusals(route).items()):
        content = {problems.MEDIA_TYPE: {"schema": _reference("Problem")}}
        responses[str(status)] = {"description": f"Refused: {', '.join(codes)}.", "content": content}
    return responses


def _refusals(route: Route) -> dict[int, list[str]]:
    codes = [*route.refuses, *(_TOKEN_CODES if route.needs else ())]
    codes += _BODY_CODES if route.is_definition or route.body is not None else ()
    codes += _QUERY_CODES if route.needs else ()
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(problems.CATALOGUE[code].status, []).append(code)
    return by_status


def _schemas() -> dict[str, Any]:
    from ..views import RunView

    bodies = {route.body for route in ROUTES if route.body is not None}
    schemas = dict(_PLAIN)
    shown: set[type[shapes.Shape]] = {*_SHAPES, *bodies}
    for shape in sorted(shown, key=lambda shape: shape.__name__):
        schemas |= _own(shape.__name__, shape.model_json_schema(ref_template=_REF))
    return schemas | _own("Run", RunView.model_json_schema(ref_template=_REF, mode="serialization"))


def _own(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema and those it refers to, side by side."""
    inner: dict[str, Any] = schema.pop("$defs", {})
    return {**inner, name: schema}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}
