"""The order's tasks. They call no shop, card or carrier; each says where a real one would."""

from __future__ import annotations

import hashlib
from typing import Any

from treadle import TaskContext, TaskError, task

STOCK = {"lamp": 12, "chair": 4, "desk": 1, "plant": 30}


@task
def price_order(items: list[dict[str, Any]]) -> dict[str, Any]:
    cents = sum(item["quantity"] * item["cents"] for item in items)
    return {"cents": cents, "text": f"{cents / 100:.2f} EUR"}


@task
def reserve_item(wanted: dict[str, Any]) -> dict[str, Any]:
    """A real one would tell the warehouse, with the idempotency key, so that a second delivery reserves nothing twice."""
    in_stock = STOCK.get(wanted["sku"], 0)
    if wanted["quantity"] > in_stock:
        raise TaskError("OutOfStock", f"{wanted['quantity']} of {wanted['sku']} wanted, {in_stock} there", permanent=True)
    return {"sku": wanted["sku"], "shelf": f"{wanted['sku'][0].upper()}{in_stock:02d}"}


@task
def charge_card(order: dict[str, Any], context: TaskContext) -> dict[str, str]:
    """The payment's id comes from the idempotency key: however often this runs, it is the same payment."""
    return {"payment": "pay-" + hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:8]}


@task
def print_note(note: dict[str, str]) -> str:
    return f"* {note['text']} *"


@task
def book_carrier(parcel: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Busy twice, as carriers are."""
    if context.attempt < 3:
        raise TaskError("CarrierBusy", f"no van free (attempt {context.attempt})")
    return {"tracking": f"TR-{len(parcel['parcels']):03d}", "attempts": context.attempt}
