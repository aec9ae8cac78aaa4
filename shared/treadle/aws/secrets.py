"""Secrets in Secrets Manager: `ports.Secrets`. One secret each, `STACK/TENANT/NAME`: a tenant's definitions can name no other's.

What was read is kept in the process for FRESH_S. Whoever asks anew, because an attempt with it failed, gets it read again: a
rotation may have been why. What is missing is asked for each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ..core.errors import NotFound, Rejected, Unavailable
from .calls import ask, code_of

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

FRESH_S = 300.0
ANEW_S = 1.0  # many items of a loop that are tried again at once share one reading
MOST_KEPT = 1000


class AwsSecrets:
    """`prefix`: the stack's name. `now`: seconds of a clock that never goes back."""

    def __init__(self, client: SecretsManagerClient, prefix: str, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._prefix = prefix
        self._now = now
        self._kept: dict[str, tuple[str, float]] = {}  # by whole name: (text, when it was read)

    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        whole = f"{self._prefix}/{tenant}/{name}"
        text, read_at = self._kept.get(whole, ("", float("-inf")))
        if self._now() - read_at > (ANEW_S if anew else FRESH_S):
            text = self._read(whole, name)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[whole] = (text, self._now())
        return text

    def _read(self, whole: str, name: str) -> str:
        self._kept.pop(whole, None)
        try:
            found = ask(self._client.get_secret_value, SecretId=whole)
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                raise _missing(whole, name) from None
            why = error.response.get("Error", {}).get("Message", "")
            raise Rejected("secret-refused", f"Secrets Manager does not give {whole}: {code_of(error)}: {why}") from None
        except ValueError:  # a name that it cannot have
            raise _missing(whole, name) from None
        if "SecretString" not in found:
            raise Rejected("secret-refused", f"{whole} in Secrets Manager holds bytes, not a text")
        return str(found["SecretString"])


def list_names(prefix: str) -> list[str]:
    """TENANT/NAME of the secrets of a stack, with the caller's own credentials. Raises Unavailable."""
    import boto3

    try:
        pages = boto3.client("secretsmanager").get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [f"{prefix}/"]}])
        found = [str(secret["Name"]) for page in pages for secret in page["SecretList"]]
    except (ClientError, BotoCoreError) as error:
        raise Unavailable(f"Secrets Manager: {error}") from error
    return sorted(name.removeprefix(f"{prefix}/") for name in found if name.startswith(f"{prefix}/"))


def _missing(whole: str, name: str) -> NotFound:
    return NotFound("secret", name, f"Secrets Manager has no {whole}")
