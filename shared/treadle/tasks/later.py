"""Attempts that end later: the task hands a token to somebody outside, who calls back with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..core.errors import TreadleError


class Later:
    """What a task returns when its result comes by its callback."""

    def __repr__(self) -> str:
        return "LATER"


LATER: Final = Later()


@dataclass(frozen=True, slots=True)
class Callback:
    """`token` is the credential of this one attempt: whoever has it may end the step. It is good for one answer, and for heartbeats
    before it. `url`: where `/succeed`, `/fail` and `/heartbeat` are posted to; None where the engine has no HTTP API. Neither
    belongs into a log or a result: `repr` shows nothing of them."""

    token: str = field(repr=False)
    url: str | None = field(default=None, repr=False)


class Answered(TreadleError):
    """This attempt was answered before: by whoever an earlier worker, which was lost, had given a token to."""
