"""Worker pools, and what a step may ask of them: `2 vCPU`, `2 cores`, `512MB`, `2GB`; rates: `10/s`.

Law: which pool a step goes to is computed where a message is sent, from what the plan says that the step needs and from the
pools that there are now. It is written nowhere, so that a configuration may change under a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

MB_PER_CPU = 1769  # Lambda gives one vCPU for this much memory (AWS: "Configure Lambda function memory")
DEFAULT = "default"  # the pool that there always is
LAMBDA, FARGATE = "lambda", "fargate"

CPU = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:vCPUs?|cores?|CPUs?)", re.IGNORECASE | re.ASCII)
SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*(MB|MiB|GB|GiB|TB|TiB)", re.IGNORECASE | re.ASCII)
_RATE = re.compile(r"([0-9]{1,6})/([smh])", re.ASCII)
_UNIT_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
MOST_PER_UNIT = 10_000
HEADROOM = 1.25  # of memory above the most that a task was seen to have
ENOUGH = 20  # attempts that were looked at before a task is believed to need less than it is given
_MB = {"m": 1, "g": 1024, "t": 1024 * 1024}  # Lambda's megabytes are binary


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers of one size. `cpu` in vCPU, memory and storage in MB. `attempt_s`: how long a task may take there.
    `workers`: the most at a time, shared out among the pool's lanes; None: as many as the default pool has."""

    name: str
    cpu: float
    memory_mb: int
    storage_mb: int = 10_240
    kind: str = LAMBDA
    attempt_s: int = 60
    workers: int | None = None

    @classmethod
    def from_json(cls, name: str, given: Mapping[str, Any]) -> Pool:
        return cls(name, **given)

    def to_json(self) -> dict[str, Any]:
        told = {"cpu": self.cpu, "memory_mb": self.memory_mb, "storage_mb": self.storage_mb, "kind": self.kind, "attempt_s": self.attempt_s}
        return told if self.workers is None else {**told, "workers": self.workers}

    @property
    def size(self) -> tuple[bool, int, float, int]:
        """Pools in order of it are in order of what they cost: a Lambda before a container, then by memory."""
        return self.kind != LAMBDA, self.memory_mb, self.cpu, self.storage_mb

    def __str__(self) -> str:
        return f"{self.name} ({self.cpu:.3g} vCPU, {self.memory_mb}MB of memory, {self.storage_mb}MB of storage)"


@dataclass(frozen=True, slots=True)
class Needs:
    """What one attempt of a step needs: vCPU, MB, and how long it may take (ms; 0: it does not say)."""

    cpu: float = 0.0
    memory_mb: float = 0.0
    storage_mb: float = 0.0
    time_ms: int = 0

    @classmethod
    def of(cls, wanted: Mapping[str, Any], time_ms: int | None = None) -> Needs:
        """`wanted`: {cpu?, memory?, storage?}, as a definition says it. Raises ValueError."""
        cpu = parse_amount(wanted.get("cpu", "0 vCPU"), "cpu")
        memory = parse_amount(wanted.get("memory", "0MB"), "size")
        return cls(cpu, memory, parse_amount(wanted.get("storage", "0MB"), "size"), time_ms or 0)

    def fit(self, pool: Pool) -> bool:
        return pool.cpu >= self.cpu and pool.memory_mb >= self.memory_mb and pool.storage_mb >= self.storage_mb


def cpu_of(memory_mb: int) -> float:
    """What Lambda gives beside the memory: the sixth vCPU at 10,240 MB already, a little below the line."""
    return 6.0 if memory_mb == 10_240 else memory_mb / MB_PER_CPU


# What a Lambda may have: the sizes at which it gets another vCPU, and those below.
LAMBDA_SIZES = tuple(
    Pool(f"memory-{memory_mb}", cpu_of(memory_mb), memory_mb) for memory_mb in (256, 512, 1024, 1769, 3538, 5307, 7076, 8846, 10_240)
)
# 512 MB: at 256 the share of a core is so small that the two calls of a step take 12.5 ms, not 10 (docs/reference/performance.md)
DEFAULT_POOL = Pool(DEFAULT, cpu_of(512), 512, 512)


def parse_amount(text: str, unit: str) -> float:
    """vCPU for the unit `cpu`, MB for `size`. Raises ValueError."""
    if unit == "cpu":
        if match := CPU.fullmatch(text.strip()):
            return float(match[1])
        raise ValueError("processors are written as `2 vCPU` or `2 cores`")
    if match := SIZE.fullmatch(text.strip()):
        return float(match[1]) * _MB[match[2][0].lower()]
    raise ValueError("a size is written as `512MB` or `2GB`")


