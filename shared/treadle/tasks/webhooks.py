"""One webhook, as Standard Webhooks has it (standardwebhooks.com): a signed POST to an address that the deployment names.

It goes where the task `http` may go, by the same checks: a public address or one of the networks that are allowed, of a host that
was resolved once. A redirect is not followed: whoever moves says so in the configuration.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from ssl import SSLContext
from typing import Final

from ..core.errors import TaskError
from .allowed import Allowed
from .http import Http, Resolve, resolve
from .web_request import Request, read_url

TIMEOUT_S: Final = 10.0
PREFIX: Final = "whsec_"
GONE: Final = 410


class NoSigningSecret(ValueError):
    """What was found under the secret's name signs nothing."""


class Webhooks:
    """`networks`: not public, and may be reached all the same (`integration.allow.networks`). `resolve`, `tls`: as of `Http`."""

    def __init__(self, networks: Sequence[str] = (), *, resolve: Resolve = resolve, tls: SSLContext | None = None) -> None:
        self._networks = tuple(networks)
        self._resolve = resolve
        self._tls = tls

    def post(self, url: str, secret: str, message_id: str, time_ms: int, body: bytes) -> int:
        """The status of the answer. Raises TaskError where there is none, NoSigningSecret."""
        target = read_url(url)
        sent_at = time_ms // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": signatures(secret, message_id, sent_at, body),
        }
        host = f"[{target.host}]" if ":" in target.host else target.host
        http = Http(Allowed(hosts=(f"{host}:{target.port}",), networks=self._networks), resolve=self._resolve, tls=self._tls)
        return http.once(Request(url, target, "POST", headers, body, (), TIMEOUT_S), time.monotonic() + TIMEOUT_S).status


def signatures(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. Of several secrets, with a space between them, each signs: so a new
    one can be made known before the old one goes. Raises NoSigningSecret."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    keys = [_key(each) for each in secret.split()]
    if not keys:
        raise NoSigningSecret("it is empty")
    return " ".join("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) < 24:
        raise NoSigningSecret(f"a signing secret is {PREFIX} and base64 of at least 24 bytes")
    return key


def unfit(url: str) -> str | None:
    """Why this is no address for webhooks; None: it is one."""
    try:
        target = read_url(url)
    except TaskError as fault:
        return fault.message.removeprefix("http: ")
    is_here = target.host in ("localhost", "127.0.0.1", "::1")
    return None if target.scheme == "https" or is_here else "a webhook goes to an https address"
