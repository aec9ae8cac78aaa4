"""An API Gateway event (HTTP API, payload format 2.0) in, its response out.

The order of the checks is the law: address, token, permission, then size, media type, text, JSON, shape. So nobody without
a token learns what a body would have been refused for, and nothing is built from a body that is too large or too deep.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from .. import audit, auth
from ..core import paths
from ..core.errors import Conflict, Corrupted, Newer, Rejected, Unavailable
from . import openapi, problems, shapes
from .callbacks import whoever_has
from .calls import BASE, NotJson, Reply, Request
from .problems import WrongMethod, refusal
from .reading import read_json
from .routes import JSON_TYPES, ROUTES, Route, Special

if TYPE_CHECKING:
    from ..operations import Operations

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
LONGEST_NAME = 1000  # bytes
TASKS = ["", *BASE.split("/")[1:], "tasks"]
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
}

Event = Mapping[str, Any]


def answer(event: Event, operations: Operations) -> dict[str, Any]:
    """The response of the request; a refusal is a problem document. Other exceptions are faults here and pass through."""
    request_id = str(event.get("requestContext", {}).get("requestId", ""))
    try:
        reply = _reply(event, operations)
    except Rejected as refused:
        reply = _refused(refused, request_id)
    except Conflict as conflict:
        reply = _refused(refusal("conflict", str(conflict) or "somebody else changed it at the same moment; try again"), request_id)
    except Corrupted as unreadable:
        reply = _refused(refusal("wrong-state", f"something that is stored cannot be read: {unreadable}"), request_id)
    except Newer:
        told = "a newer version of the engine wrote what is needed: a deployment is under way, or was taken back; try again"
        reply = _refused(refusal("unavailable", told), request_id)
    except Unavailable:
        reply = _refused(refusal("unavailable", "a service that is needed cannot be reached; try again"), request_id)
    return _response(event, reply, request_id)


def _reply(event: Event, operations: Operations) -> Reply:
    route, path = _route(event)
    if isinstance(route.does, Special):
        return Reply(openapi.document() if route.does is Special.OPENAPI else {**operations.health.look(), "version": openapi.version()})
    principal = whoever_has(path["token"], operations) if route.by_callback else _allowed(event, route)
    _refuse_unnamed(path)
    headers = _headers(event)
    query, attributes = _query(event, route)
    request = Request(principal, path, query, _body(event, route, headers), attributes, headers)
    with audit.coming_from(event["requestContext"]["http"].get("sourceIp")):
        return route.does(request, operations)


# ------------------------------------------------------------------------------------------------ address and caller


def _route(event: Event) -> tuple[Route, dict[str, str]]:
    method, path = _method(event), _path(event)
    segments = [unquote(segment) for segment in path.split("/")]
    if segments[:3] == TASKS:
        segments = "/".join(segments).split("/")  # a task's id has a slash in it, RUN/PATH, and may come as one segment
    here = [(route, found) for route in ROUTES if (found := route.match(segments)) is not None]
    for route, found in here:
        if method == route.method or (method == "HEAD" and route.method == "GET"):
            return route, found
    if here:
        taken = {route.method for route, _ in here}
        raise WrongMethod(sorted(taken | {"HEAD"} if "GET" in taken else taken))
    raise refusal("not-found", "there is nothing at this address")


def _method(event: Event) -> str:
    return str(event["requestContext"]["http"]["method"]).upper()


def _path(event: Event) -> str:
    """Without the stage's name, which API Gateway puts before it when the stage has one."""
    stage = event["requestContext"].get("stage", "$default")
    return str(event["rawPath"]).removeprefix("" if stage == "$default" else f"/{stage}")


def _allowed(event: Event, route: Route) -> auth.Principal:
    authorizer = event["requestContext"].get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims")
    if not claims:
        raise auth.unauthenticated("send a token: `Authorization: Bearer TOKEN`")
    principal = auth.principal(claims)
    missing = [permission.value for permission in route.needs if not principal.may(permission)]
    if missing:
        raise refusal("forbidden", f"no role of this token allows: {', '.join(missing)}")
    return principal


