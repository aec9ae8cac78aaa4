"""Figures per step and what they come to in dollars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .meter import RUNS, Tally
from .prices import LIST, Prices
from .rig import Rig
from .workloads import Workload, scaled

SMALL_RUNS_APART = ("audit", "rateLimit", "semaphores")


@dataclass(frozen=True, slots=True)
class Counted:
    """What `steps` steps in `runs` runs used. `apart`: what is not part of the figures per step. `largest`: bytes, by kind."""

    workload: str
    steps: int
    runs: int
    used: Tally
    apart: dict[str, Tally]
    largest: dict[str, int]

    def per_step(self) -> dict[str, float]:
        used = self.used
        totals = {
            "aws_calls": used.calls.total(),
            "dynamodb_wru": used.wru,
            "dynamodb_rru": used.rru,
            "sqs_requests": used.sqs_requests,
            "events": used.events,
            "lambda_invocations": used.invocations.total(),
            "lambda_gb_ms": used.gb_s * 1000,
            "s3_requests": used.s3_puts + used.s3_gets,
            "bytes_written": used.bytes_written,
        }
        return {name: _rounded(total / (self.steps * self.runs)) for name, total in totals.items()}

    def calls_per_run(self) -> dict[str, float]:
        return {name: _rounded(count / self.runs) for name, count in sorted(self.used.calls.items())}

    def usd_per_million_steps(self) -> float:
        return _rounded(dollars(self.used) * 1_000_000 / (self.steps * self.runs))

    def as_json(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "runs": self.runs,
            "per_step": self.per_step(),
            "usd_per_million_steps": self.usd_per_million_steps(),
            "usd_by": {name: _rounded(usd * 1_000_000 / (self.steps * self.runs)) for name, usd in bill(self.used).items()},
            "calls_per_run": self.calls_per_run(),
            "invocations_per_run": {name: _rounded(count / self.runs) for name, count in sorted(self.used.invocations.items())},
            "largest_bytes": dict(sorted(self.largest.items())),
            "apart": {name: _apart(tally) for name, tally in sorted(self.apart.items())},
        }


def bill(used: Tally, prices: Prices = LIST) -> dict[str, float]:
    """US dollars, by service."""
    million = 1_000_000
    return {
        "dynamodb": (used.wru * prices.write_units_million + used.rru * prices.read_units_million) / million,
        "sqs": used.sqs_requests * prices.sqs_requests_million / million,
        "events": used.events * prices.events_million / million,
        "lambda": used.invocations.total() * prices.invocations_million / million + used.gb_s * prices.gb_second,
        "s3": (used.s3_puts * prices.s3_puts_million + used.s3_gets * prices.s3_gets_million) / million,
    }


def dollars(used: Tally) -> float:
    return sum(bill(used).values())


def count(workload: Workload) -> Counted:
    """Run it on a cloud of its own. Raises Stuck if a run does not succeed."""
    with Rig() as rig:
        workflow = rig.register(workload.define())
        apart = dict(rig.meter.tallies)
        rig.meter.reset()
        runs = [_run(rig, workflow, workload) for _ in range(workload.runs)]
        largest = rig.meter.largest.sizes
        for run in runs:
            rig.must_have_succeeded(run)
        used = rig.meter.tallies[RUNS]
        apart |= {name: tally for name, tally in rig.meter.tallies.items() if name in SMALL_RUNS_APART}
    return Counted(workload.name, workload.steps, workload.runs, used, apart, largest)


def _run(rig: Rig, workflow: str, workload: Workload) -> str:
    run = rig.start(workflow, workload.given)
    rig.drain()
    return run


def scale(counts: Sequence[int], kinds: Sequence[str] = ("fan", "loop")) -> list[dict[str, Any]]:
    """The same work at several sizes: what a step costs at each."""
    return [_row(kind, n, count(scaled(kind, n))) for kind in kinds for n in counts]


def _row(kind: str, n: int, counted: Counted) -> dict[str, Any]:
    return {"workload": kind, "n": n, "per_step": counted.per_step(), "usd_per_million_steps": counted.usd_per_million_steps()}


def _apart(tally: Tally) -> dict[str, Any]:
    calls: Counter[str] = tally.calls
    return {"aws_calls": calls.total(), "dynamodb_wru": tally.wru, "dynamodb_rru": tally.rru, "usd": _rounded(dollars(tally))}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
