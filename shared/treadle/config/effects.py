"""From a configuration to what it changes: the engine's settings, what definitions get that say nothing, the pools that may be
asked for, the extensions, and what is deployed. Data only: whoever makes an engine applies it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.durations import parse_duration
from ..core.resources import Pool, offered, parse_amount, parse_rate
from ..engine import Settings
from .model import Configuration, DataRetention, ErrorHandling, ResourceLimits, Scalability
from .pools import pool_of


@dataclass(frozen=True, slots=True)
class Effects:
    """`extensions`: as `hooks.Extension` reads them, the metrics among them.

    Of a deployment: `api`: there is an HTTP API; `recovery`: the table can be put back to any second of the last 35 days;
    `scaling`: of the workers behind each queue.
    """

    settings: Settings = field(default_factory=Settings)
    extensions: tuple[dict[str, Any], ...] = ()
    allow: dict[str, Any] = field(default_factory=dict)  # what the tasks http, lambda and aws may reach, as `tasks.Allowed` reads it
    api: bool = True
    recovery: bool = True
    replicas: tuple[str, ...] = ()  # regions with a copy of the table
    notified: dict[str, Any] = field(default_factory=dict)  # who is told of what, as `notifications.Targets` reads it
    scaling: str = "auto"  # auto: as far as the topology allows; fixed: at FIXED; none: at NONE


FIXED, NONE = 10, 2  # invocations at a time of each queue's event source mapping; 2 is the least that AWS takes


def effects_of(config: Configuration) -> Effects:
    init, fast, trust, scale = config.initialization, config.performance, config.reliability, config.scalability
    settings = Settings(
        advance=fast.advance,
        max_runs=init.max_concurrent_workflows,
        recovery=trust.recovery_strategy if trust.fault_tolerance else "none",
        caching=fast.caching_enabled,
        fair=fast.load_balancing,
        outward=config.integration.external_system_integration,
        pools=_pools(scale),
        rates={name: parse_rate(rules.rate) for name, rules in config.tasks.items() if rules.rate is not None},
        largest=_largest(scale.resource_limits),
        defaults=_defaults(init.error_handling),
        optimises=fast.resource_optimization,
        retention=_retention(config.data_retention),
        one_at_a_time=not fast.parallel_execution,
        checkpoint_every_ms=None if trust.checkpoint_frequency is None else parse_duration(trust.checkpoint_frequency),
    )
    return Effects(
        settings=settings,
        extensions=tuple(_extensions(config)),
        allow=dict(config.integration.allow),
        notified={name: _as_written(told) for name, told in config.integration.notifications.items()},
        api=config.integration.api_access,
        recovery=trust.state_replication,
        replicas=tuple(dict.fromkeys(trust.replica_regions)),
        scaling="none" if not scale.horizontal_scaling else "auto" if scale.auto_scaling else "fixed",
    )


def _extensions(config: Configuration) -> list[dict[str, Any]]:
    monitoring = config.initialization.monitoring
    groups = list(monitoring.metrics)
    metrics: dict[str, Any] = {"name": "metrics", "enabled": bool(monitoring.enabled and groups), "config": {"groups": groups}}
    if monitoring.objectives:
        metrics["config"] |= {"objectives": {name: parse_duration(text) for name, text in monitoring.objectives.items()}}
    found = [*(extension.model_dump() for extension in config.initialization.extensions), metrics]
    if config.integration.monitoring_integration:
        told = {name: value for name, value in config.integration.telemetry.model_dump().items() if value is not None}
        found.append({"name": "opentelemetry", "enabled": True, "config": {**told, "groups": groups}})
    return found


def _defaults(handling: ErrorHandling) -> dict[str, Any]:
    """`errorHandling` of a definition, as far as the configuration has something to say."""
    given: dict[str, Any] = {}
    if handling.retry_attempts is not None:
        given["retryAttempts"] = handling.retry_attempts
    if handling.backoff_strategy is not None:
        given["backoffStrategy"] = handling.backoff_strategy
    if handling.error_thresholds is not None:
        given["thresholds"] = _as_written(handling.error_thresholds)
    if isinstance(handling.escalation_policy, list):
        given["escalation"] = [_as_written(rung) for rung in handling.escalation_policy]
    elif handling.escalation_policy == "manual":
        given["onFailure"] = "wait"
    return given


def _retention(said: DataRetention) -> dict[str, int]:
    """As `Settings.retention` has it."""
    kept = {"*": said.runs} if said.runs is not None else {}
    return {name: max(1, parse_duration(text)) for name, text in {**kept, **said.workflows}.items()} | dict.fromkeys(said.keep, 0)


def _as_written(model: Any) -> dict[str, Any]:
    written: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return written


def _largest(limits: ResourceLimits) -> dict[str, float]:
    units = {"cpu": "cpu", "memory": "size", "storage": "size"}
    said = {name: getattr(limits, name) for name in units}
    return {name: parse_amount(amount, units[name]) for name, amount in said.items() if amount is not None}


def _pools(scale: Scalability) -> dict[str, dict[str, Any]] | None:
    """None: the file says nothing of pools."""
    return None if "pools" not in scale.model_fields_set else {name: pool_of(name, said).to_json() for name, said in scale.pools.items()}


def pools_within(limits: ResourceLimits) -> tuple[Pool, ...]:
    """Of what a Lambda may have."""
    return offered(None, _largest(limits))


def changed_settings(settings: Settings) -> dict[str, Any]:
    """What differs from the defaults, as TREADLE_SETTINGS gives it to a worker."""
    usual = asdict(Settings())
    return {name: value for name, value in asdict(settings).items() if value != usual[name]}
