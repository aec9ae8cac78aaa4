"""What a shape's deployment consists of: its queues and functions, and what the workers of each pool are wired with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from .. import topology
from ..core.resources import Pool, pools_of
from ..engine import Engine, World
from ..engine.gauge import Measure
from ..engine.observed import Observed
from ..operations import Operations
from ..topology import Function, Names, Queue
from ..wiring import Wiring
from .world import TENANT


@dataclass(frozen=True)
class Deployed:
    """`consumers`, by queue; `functions`, by name."""

    pools: tuple[Pool, ...]
    queues: tuple[Queue, ...]
    consumers: Mapping[str, str]
    functions: Mapping[str, Function]
    names: Names

    def wired(self, world: World, engine: Callable[[World], Engine], inbox: Any, checker: Any) -> dict[str, Wiring]:
        """By function, of the workers that are not in the default pool; of all others under no name."""
        usual = Wiring(engine(world), world.tasks, self.names, inbox, TENANT)  # type: ignore[arg-type]
        usual.__dict__["operations"] = Operations(usual.engine, checker)
        others = (pool for pool in self.pools if pool.name != world.pool)
        return {"": usual} | {topology.dispatcher(pool.name): replace(usual, engine=engine(world.in_pool(pool))) for pool in others}


def deployed(pools: Mapping[str, Mapping[str, Any]] | None) -> Deployed:
    return _deployed(pools_of(pools))


@cache
def _deployed(pools: tuple[Pool, ...]) -> Deployed:
    queues = topology.queues(pools)
    functions = {function.name: function for function in topology.functions(pools, containers=True)}
    names = Names("table", "bus", "blobs", "inbox", {queue.name: queue.name for queue in queues})
    consumers = {queue.name: queue.consumer for queue in queues}
    return Deployed(pools, queues, MappingProxyType(consumers), MappingProxyType(functions), names)


def unmeasured(world: World) -> None:
    """Every attempt has as much memory as any other: real figures would make each simulation another one."""
    if world.observed is not None:
        world.observed = Observed(world.store, world.clock, _Constant())


class _Constant:
    def begin(self) -> Measure:
        return Measure()

    def end(self, measure: Measure) -> int:
        return 100
