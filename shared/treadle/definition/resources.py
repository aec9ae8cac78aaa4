"""Worker pools, and what a step may ask of them: `2 vCPU`, `2 cores`, `512MB`, `2GB`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

MB_PER_CPU = 1769  # Lambda gives one vCPU for this much memory (AWS: "Configure Lambda function memory")

_CPU = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:vCPUs?|cores?|CPUs?)", re.IGNORECASE | re.ASCII)
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*(MB|MiB|GB|GiB|TB|TiB)", re.IGNORECASE | re.ASCII)
_MB = {"m": 1, "g": 1024, "t": 1024 * 1024}  # Lambda's megabytes are binary


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers of one size. `cpu` in vCPU, the rest in MB."""

    name: str
    cpu: float
    memory_mb: int
    storage_mb: int = 10_240


def _of_memory(memory_mb: int) -> Pool:
    # AWS gives the sixth vCPU at 10,240 MB already, a little below the line
    return Pool(f"memory-{memory_mb}", 6.0 if memory_mb == 10_240 else memory_mb / MB_PER_CPU, memory_mb)


DEFAULT_POOLS = tuple(_of_memory(memory_mb) for memory_mb in (256, 512, 1024, 1769, 3538, 5307, 7076, 8846, 10_240))


def parse_amount(text: str, unit: str) -> float:
    """vCPU for the unit `cpu`, MB for `size`. Raises ValueError."""
    if unit == "cpu":
        if match := _CPU.fullmatch(text.strip()):
            return float(match[1])
        raise ValueError("processors are written as `2 vCPU` or `2 cores`")
    if match := _SIZE.fullmatch(text.strip()):
        return float(match[1]) * _MB[match[2][0].lower()]
    raise ValueError("a size is written as `512MB` or `2GB`")


def smallest_pool(wanted: Mapping[str, Any], pools: Sequence[Pool] = DEFAULT_POOLS) -> Pool | None:
    """The smallest pool (by memory) with at least `{cpu?, memory?, storage?}`; None if there is none. Raises ValueError."""
    cpu = parse_amount(wanted.get("cpu", "0 vCPU"), "cpu")
    memory = parse_amount(wanted.get("memory", "0MB"), "size")
    storage = parse_amount(wanted.get("storage", "0MB"), "size")
    fitting = [pool for pool in pools if pool.cpu >= cpu and pool.memory_mb >= memory and pool.storage_mb >= storage]
    return min(fitting, key=lambda pool: (pool.memory_mb, pool.cpu), default=None)


def pools_up_to(largest: Mapping[str, float], pools: Sequence[Pool] = DEFAULT_POOLS) -> tuple[Pool, ...]:
    """Those that do not exceed `largest`: `cpu` in vCPU, `memory` and `storage` in MB; what it does not name has no limit."""
    cpu, memory, storage = (largest.get(name, float("inf")) for name in ("cpu", "memory", "storage"))
    fitting = [pool for pool in pools if pool.cpu <= cpu and pool.memory_mb <= memory]
    return tuple(replace(pool, storage_mb=int(min(pool.storage_mb, storage))) for pool in fitting)
