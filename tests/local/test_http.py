"""What API Gateway does: an event of a request, a checked token, an answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from treadle.auth import DevelopmentKey
from treadle.local.http import MOST_BYTES, HttpServer

KEY = DevelopmentKey()


class Api:
    """A handler that answers with the event it was given; 401 to requests without claims, as the guarded addresses do."""

    def __init__(self) -> None:
        self.server = HttpServer(self.handle, KEY.verifier)

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["rawPath"] == "/boom":
            raise LookupError("boom")
        is_open = event["rawPath"] == "/open"
        status = 200 if is_open or event["requestContext"].get("authorizer") else 401
        return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(content) if content else None


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    it = Api()
    with it.server:
        yield it


def bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {KEY.token(**claims)}"}


def test_a_request_becomes_an_event(api: Api) -> None:
    status, _, event = api.ask("POST", "/v1/runs?a=1&a=2&b=%20x", b'{"n": 1}', **bearer(), **{"Content-Type": "application/json"})
    assert status == 200
    assert (event["rawPath"], event["rawQueryString"]) == ("/v1/runs", "a=1&a=2&b=%20x")
    assert event["queryStringParameters"] == {"a": "1,2", "b": " x"}
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["headers"]["content-type"] == "application/json"
    assert event["body"] == '{"n": 1}'
    assert event["isBase64Encoded"] is False


def test_claims_of_a_valid_token_are_passed_on(api: Api) -> None:
    _, _, event = api.ask("GET", "/", **bearer(subject="ann"))
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("ann", "local", "[admin]")


@pytest.mark.parametrize("token", ["Bearer x", "Basic eDp5", f"Bearer {DevelopmentKey().token()}", f"Bearer {KEY.token(lifetime_s=-3600)}"])
def test_a_bad_token_is_refused_at_guarded_addresses_and_ignored_at_open_ones(api: Api, token: str) -> None:
    status, headers, problem = api.ask("GET", "/", authorization=token)
    assert (status, problem["code"], headers["content-type"]) == (401, "unauthenticated", "application/problem+json")
    assert api.ask("GET", "/open", authorization=token)[0] == 200


def test_a_body_that_is_not_text_is_passed_in_base64(api: Api) -> None:
    _, _, event = api.ask("POST", "/open", b"\xff\xfe")
    assert (event["body"], event["isBase64Encoded"]) == ("//4=", True)


def test_a_body_over_the_limit_is_refused_before_it_is_read(api: Api) -> None:
    connection = http.client.HTTPConnection(api.server.url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/open")
    connection.putheader("content-length", str(MOST_BYTES + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "payload-too-large")


def test_a_head_has_no_body(api: Api) -> None:
    status, headers, content = api.ask("HEAD", "/open")
    assert (status, content) == (200, None)
    assert int(headers["content-length"]) > 0


def test_a_fault_tells_no_details(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, problem = api.ask("GET", "/boom")
    assert (status, problem["code"]) == (500, "internal")
    assert "boom" not in json.dumps(problem)
    assert "LookupError: boom" in capsys.readouterr().err
