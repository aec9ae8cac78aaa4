"""The attempts of a step that failed before the one that counts: kept with its item, so that its history can tell of each.

They travel from claim to claim and into the fact, in writes that are done anyway. A step that never failed carries nothing; of
many failures the latest are kept, as much as leaves an item within its write unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.model import Json
from ..ports import Item
from .items import decode, encode, error_of

if TYPE_CHECKING:
    from .claims import Claim

MOST_BYTES = 600  # of all of them together, as JSON
MOST_TEXT = 160  # characters of a message


@dataclass(frozen=True, slots=True)
class Try:
    """`number` as users count attempts; times in ms."""

    number: int
    failed_at: int
    name: str
    message: str


def remembered(claim: Claim, standing: Item) -> Claim:
    """The claim with the failure that its item stands for, if it does."""
    error = error_of(standing.get("error"))
    if error is None or "failed_at" not in standing:
        return claim
    message = error.message if len(error.message) <= MOST_TEXT else error.message[: MOST_TEXT - 1] + "…"
    latest: list[Json] = [standing["attempt"] - standing.get("base", 0), standing["failed_at"], error.name[:MOST_TEXT], message]
    rows = [*_rows(claim.failed), latest]
    while len(rows) > 1 and len(encode(rows).encode()) > MOST_BYTES:
        del rows[0]
    return replace(claim, failed=encode(rows))


def tries_of(item: Item) -> list[Try]:
    """Of a step's item, the earliest first. The one that a fact ended with is the fact's own error, and not among them."""
    found = [Try(*row) for row in _rows(item.get("failed"))]
    error = error_of(item.get("error"))
    if error is not None and "failed_at" in item:
        found.append(Try(item["attempt"] - item.get("base", 0), item["failed_at"], error.name, error.message))
    return found


def _rows(text: str | None) -> list[list[Json]]:
    rows: list[list[Json]] = decode(text) if text else []
    return rows