def parse_rate(text: str) -> int:
    """`10/s`, `30/m`, `100/h`: microseconds between two of them, rounded up. Raises ValueError."""
    match = _RATE.fullmatch(text)
    if match is None or not 0 < int(match[1]) <= MOST_PER_UNIT:
        raise ValueError(f"a rate is written as `10/s`, `30/m` or `100/h`, with 1 to {MOST_PER_UNIT}")
    return -(-_UNIT_US[match[2]] // int(match[1]))


def pools_of(given: Mapping[str, Mapping[str, Any]] | None) -> tuple[Pool, ...]:
    """The pools of a configuration, the default one always among them and first. None: nobody said; it is alone."""
    found = {name: Pool.from_json(name, each) for name, each in (given or {}).items()}
    return (found.pop(DEFAULT, DEFAULT_POOL), *sorted(found.values(), key=lambda pool: pool.size))


def smallest_pool(needs: Needs, pools: Sequence[Pool]) -> Pool | None:
    """The smallest that has as much and lets a task take as long; if none lets it, the smallest that has as much. None: none has."""
    fitting = sorted((pool for pool in pools if needs.fit(pool)), key=lambda pool: pool.size)
    return next((pool for pool in fitting if pool.attempt_s * 1000 >= needs.time_ms), fitting[0] if fitting else None)


def pool_for(needs: Needs, pools: Sequence[Pool]) -> Pool:
    """Where a step is sent. Where none fits any more (the pool it was checked for is gone) the largest does what it can."""
    return smallest_pool(needs, pools) or max(pools, key=lambda pool: pool.size)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a task was seen to need. `took_ms`: all its attempts that succeeded, `count` of them, together. `peak_mb`: the most that
    the worker had in the attempts that were looked at, `measured` of them."""

    count: int = 0
    took_ms: int = 0
    measured: int = 0
    peak_mb: int = 0

    def __add__(self, more: Seen) -> Seen:
        most = max(self.peak_mb, more.peak_mb)
        return Seen(self.count + more.count, self.took_ms + more.took_ms, self.measured + more.measured, most)

    @property
    def mean_ms(self) -> int | None:
        return round(self.took_ms / self.count) if self.count else None


def fitted(declared: Needs | None, seen: Seen | None, pools: Sequence[Pool], most_mb: float = float("inf")) -> Needs | None:
    """What a step needs by what its task was seen to need: never more memory than it declares, and less than what it would get
    anyway only after ENOUGH attempts. Processors and storage are as declared, and nobody's time becomes shorter. `most_mb`: of any step."""
    if seen is None or not seen.measured:
        return declared
    usual = pools[0] if declared is None else pool_for(declared, pools)
    needs = declared or Needs()
    memory = min(seen.peak_mb * HEADROOM, most_mb, needs.memory_mb or float("inf"))
    if seen.measured < ENOUGH:
        memory = max(memory, needs.memory_mb or usual.memory_mb)
    return replace(needs, memory_mb=memory, time_ms=needs.time_ms or usual.attempt_s * 1000)


def larger_pool(own: Pool, declared: Needs | None, pools: Sequence[Pool], most_mb: float = float("inf")) -> Pool | None:
    """Where a step goes that was too much for its worker's memory: the smallest pool with more of it. None: it may have no more."""
    needs = declared or Needs()
    most = pool_for(needs, pools).memory_mb if needs.memory_mb else most_mb
    larger = [
        pool for pool in pools if own.memory_mb < pool.memory_mb <= most and needs.cpu <= pool.cpu and needs.storage_mb <= pool.storage_mb
    ]
    return min(larger, key=lambda pool: pool.size, default=None)


def offered(given: Mapping[str, Mapping[str, Any]] | None, largest: Mapping[str, float]) -> tuple[Pool, ...]:
    """What `resources` may ask for: of the configured pools, or of what a Lambda may have where nobody configured any (a local
    engine). `largest`: cpu in vCPU, memory and storage in MB that nobody may ask for more of; what it does not name has no limit."""
    cpu, memory, storage = (largest.get(name, float("inf")) for name in ("cpu", "memory", "storage"))
    if given is None:
        fitting = [pool for pool in LAMBDA_SIZES if pool.cpu <= cpu and pool.memory_mb <= memory]
        return tuple(replace(pool, storage_mb=int(min(pool.storage_mb, storage))) for pool in fitting)
    return tuple(_at_most(pool, cpu, memory, storage) for pool in pools_of(given))


def _at_most(pool: Pool, cpu: float, memory: float, storage: float) -> Pool:
    within = {"cpu": min(pool.cpu, cpu), "memory_mb": int(min(pool.memory_mb, memory)), "storage_mb": int(min(pool.storage_mb, storage))}
    return replace(pool, **within)  # type: ignore[arg-type]  # each has its field's type
