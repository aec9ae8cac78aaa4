"""An engine's HTTP API from the client's side: the verbs of the command line, as JSON. No dependency but the standard library."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..core.errors import Rejected, Unavailable

TIMEOUT_S = 35  # API Gateway gives up after 30

Json = Any
Page = tuple[list[dict[str, Any]], str | None]


class Remote:
    """Refusals come as Rejected, with the code of the problem document; silence and 5xx as Unavailable."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Rejected("bad-value", f"`{url}` is not an address such as http://127.0.0.1:8080")
        self._parts = parts
        self._token = token

    def health(self) -> dict[str, Any]:
        return self._ask("GET", "/health")

    def register(self, text: bytes, media_type: str) -> dict[str, Any]:
        return self._ask("POST", "/workflows", text, {"content-type": media_type})

    def start(self, workflow: str, value: Json, *, key: str | None = None, **wanted: Json) -> dict[str, Any]:
        """`wanted`: version, attributes, priority; what is None is left out."""
        return self._post(f"/workflows/{_part(workflow)}/runs", wanted, {"idempotency-key": key} if key else {}, input=value)

    def run_definition(self, definition: Json, value: Json, *, key: str | None = None) -> dict[str, Any]:
        return self._post("/runs", {"definition": definition}, {"idempotency-key": key} if key else {}, input=value)

    def runs(self, **filters: Any) -> Page:
        """`filters`: the query's parameters by their own names; what is None is left out."""
        found = self._ask("GET", "/runs?" + urlencode({name: value for name, value in filters.items() if value is not None}))
        return found["items"], found["next"]

    def show(self, run: str, *, full: bool = False, cursor: str | None = None) -> dict[str, Any]:
        query = {"full": "true"} if full else {}
        return self._ask("GET", f"/runs/{_part(run)}?" + urlencode({**query, **({"cursor": cursor} if cursor else {})}))

    def history(self, run: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._ask("GET", f"/runs/{_part(run)}/history")["items"]
        return items

    def act(self, run: str, verb: str, body: Mapping[str, Json] | None = None) -> dict[str, Any]:
        """`verb`: `pause`, `resume`, `cancel`, `retry`."""
        return self._post(f"/runs/{_part(run)}/{verb}", body or {})

    def task(self, run: str, step: str) -> dict[str, Any]:
        return self._ask("GET", f"/tasks/{_part(run)}/{_part(step)}")

    def input_of(self, run: str, step: str) -> dict[str, Any]:
        """What the step's latest attempt was given."""
        return self._ask("GET", f"/tasks/{_part(run)}/{_part(step)}/input")

    def callback(self, token: str, what: str, body: Mapping[str, Json]) -> dict[str, Any]:
        """`what`: `succeed`, `fail`, `heartbeat`. Whoever has the token needs no other."""
        return self._post(f"/callbacks/{_part(token)}/{what}", {}, **body)

    def cancel_step(self, run: str, step: str, reason: str | None) -> dict[str, Any]:
        """The run goes on."""
        return self._post(f"/tasks/{_part(run)}/{_part(step)}/cancel", {"reason": reason})

    def amend(self, run: str, text: bytes, media_type: str, etag: str) -> dict[str, Any]:
        """`etag`: of the run as the caller has seen it."""
        return self._ask("PATCH", f"/runs/{_part(run)}/plan", text, {"content-type": media_type, "if-match": f'"{etag}"'})

    def difference(self, run: str, text: bytes, media_type: str) -> dict[str, Any]:
        """What `amend` would change."""
        return self._ask("POST", f"/runs/{_part(run)}/plan/difference", text, {"content-type": media_type})

    def prospect(self, parts: Sequence[str], from_step: str | None) -> dict[str, Any]:
        """What it would do to post to this address: a retry, a rerun, a restore."""
        return self._ask("GET", f"/{'/'.join(map(_part, parts))}?" + urlencode({"from": from_step} if from_step else {}))

    def update(self, run: str, patch: Json, etag: str) -> dict[str, Any]:
        """`etag`: of the run as the caller has seen it."""
        headers = {"content-type": "application/json", "if-match": f'"{etag}"'}
        return self._ask("PATCH", f"/runs/{_part(run)}", json.dumps(patch).encode(), headers)

    def once(self, parts: Sequence[str], key: str | None, **body: Any) -> dict[str, Any]:
        """POST to an address; of the body, what is None is left out. The same key again does it once."""
        said = {name: value for name, value in body.items() if value is not None}
        return self._post("/" + "/".join(map(_part, parts)), said, {"idempotency-key": key} if key else {})

    def page(self, path: str, **query: Any) -> Page:
        """Of a list; what is None is left out of the query."""
        found = self._ask("GET", f"{path}?" + urlencode({name: value for name, value in query.items() if value is not None}))
        return found["items"], found["next"]

    def dead_letter(self, letter: str) -> dict[str, Any]:
        return self._ask("GET", f"/dead-letters/{_part(letter)}")

    def redrive(self, **chosen: Json) -> dict[str, Any]:
        """`letters`, `queue`, `run`, `cursor`; what is None is left out."""
        return self._post("/dead-letters/redrive", chosen)

    def drop(self, letter: str, reason: str | None) -> dict[str, Any]:
        return self._post(f"/dead-letters/{_part(letter)}/drop", {"reason": reason})

    def trail(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """All records of the audit trail, and the head that was there before the first page was read."""
        records: list[dict[str, Any]] = []
        head: dict[str, Any] = {}
        cursor: str | None = None
        while True:
            query = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
            found = self._ask("GET", "/audit?" + urlencode(query))
            records += found["items"]
            head = head or found["head"]
            cursor = found["next"]
            if cursor is None:
                return records, head

    def signal(self, run: str, name: str, payload: Json) -> dict[str, Any]:
        return self._post(f"/runs/{_part(run)}/signals/{_part(name)}", {"payload": payload})

    def act_on_step(self, run: str, step: str, verb: str, body: Mapping[str, Json]) -> dict[str, Any]:
        """`verb`: `approve`, `reject`, `decide`."""
        return self._post(f"/runs/{_part(run)}/steps/{_part(step)}/{verb}", body)

    def _post(self, path: str, body: Mapping[str, Json], headers: Mapping[str, str] | None = None, **values: Json) -> dict[str, Any]:
        """`values`: where null is a value like any other."""
        given = {name: value for name, value in body.items() if value is not None} | values
        return self._ask("POST", path, json.dumps(given).encode(), {"content-type": "application/json", **(headers or {})})

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        sent = {"accept": "application/json", **(headers or {})}
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        try:
            connection.request(method, f"{self._parts.path.rstrip('/')}/v1{path.rstrip('?')}", body, sent)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise Unavailable(f"{self._parts.geturl()} does not answer ({fault}); is the engine running?") from fault
        finally:
            connection.close()
        return _answer(response.status, content, self._parts.geturl())

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(str(self._parts.hostname), self._parts.port, timeout=TIMEOUT_S)


def changes(remote: Remote, run: str, may_go_on: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Views of a run, each time it has changed, until it has ended; `may_go_on` is asked between two looks, and may take its time."""
    last: dict[str, Any] = {}
    while True:
        view = remote.show(run)
        if view != last:
            last = view
            yield view
        if is_final(view) or not may_go_on():
            return


def is_final(view: Mapping[str, Any]) -> bool:
    return view["status"] in ("succeeded", "failed", "cancelled", "timedOut")


# What API Gateway itself refuses has no code.
_CODES = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 413: "payload-too-large", 429: "rate-limited"}


def _answer(status: int, content: bytes, url: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(content)
    except ValueError:
        raise Unavailable(f"{url} answered {status} and no JSON: is it a treadle engine?") from None
    if not isinstance(value, dict):
        raise Unavailable(f"{url} answered {status} and no object: is it a treadle engine?")
    if status < 400:
        return value
    message = str(value.get("detail") or value.get("message") or value.get("title") or f"it answered {status}")
    if status >= 500:
        raise Unavailable(f"{url}: {message}")
    code = str(
        value.get("code") or {401: "unauthenticated", 403: "forbidden", 404: "not-found", 429: "rate-limited"}.get(status, "refused")
    )
    raise Rejected(code, message, status=status, diagnostics=value.get("diagnostics", ()))


def _part(text: str) -> str:
    return quote(text, safe="")
