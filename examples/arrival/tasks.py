"""Reads from a shelf that stands for the bucket: a real task would call S3."""

from __future__ import annotations

import csv
from typing import Any

from treadle import TaskError, task

SHELF = {
    "prices/spring.csv": "sku,cents\nlamp,1990\nchair,4900\ndesk,free\nplant,590\nrug,2990\n",
    "prices/empty.csv": "",
}


@task
def read_rows(file: dict[str, str]) -> list[dict[str, str]]:
    if file["key"] not in SHELF:
        raise TaskError("NotThere", f"{file['key']} is gone", permanent=True)
    rows = list(csv.DictReader(SHELF[file["key"]].splitlines()))
    if not rows:
        raise TaskError("Unreadable", f"{file['key']} has no rows", permanent=True)
    return rows


@task
def check_row(row: dict[str, str]) -> dict[str, Any]:
    return {"sku": row["sku"], "cents": int(row["cents"])}


@task
def load(rows: list[dict[str, Any]]) -> int:
    return len(rows)


@task
def set_aside(file: dict[str, str]) -> str:
    return f"{file['key']}: {file['because']}"
