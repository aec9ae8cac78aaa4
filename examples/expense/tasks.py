"""The ledger and the letter box."""

from __future__ import annotations

from typing import Any

from treadle import task


@task
def book(claim: dict[str, Any]) -> str:
    return f"{claim['cents']} for {claim['who']} ({claim['approvedBy']})"


@task
def tell(letter: dict[str, str]) -> str:
    return f"to {letter['who']}: {letter['text']}"
