"""Which of the table's items are questions to people: a waiting step says so itself, by two attributes of the list index."""

from __future__ import annotations

from ..core.moments import rfc3339
from .run import Run


def inbox(tenant: str) -> str:
    """The partition of the list index; no workflow's id has a `#`."""
    return f"{tenant}##people"


def asks(run: Run, key: str, since: int) -> dict[str, str]:
    """Attributes of a step's item while it waits for a person. They go with the item when the answer is written."""
    return {"list_pk": inbox(run.tenant), "list_sk": f"{rfc3339(since)}#{run.id}#{key}"}
