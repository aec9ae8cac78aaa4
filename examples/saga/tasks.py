"""Two suppliers and a bank that agree to everything up to the budget. Each answers the same however often it is asked."""

from __future__ import annotations

from typing import Any

from treadle import TaskContext, TaskError, task


@task
def book_flight(wanted: dict[str, str]) -> dict[str, Any]:
    return {"booking": f"flight-{wanted['to'].lower()}", "cents": 19_900}


@task
def book_hotel(wanted: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Busy at first: the workflow's default policy tries again."""
    if context.attempt == 1:
        raise TaskError("SupplierBusy", "call again")
    return {"booking": f"hotel-{wanted['to'].lower()}", "cents": wanted["nights"] * 8_000}


@task(permanent=("OverBudget",))
def pay(bill: dict[str, Any]) -> dict[str, int]:
    if bill["cents"] > bill["budget"]:
        raise TaskError("OverBudget", f"{bill['cents']} cents are more than {bill['budget']}")
    return {"cents": bill["cents"]}


@task
def give_back(booking: dict[str, str]) -> str:
    return f"{booking['booking']} given back: {booking['because']}"
