"""Adds up and writes a page; which remarks are on it, the workflow has decided."""

from __future__ import annotations

from typing import Any

from treadle import task


@task
def add_up(sales: list[float]) -> dict[str, float]:
    return {"total": float(sum(sales)), "smallest": float(min(sales))}


@task
def write_page(given: dict[str, Any]) -> str:
    remarks = [remark for remark in given["remarks"] if remark is not None]  # a step that was bypassed gives null
    return "\n".join([f"Week {given['week']}: {given['total']:g}", *remarks])
