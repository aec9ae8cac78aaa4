"""The task `http`, against servers on this machine: what it gives, what its errors are called, and that it cannot be led astray."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from treadle.core.errors import TaskError
from treadle.tasks import Allowed
from treadle.tasks.http import MAX_BYTES, Http

from tests.tasks.servers import LOOPBACK, Asked, Certified, Reply, certificate, in_json, serving

HOST = "api.example.com"
GZIPPED = gzip.compress(b"0" * 50_000_000, 1)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certificate(HOST, tmp_path_factory.mktemp("tls"))


def task_for(*hosts: str, addresses: dict[str, list[str]] | None = None, networks: tuple[str, ...] = LOOPBACK) -> Http:
    """Every name leads to this machine, but for `addresses`."""
    return Http(Allowed(hosts=hosts, networks=networks), resolve=lambda host, port: (addresses or {}).get(host, ["127.0.0.1"]))


def get(reply: Callable[[Asked], Reply | bytes], path: str = "/", **given: Any) -> tuple[Any, list[Asked]]:
    with serving(reply) as server:
        output = task_for(f"{HOST}:{server.port}")({"url": f"http://{HOST}:{server.port}{path}", **given})
        return output, server.asked


def failure(reply: Callable[[Asked], Reply | bytes], path: str = "/", **given: Any) -> TaskError:
    with pytest.raises(TaskError) as failed:
        get(reply, path, **given)
    return failed.value


def refused(given: Any, task: Http | None = None) -> TaskError:
    with pytest.raises(TaskError) as failed:
        (task or task_for("*"))(given)
    return failed.value


# ------------------------------------------------------------------------------------------------ what it gives


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        pytest.param(in_json({"a": [1, 2.5, None, "é"]}), {"a": [1, 2.5, None, "é"]}, id="JSON"),
        pytest.param(Reply(200, {"content-type": "application/problem+json; charset=utf-8"}, b"[1]"), [1], id="JSON of another name"),
        pytest.param(Reply(200, {"content-type": "application/json"}, b"{oops"), "{oops", id="JSON that is none"),
        pytest.param(Reply(200, {"content-type": "text/plain"}, "grüß".encode()), "grüß", id="text"),
        pytest.param(Reply(200, {"content-type": "image/png"}, b"\x89PNG\xff"), {"base64": "iVBOR/8="}, id="bytes"),
        pytest.param(Reply(200), None, id="nothing"),
        pytest.param(
            Reply(200, {"content-type": "application/json", "content-encoding": "gzip"}, GZIPPED),
            {"base64": base64.b64encode(GZIPPED).decode()},
            id="packed although nobody asked for it: it is not blown up",
        ),
    ],
)
def test_the_body_as_it_is_meant(reply: Reply, body: Any) -> None:
    output, _ = get(lambda asked: reply)
    assert (output["status"], output["body"]) == (200, body)


def test_headers_in_lower_case() -> None:
    output, _ = get(lambda asked: Reply(200, {"X-One": "1"}))
    assert output["headers"]["x-one"] == "1"


def test_what_is_sent() -> None:
    _, (asked,) = get(lambda asked: Reply(), "/v1/pay?x=1&y=a%20b#part", method="post", headers={"X-Key": "k", "X-N": 3}, body={"n": 1})
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/v1/pay?x=1&y=a%20b", {"n": 1})
    assert asked.headers["host"].startswith(f"{HOST}:")
    assert {name: asked.headers[name] for name in ("x-key", "x-n", "content-type", "accept-encoding", "connection")} == {
        "x-key": "k",
        "x-n": "3",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "connection": "close",
    }


@pytest.mark.parametrize(
    ("body", "headers", "sent", "kind"),
    [
        pytest.param("a=1", {}, b"a=1", "text/plain; charset=utf-8", id="text"),
        pytest.param(
            "a=1", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", "application/x-www-form-urlencoded", id="a form"
        ),
        pytest.param([1], {}, b"[1]", "application/json", id="a list"),
        pytest.param(False, {}, b"false", "application/json", id="a boolean"),
    ],
)
def test_bodies(body: Any, headers: dict[str, str], sent: bytes, kind: str) -> None:
    _, (asked,) = get(lambda asked: Reply(), method="PUT", headers=headers, body=body)
    assert (asked.body, asked.headers["content-type"]) == (sent, kind)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method(method: str) -> None:
    output, (asked,) = get(lambda asked: in_json({}), method=method)
    assert (asked.method, output["status"]) == (method, 200)


# ------------------------------------------------------------------------------------------------ statuses


@pytest.mark.parametrize(
    ("status", "name", "permanent"),
    [
        (429, "Throttled", False),
        (500, "HttpError", False),
        (502, "HttpError", False),
        (503, "HttpError", False),
        (400, "HttpError", True),
        (404, "HttpError", True),
        (408, "HttpError", False),
        (304, "HttpError", True),
    ],
)
def test_a_status_nobody_expected(status: int, name: str, permanent: bool) -> None:
    failed = failure(lambda asked: Reply(status, {"retry-after": "7"}, b"" if status == 304 else b"busy"))
    assert (failed.name, failed.permanent, failed.details["status"], failed.details["retryAfter"]) == (name, permanent, status, "7")


@pytest.mark.parametrize("status", [404, 429, 500, 302])
def test_one_that_was_expected_is_a_result(status: int) -> None:
    output, _ = get(lambda asked: Reply(status, {"location": "/elsewhere"}), expect=[200, status])
    assert output["status"] == status


def test_expecting_is_exact() -> None:
    assert failure(lambda asked: Reply(201), expect=[200]).name == "HttpError"


def test_what_was_sent_as_a_credential_is_not_in_the_error() -> None:
    failed = failure(
        lambda asked: Reply(500, {}, f"you sent {asked.headers['authorization']} and {asked.headers['x-key']}".encode()),
        headers={"Authorization": "Bearer canary-1", "X-Key": "canary-2"},
    )
    assert "canary" not in repr((failed.message, failed.details))


# ------------------------------------------------------------------------------------------------ what is refused


BAD_URLS = [
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "example.com",
    "http://",
    "http:///x",
    "http://user:secret@example.com/",
    "http://example.com@evil.example/",
    "http://example.com/a b",
    "http://example.com/\r\nX: 1",
    "http://example.com/\x00",
    "http://example.com\\@evil.example/",
    "http://exämple.com/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:x/",
    "http://[fe80::1%25eth0]/",
    "http://[::1",
    "http://ex%61mple.com/",
    "http://example.com/" + "a" * 9000,
    7,
    None,
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_none(url: Any) -> None:
    failed = refused({"url": url})
    assert (failed.name, failed.permanent) == ("InputInvalid", True)
    assert "secret" not in failed.message


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nHost: evil"},
        {"X": "a\nb"},
        {"X": "a\x00b"},
        {"X\r\nY": "1"},
        {"X Y": "1"},
        {"": "1"},
        {"X:": "1"},
        {"Host": "evil.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "keep-alive"},
        {"Proxy-Authorization": "x"},
        {"Expect": "100-continue"},
        {"Upgrade": "h2c"},
        {"TE": "trailers"},
        {"A": "1", "a": "2"},
        {"X": None},
        {"X": ["1"]},
        {"X": True},
        {"X": "€"},
        "X: 1",
    ],
)
def test_headers_that_cannot_be_sent(headers: Any) -> None:
    assert refused({"url": "http://example.com/", "headers": headers}).name == "InputInvalid"


@pytest.mark.parametrize(
    "given",
    [
        "http://example.com/",
        {},
        {"url": "http://example.com/", "proxy": "http://evil"},
        {"url": "http://example.com/", "method": "CONNECT"},
        {"url": "http://example.com/", "method": "GET /x HTTP/1.1\r\n"},
        {"url": "http://example.com/", "method": 1},
        {"url": "http://example.com/", "timeout": 0},
        {"url": "http://example.com/", "timeout": "1h"},
        {"url": "http://example.com/", "timeout": "soon"},
        {"url": "http://example.com/", "timeout": True},
        {"url": "http://example.com/", "expect": 200},
        {"url": "http://example.com/", "expect": ["200"]},
        {"url": "http://example.com/", "expect": [True]},
        {"url": "http://example.com/", "expect": [99]},
    ],
)
def test_input_that_does_not_fit(given: Any) -> None:
    assert refused(given).name == "InputInvalid"


def test_a_body_that_is_too_large() -> None:
    assert refused({"url": "http://example.com/", "body": "x" * (MAX_BYTES + 1)}).name == "PayloadTooLarge"


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        pytest.param((), "https://example.com/", id="nothing is allowed by default"),
        pytest.param(("api.example.com",), "https://example.com/", id="another name"),
        pytest.param(("*.example.com",), "https://example.com/", id="the domain itself"),
        pytest.param(("*.example.com",), "https://badexample.com/", id="a name that ends alike"),
        pytest.param(("example.com",), "https://example.com.evil.net/", id="a name that begins alike"),
        pytest.param(("example.com",), "http://example.com:8080/", id="a port that is not the web's"),
        pytest.param(("*",), "http://example.com:22/", id="any host is not any port"),
        pytest.param(("example.com:8443",), "https://example.com/", id="one port is not the others"),
        pytest.param(("example.com",), "https://xn--exmple-cua.com/", id="a name that only looks alike"),
        pytest.param(("example.com",), "https://example.com../", id="two dots at the end"),
        pytest.param(("*.example.com",), "https://.example.com/", id="a name without its first part"),
    ],
)
def test_a_host_that_is_not_on_the_list(hosts: tuple[str, ...], url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("nobody asks for its address")

    failed = refused({"url": url}, Http(Allowed(hosts=hosts), resolve=resolve))
    assert (failed.name, failed.permanent) == ("NotAllowed", True)


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("example.com", "example.com", 443),
        ("Example.COM", "example.com", 80),
        ("*.example.com", "a.example.com", 443),
        ("*.example.com", "a.b.example.com", 443),
        ("example.com:8443", "example.com", 8443),
        ("*:8080", "example.com", 8080),
        ("*", "example.com", 80),
        ("[::1]:8080", "::1", 8080),
        ("[::1]", "::1", 80),
    ],
)
def test_a_host_that_is_on_the_list(entry: str, host: str, port: int) -> None:
    assert Allowed(hosts=(entry,)).has_host(host, port)


@pytest.mark.parametrize("host", ["EXAMPLE.com", "example.com."])
def test_a_name_is_the_same_however_it_is_written(host: str) -> None:
    with serving(lambda asked: Reply()) as server:
        assert task_for(f"example.com:{server.port}")({"url": f"http://{host}:{server.port}/"})["status"] == 200


# ------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "::ffff:169.254.169.254", "fd00:ec2::254"])
@pytest.mark.parametrize("others", [[], ["93.184.216.34"]], ids=["alone", "beside a public one"])
def test_a_name_that_leads_inside(address: str, others: list[str]) -> None:
    failed = refused({"url": f"https://{HOST}/"}, task_for("*", addresses={HOST: [*others, address]}, networks=()))
    assert (failed.name, failed.permanent) == ("AddressRefused", True)


@pytest.mark.parametrize(
    "written",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "127.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
    ],
)
def test_an_address_however_it_is_written(written: str) -> None:
    assert refused({"url": f"http://{written}/"}, Http(Allowed(hosts=("*",)))).name == "AddressRefused"


def test_the_name_is_resolved_once_and_the_connection_goes_to_what_was_checked() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with serving(lambda asked: Reply()) as server:
        task = Http(Allowed(hosts=(f"*:{server.port}",), networks=LOOPBACK), resolve=lambda host, port: next(answers))
        assert task({"url": f"http://rebinds.example:{server.port}/"})["status"] == 200
        assert server.asked[0].headers["host"] == f"rebinds.example:{server.port}"


def test_the_next_address_when_one_does_not_answer() -> None:
    with serving(lambda asked: Reply()) as server:
        task = task_for("*", f"{HOST}:{server.port}", addresses={HOST: ["127.0.0.2", "127.0.0.1"]})
        assert task({"url": f"http://{HOST}:{server.port}/", "timeout": 5})["status"] == 200


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    output, _ = get(lambda asked: Reply())
    assert output["status"] == 200


# ------------------------------------------------------------------------------------------------ redirects


def to(place: str, status: int = 302) -> Callable[[Asked], Reply]:
    return lambda asked: Reply(status, {"location": place}) if asked.path == "/" else in_json({"path": asked.path})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int) -> None:
    output, asked = get(to("/there", status), headers={"Authorization": "Bearer k"})
    assert (output["body"], asked[1].headers["authorization"]) == ({"path": "/there"}, "Bearer k")


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (303, "PUT", "GET", b""),
        (307, "POST", "POST", b"[1]"),
        (308, "PUT", "PUT", b"[1]"),
    ],
)
def test_what_becomes_of_the_method(status: int, method: str, then: str, body: bytes) -> None:
    _, asked = get(to("/there", status), method=method, body=[1])
    assert (asked[1].method, asked[1].body) == (then, body)


def test_three_redirects_and_no_more() -> None:
    def count(asked: Asked) -> Reply:
        return Reply(302, {"location": f"/{int(asked.path[1:] or 0) + 1}"}) if asked.path != "/3" else in_json("there")

    output, asked = get(count)
    assert (output["body"], len(asked)) == ("there", 4)
    assert failure(lambda asked: Reply(302, {"location": "/"})).name == "HttpError"


def test_nothing_that_may_be_a_credential_goes_to_another_origin() -> None:
    sent = {"Authorization": "Bearer k", "Cookie": "a=1", "X-Api-Key": "k", "Accept": "text/html"}
    with serving(lambda asked: Reply()) as other:
        place = f"http://other.example:{other.port}/"
        with serving(lambda asked: Reply(302, {"location": place})) as server:
            task_for("*", f"*:{server.port}", f"*:{other.port}")({"url": f"http://{HOST}:{server.port}/", "headers": sent})
        (asked,) = other.asked
    assert asked.headers["accept"] == "text/html"
    assert not {"authorization", "cookie", "x-api-key"} & set(asked.headers)


def test_a_body_goes_to_no_other_origin() -> None:
    with serving(lambda asked: Reply(307, {"location": "http://other.example/"})) as server:
        failed = refused({"url": f"http://{HOST}:{server.port}/", "method": "POST", "body": 1}, task_for("*", f"*:{server.port}"))
    assert failed.name == "HttpError"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param("http://169.254.169.254/latest/meta-data/", "AddressRefused", id="metadata"),
        pytest.param("http://[::1]/", "AddressRefused", id="this machine"),
        pytest.param("http://inside.example/", "AddressRefused", id="a name that leads inside"),
        pytest.param("http://other.example:22/", "NotAllowed", id="a port that is not allowed"),
        pytest.param("file:///etc/passwd", "HttpError", id="a file"),
        pytest.param("http://user:pw@other.example/", "HttpError", id="with a password"),
        pytest.param("http://other.example/\x01", "HttpError", id="no address"),
    ],
)
def test_a_redirect_is_checked_like_any_request(place: str, name: str) -> None:
    with serving(lambda asked: Reply(302, {"location": place})) as server:
        addresses = {"inside.example": ["10.0.0.1"], "169.254.169.254": ["169.254.169.254"], "::1": ["::1"]}
        task = task_for("*", f"{HOST}:{server.port}", addresses=addresses, networks=("127.0.0.0/8",))
        assert refused({"url": f"http://{HOST}:{server.port}/"}, task).name == name


# ------------------------------------------------------------------------------------------------ bounds


def test_an_answer_that_is_too_large() -> None:
    assert failure(lambda asked: Reply(200, {}, b"x" * (MAX_BYTES + 1))).name == "PayloadTooLarge"


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "HttpError", id="it ends early"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "HttpError", id="a chunk ends early"),
        pytest.param(b"no HTTP\r\n\r\n", "HttpError", id="no HTTP"),
        pytest.param(b"", "HttpError", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 200 + b"\r\n", "HttpError", id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"1" * 70_000 + b"\r\n\r\n", "HttpError", id="a header without end"),
    ],
)
def test_answers_that_are_none(answer: bytes, name: str) -> None:
    assert failure(lambda asked: answer).name == name


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert refused({"url": f"http://{HOST}:{port}/"}, task_for(f"*:{port}")).name == "HttpError"


def test_no_such_name() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror("unknown")

    failed = refused({"url": f"http://{HOST}/"}, Http(Allowed(hosts=("*",)), resolve=resolve))
    assert (failed.name, failed.permanent) == ("HttpError", False)


def test_a_name_server_that_does_not_answer() -> None:
    never = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        never.wait(60)
        return []

    assert refused({"url": f"http://{HOST}/", "timeout": "100ms"}, Http(Allowed(hosts=("*",)), resolve=resolve)).name == "Timeout"
    never.set()


def test_a_server_that_says_nothing() -> None:
    never = threading.Event()

    def reply(asked: Asked) -> Reply:
        never.wait(60)
        return Reply()

    with serving(reply) as server:
        failed = refused({"url": f"http://{HOST}:{server.port}/", "timeout": 0.2}, task_for(f"*:{server.port}"))
        never.set()
    assert failed.name == "Timeout"


@pytest.mark.parametrize("drop", [b"x", b"HTTP/1.1 200 OK\r\n\r\nx"], ids=["within its head", "within its body"])
def test_a_server_that_sends_one_byte_at_a_time(drop: bytes) -> None:
    """Each call is within its own timeout; the whole is not."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(drop)
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        failed = refused({"url": f"http://{HOST}:{port}/", "timeout": 0.3}, task_for(f"*:{port}"))
        stop.set()
        thread.join()
    assert failed.name == "Timeout"


