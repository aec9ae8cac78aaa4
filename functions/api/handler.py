"""The HTTP API: one Lambda behind the gateway, which has verified the token and passes on its claims."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.api.app import answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event, wiring.current().operations)
