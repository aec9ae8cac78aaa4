"""Worker pools as the file says them: what may be said, and the pools that come of it.

The bounds are AWS's: "Lambda quotas" and "Task CPU and memory" of Fargate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..core.durations import parse_duration
from ..core.resources import DEFAULT, FARGATE, LAMBDA, Pool, cpu_of, parse_amount
from .model import WorkerPool

GB = 1024
MOST_POOLS = 8
LAMBDA_MEMORY, LAMBDA_STORAGE, LAMBDA_ATTEMPT_S = (256, 10_240), (512, 10_240), 840  # a minute of an invocation is not the task's
FARGATE_STORAGE, FARGATE_ATTEMPT_S = (20 * GB, 200 * GB), 11 * 3600  # SQS lets a message be in hand for twelve hours
USUAL_ATTEMPT_S = {LAMBDA: 60, FARGATE: 4 * 3600}
USUAL_WORKERS = 4  # containers at a time
# vCPU -> (least, most, step) of the memory that may go with it
FARGATE_SIZES = {
    0.25: (512, 2 * GB, 512), 0.5: (GB, 4 * GB, GB), 1.0: (2 * GB, 8 * GB, GB), 2.0: (4 * GB, 16 * GB, GB),
    4.0: (8 * GB, 30 * GB, GB), 8.0: (16 * GB, 60 * GB, 4 * GB), 16.0: (32 * GB, 120 * GB, 8 * GB),
}  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")


def pool_of(name: str, said: WorkerPool) -> Pool:
    """Of a pool that `faults` finds nothing wrong with."""
    memory = _mb(said.memory)
    is_lambda = said.kind == LAMBDA
    cpu = cpu_of(memory) if is_lambda else parse_amount(said.cpu, "cpu") if said.cpu else _least_cpu(memory)
    storage = _mb(said.storage) if said.storage else LAMBDA_STORAGE[0] if is_lambda else FARGATE_STORAGE[0]
    attempt_s = parse_duration(said.timeout) // 1000 if said.timeout else USUAL_ATTEMPT_S[said.kind]
    return Pool(name, round(cpu, 3), memory, storage, said.kind, attempt_s, said.workers or (None if is_lambda else USUAL_WORKERS))


def faults(pools: Mapping[str, WorkerPool]) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """(what is wrong, where below `pools`, a hint)."""
    if len(pools) > MOST_POOLS:
        yield f"{MOST_POOLS} pools at most: each has four queues of its own", (), None
    for name, said in pools.items():
        if not _NAME.fullmatch(name):
            yield f"a pool's name is up to 16 lower-case letters, digits and dashes, a letter first, not {name[:40]}", (name,), None
        elif said.memory is None:
            yield "a pool has a size", (name, "memory"), "such as `memory: 2GB`"
        elif name == DEFAULT and said.kind != LAMBDA:
            yield "the default pool is of Lambdas: it is there for work that comes at any moment", (name, "kind"), None
        else:
            for told, key, hint in _of_lambda(said) if said.kind == LAMBDA else _of_fargate(said):
                yield told, (name, key), hint


def _of_lambda(said: WorkerPool) -> Iterator[tuple[str, str, str | None]]:
    if said.cpu is not None:
        yield "a Lambda's processors come with its memory", "cpu", "leave it out: one vCPU for each 1769MB"
    if not _within(said.memory, LAMBDA_MEMORY):
        yield "a Lambda has 256MB to 10240MB of memory", "memory", "`kind: fargate` has up to 120GB"
    if said.storage is not None and not _within(said.storage, LAMBDA_STORAGE):
        yield "a Lambda has 512MB to 10240MB of storage", "storage", "`kind: fargate` has up to 200GB"
    if said.timeout is not None and not 1 <= parse_duration(said.timeout) / 1000 <= LAMBDA_ATTEMPT_S:
        yield "a task may take 1s to 14m in a Lambda, which AWS stops after 15", "timeout", "`kind: fargate` has 11h"


def _of_fargate(said: WorkerPool) -> Iterator[tuple[str, str, str | None]]:
    memory = _mb(said.memory)
    cpu = parse_amount(said.cpu, "cpu") if said.cpu else _least_cpu(memory)
    if cpu not in FARGATE_SIZES:
        sizes = ", ".join(f"{size:g}" for size in FARGATE_SIZES)
        yield f"a container has {sizes} vCPU", "cpu" if said.cpu else "memory", None
    elif memory not in range(FARGATE_SIZES[cpu][0], FARGATE_SIZES[cpu][1] + 1, FARGATE_SIZES[cpu][2]):
        least, most, step = FARGATE_SIZES[cpu]
        yield f"with {cpu:g} vCPU a container has {least}MB to {most}MB of memory, in steps of {step}MB", "memory", None
    if said.storage is not None and not _within(said.storage, FARGATE_STORAGE):
        yield "a container has 20GB to 200GB of storage", "storage", None
    if said.timeout is not None and not 1 <= parse_duration(said.timeout) / 1000 <= FARGATE_ATTEMPT_S:
        yield (
            "a task may take 1s to 11h in a container: SQS lets no message be in hand for longer than twelve",
            "timeout",
            "what takes longer hands its work on and calls back",
        )


def _least_cpu(memory_mb: int) -> float:
    """0: none goes with that much."""
    fitting = (cpu for cpu, (least, most, step) in FARGATE_SIZES.items() if memory_mb in range(least, most + 1, step))
    return next(fitting, 0.0)


def _mb(size: str) -> int:
    return int(parse_amount(size, "size"))


def _within(size: str, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= _mb(size) <= bounds[1]
