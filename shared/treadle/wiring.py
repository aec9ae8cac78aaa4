"""Who works with whom: the engine on AWS as the environment of a Lambda says, made once per process at the first call.

The local runtime calls the very same handlers with a wiring of its own (`using`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from .core.resources import DEFAULT, DEFAULT_POOL, LAMBDA, Pool, offered, pools_of
from .engine import Engine, Settings, World
from .engine.attempts import Attempts
from .hooks import Extension, Hooks
from .keeping import Keeper
from .ports import Blobs, Clock, Secrets
from .tasks import Allowed, Outside, Registry
from .topology import ENVIRONMENT, Names, consumed, times_of

if TYPE_CHECKING:
    from .notifications import Channel, Notifier
    from .operations import Operations


POOL = "TREADLE_POOL"  # the variable that says which pool a worker belongs to


@dataclass(eq=False)
class Wiring:
    """`inbox`: the bucket that users drop definitions and inputs into. `leave`: ends a worker's process; None: it is not a worker's."""

    engine: Engine
    tasks: Registry
    names: Names
    inbox: Blobs
    tenant: str = "default"  # of what comes in by S3 and the bus: IAM, not a token, says who may
    leave: Callable[[], None] | None = None
    notified: Mapping[str, Any] = field(default_factory=dict)  # who is told of what: `integration.notifications` of the configuration
    channel: Callable[[], Channel] | None = None  # by which they are reached

    @cached_property
    def operations(self) -> Operations:
        """Imported on demand: the dispatcher does without pydantic, YAML and JSON Schema."""
        from .definition import Checker
        from .operations import Operations

        world = self.engine.world
        pools, targets = offered(world.settings.pools, world.settings.largest), self.notified or None
        return Operations(self.engine, Checker(self.tasks, world.expressions, pools, targets))

    @cached_property
    def notifier(self) -> Notifier:
        from .notifications import Notifier, Targets

        if self.channel is None:
            raise ValueError("this engine was wired to tell nobody")
        return Notifier(self.engine.world, Targets.from_json(self.notified), self.channel())


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000


def names_from_environment(environment: os._Environ[str] | dict[str, str] = os.environ, pools: tuple[Pool, ...] = (DEFAULT_POOL,)) -> Names:
    """Raises KeyError with the variable that is missing."""
    values = {field: environment[variable] for field, variable in ENVIRONMENT.items()}
    prefix = values.pop("queue_urls")
    return Names(**values, queue_urls={queue.name: prefix + queue.name for queue in consumed(pools)})


def wire(
    names: Names,
    tasks: Registry,
    clock: Clock,
    settings: Settings | None = None,
    clients: object | None = None,
    tenant: str = "default",
    *,
    hooks: Hooks | None = None,
    url: str | None = None,
    secrets: Callable[[Secrets], Secrets] = lambda deployed: deployed,
    notified: Mapping[str, Any] | None = None,
    channel: Callable[[], Channel] | None = None,
) -> Wiring:
    """The engine over AWS adapters. `url`: of the HTTP API, where callbacks are posted to. `secrets`: what is asked instead of
    Secrets Manager, or before it."""
    from .aws import connect
    from .cel import Cel

    adapters = connect(names, clients=clients)  # type: ignore[arg-type]
    ports = (adapters.store, adapters.lanes, adapters.bus, adapters.blobs, clock)
    attempts = Attempts(limits_all=True)
    world = World(*ports, Cel(), tasks, secrets(adapters.secrets), _violations, settings or Settings(), hooks, url, attempts)
    return Wiring(Engine(world), tasks, names, adapters.inbox, tenant, notified=notified or {}, channel=channel)


def _violations(schema: object, value: object) -> list[tuple[str, str]]:
    """Imported for the first child that has a schema."""
    from .definition.schemas import violations

    return violations(schema, value)


@lru_cache(maxsize=1)
def from_environment() -> Wiring:
    """Raises ValueError for variables that say what cannot be. A hook that cannot be used is told of and left out."""
    settings = Settings(**_given("TREADLE_SETTINGS", {}))
    allowed = Allowed.from_json(_given("TREADLE_ALLOW", {}))
    outside = Outside(allowed, is_on=settings.outward)
    tasks = Registry.load(*os.environ.get("TREADLE_TASKS", "").split(), outside=outside, strict=False)
    hooks = Hooks.load(extensions=[Extension.from_json(each) for each in _given("TREADLE_EXTENSIONS", [])], strict=False)
    names, url = names_from_environment(pools=pools_of(settings.pools)), os.environ.get("TREADLE_URL")
    wired = wire(names, tasks, SystemClock(), settings, hooks=hooks, url=url, notified=_given("TREADLE_NOTIFICATIONS", {}))
    wired = in_pool(wired, os.environ.get(POOL, DEFAULT))
    wired.leave = end_process if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None
    wired.channel = lambda: _outward(wired, allowed)
    return wired


def in_pool(wired: Wiring, name: str) -> Wiring:
    """As the workers of a pool are wired. Raises ValueError for one that there is not."""
    world = wired.engine.world
    pool = next((pool for pool in world.pools if pool.name == name), None)
    if pool is None:
        raise ValueError(f"there is no pool {name}: there are {', '.join(pool.name for pool in world.pools)}")
    if name == world.pool and pool == DEFAULT_POOL:
        return wired
    keeper = None if pool.kind == LAMBDA else Keeper(world.clock, times_of(pool).lease_s)
    return replace(wired, engine=Engine(world.in_pool(pool, keeper)))


def end_process() -> None:
    """At once: threads are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _outward(wired: Wiring, allowed: Allowed) -> Channel:
    """Imported where something is delivered: the workers do without."""
    from .aws import Clients
    from .aws.sns import AwsTopics
    from .notifications import Outward
    from .tasks.webhooks import Webhooks

    return Outward(Webhooks(allowed.networks), AwsTopics(Clients().sns), wired.engine.world.secrets)


def _given(variable: str, default: Any) -> Any:
    """JSON."""
    text = os.environ.get(variable)
    return json.loads(text) if text else default


_override: ContextVar[Wiring | None] = ContextVar("treadle_wiring", default=None)


def current() -> Wiring:
    """What a handler works with."""
    return _override.get() or from_environment()


@contextmanager
def using(wiring: Wiring) -> Iterator[Wiring]:
    token = _override.set(wiring)
    try:
        yield wiring
    finally:
        _override.reset(token)
