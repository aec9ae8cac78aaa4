"""Secrets on this machine: those that were given, else the local account's Secrets Manager, by the deployed engine's own adapter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import NotFound
from ..ports import Secrets

Values = Mapping[str, str | Mapping[str, Any]]  # by name; a map is kept as Secrets Manager's console keeps one

VARIABLE = "TREADLE_SECRET_"  # `TREADLE_SECRET_API_KEY` is `secrets.API_KEY`
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+=-]*")


def texts(values: Values) -> dict[str, str]:
    """Raises ValueError for what cannot be a secret; the sentence does not show the value."""
    return {name: _text(name, value) for name, value in values.items()}


class GivenSecrets:
    def __init__(self, given: Mapping[str, str], otherwise: Secrets) -> None:
        self._texts = given
        self._otherwise = otherwise

    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        if name in self._texts:
            return self._texts[name]
        try:
            return self._otherwise.get(tenant, name, anew=anew)
        except NotFound:
            raise NotFound("secret", name, f"give it by --secrets FILE, {VARIABLE}{name} or LocalEngine(secrets=...)") from None


def _text(name: Any, value: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a secret: letters, digits and `_`")
    if isinstance(value, Mapping):
        return json.dumps(value)
    if not isinstance(value, str):
        raise ValueError(f"the secret {name} is neither a text nor a map: write it in quotes")
    return value


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    found = {name.removeprefix(VARIABLE): value for name, value in environment.items() if name.startswith(VARIABLE)}
    return {name: value for name, value in found.items() if _NAME.fullmatch(name)}