# ------------------------------------------------------------------------------------------------ what it carries


def _refuse_unnamed(path: Mapping[str, str]) -> None:
    """What cannot be a name is none of a thing: a key of the table has an end, and an index is a number."""
    step = path.get("step")
    if any(len(name.encode()) > LONGEST_NAME for name in path.values()) or (step is not None and not paths.is_path(step)):
        raise refusal("not-found", "there is nothing at this address: no name in it is so long, or a step's path is none")


def _headers(event: Event) -> dict[str, str]:
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _query(event: Event, route: Route) -> tuple[shapes.Shape, dict[str, str]]:
    pairs = parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise refusal("bad-value", "a query parameter is there twice")
    attributes = {}
    if route.takes_attributes:
        attributes = {name.removeprefix("attribute."): value for name, value in parameters.items() if name.startswith("attribute.")}
        parameters = {name: value for name, value in parameters.items() if not name.startswith("attribute.")}
    return shapes.fit_query(route.query, parameters), attributes


def _body(event: Event, route: Route, headers: Mapping[str, str]) -> Any:
    """None where the route takes none; the bytes of a definition; else the route's shape."""
    if route.body is None and not route.is_definition:
        return None
    content = _content(event, route.max_bytes)
    if route.is_definition:
        return _definition(content, headers)
    if not content and not any(field.is_required() for field in (route.body or shapes.Nothing).model_fields.values()):
        return (route.body or shapes.Nothing)()
    _media_type(headers, route.media_types)
    return shapes.fit_body(route.body or shapes.Nothing, read_json(content))


def _content(event: Event, max_bytes: int) -> bytes:
    body = event.get("body") or ""
    too_large = refusal("payload-too-large", f"this address takes at most {max_bytes} bytes")
    if len(body) > max_bytes * (2 if event.get("isBase64Encoded") else 1):
        raise too_large
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, UnicodeEncodeError):
        raise refusal("invalid-encoding", "the body is not UTF-8") from None
    if len(content) > max_bytes:
        raise too_large
    return content


def _definition(content: bytes, headers: Mapping[str, str]) -> bytes:
    """As it came: what is wrong with its text is among the diagnostics. The checker takes for YAML what does not begin with `{`."""
    media_type = _media_type(headers, JSON_TYPES + YAML_TYPES)
    return NotJson(content) if media_type in JSON_TYPES and not content.lstrip().startswith(b"{") else content


def _media_type(headers: Mapping[str, str], taken: tuple[str, ...]) -> str:
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    media_type, parameters = media_type.strip().lower(), parameters.replace(" ", "").replace('"', "").lower()
    is_plain = headers.get("content-encoding", "identity").lower() == "identity"
    if media_type not in taken or parameters not in ("", "charset=utf-8") or not is_plain:
        raise refusal("unsupported-media-type", f"send {' or '.join(taken)} in UTF-8, not compressed")
    return media_type


# ------------------------------------------------------------------------------------------------ the way back


def _refused(refused: Rejected, request_id: str) -> Reply:
    headers = {"content-type": problems.MEDIA_TYPE, **problems.headers(refused)}
    return Reply(problems.document(refused, request_id), refused.status, headers)


def _response(event: Event, reply: Reply, request_id: str) -> dict[str, Any]:
    headers = {**SECURITY_HEADERS, "content-type": "application/json", "x-request-id": request_id, **reply.headers}
    is_bare = reply.status == HTTPStatus.NOT_MODIFIED or _method(event) == "HEAD"
    body = "" if is_bare else json.dumps(reply.body, ensure_ascii=False, separators=(",", ":"))
    return {"statusCode": int(reply.status), "headers": headers, "body": body, "isBase64Encoded": False}