# ------------------------------------------------------------------------------------------------ TLS


def test_the_certificate_is_that_of_the_name_not_of_the_address(certified: Certified) -> None:
    with serving(lambda asked: in_json("safe"), tls=certified.server) as server:
        task = Http(Allowed(hosts=(f"*:{server.port}",), networks=LOOPBACK), resolve=lambda host, port: ["127.0.0.1"], tls=certified.client)
        assert task({"url": f"https://{HOST}:{server.port}/"})["body"] == "safe"
        failed = refused({"url": f"https://other.example.com:{server.port}/"}, task)
    assert (failed.name, failed.permanent) == ("HttpError", True)


def test_a_certificate_of_nobody_known(certified: Certified) -> None:
    with serving(lambda asked: in_json("safe"), tls=certified.server) as server:
        assert refused({"url": f"https://{HOST}:{server.port}/"}, task_for(f"*:{server.port}")).permanent


def test_a_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert refused({"url": f"https://{HOST}:{port}/", "timeout": 0.2}, task_for(f"*:{port}")).name == "Timeout"


def test_not_from_https_to_http(certified: Certified) -> None:
    with serving(lambda asked: Reply(302, {"location": f"http://{HOST}/"}), tls=certified.server) as server:
        hosts = (HOST, f"*:{server.port}")
        task = Http(Allowed(hosts=hosts, networks=LOOPBACK), resolve=lambda host, port: ["127.0.0.1"], tls=certified.client)
        assert "https to http" in refused({"url": f"https://{HOST}:{server.port}/"}, task).message
