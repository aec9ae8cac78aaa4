"""List prices, in US dollars, before any free tier. What is not used by a run (storage, the HTTP API, logs) is not in here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SOURCE = "https://aws.amazon.com/{dynamodb,sqs,eventbridge,lambda,s3}/pricing, us-east-1, on demand, Lambda on arm64"
DATE = "2026-11-01"


@dataclass(frozen=True, slots=True)
class Prices:
    """`_million`: for a million of them."""

    write_units_million: float = 0.625
    read_units_million: float = 0.125
    sqs_requests_million: float = 0.40
    events_million: float = 1.00
    invocations_million: float = 0.20
    gb_second: float = 0.0000133334
    s3_puts_million: float = 5.00
    s3_gets_million: float = 0.40


LIST = Prices()


def as_json() -> dict[str, Any]:
    return {"source": SOURCE, "date": DATE, "usd": asdict(LIST)}
