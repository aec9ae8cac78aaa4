"""What a configuration that is right key by key can still have wrong: keys that exclude each other, extensions that are not
installed, and what is asked for and has less to do than it seems (a warning, so that nobody relies on it).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..core.resources import DEFAULT
from ..definition.diagnostics import Diagnostic, Path, Severity
from ..definition.spelling import nearest
from ..hooks import unfit
from ..tasks import webhooks
from ..tasks.allowed import Allowed
from .effects import pools_within
from .model import Configuration
from .pools import faults as faults_of_pools

MOST_NAMES = 1800  # of the 2048 characters that EventBridge takes as a rule's pattern
_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,12}){1,2}-[0-9]")


@dataclass(frozen=True, slots=True)
class Trouble:
    """`path`: below `workflow_engine`."""

    code: str
    message: str
    path: Path
    hint: str | None = None
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault or a warning, and where it stands. `source`: the file, the variable or the parameter; line and column from 1."""

    source: str
    code: str
    severity: Severity
    message: str
    path: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    @classmethod
    def of(cls, source: str, told: Diagnostic) -> Finding:
        return cls(source, told.code.value, told.severity, told.message, told.path, told.line, told.column, told.hint)

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else f"{self.source}: {self.path}" if self.path else self.source
        return f"{place}: {self.severity}: {self.message} [{self.code}]" + (f" ({self.hint})" if self.hint else "")


def troubles(config: Configuration, said: Collection[Path], extensions: Collection[str], *, deployed: bool) -> Iterator[Trouble]:
    """`said`: the paths of the values that some source gave; what nobody said troubles nobody."""
    yield from _contradictions(config, said)
    yield from _impossible(config, deployed)
    yield from _extensions(config, extensions)
    yield from _notified(config)
    yield from _no_choice(config)


def _contradictions(config: Configuration, said: Collection[Path]) -> Iterator[Trouble]:
    def conflict(message: str, *path: str) -> Trouble:
        return Trouble("conflicting-settings", message, path)

    for name in config.data_retention.keep:
        if name in config.data_retention.workflows:
            yield conflict(f"{name} has a time in workflows, and is kept for ever", "data_retention", "keep")
    scale, trust, monitoring = config.scalability, config.reliability, config.initialization.monitoring
    if not scale.horizontal_scaling and scale.auto_scaling and ("scalability", "auto_scaling") in said:
        yield conflict("auto_scaling needs horizontal_scaling: there is nothing to scale to", "scalability", "auto_scaling")
    if not trust.fault_tolerance and ("reliability", "recovery_strategy") in said:
        told = "there is nothing to recover with fault_tolerance off: a step that is lost has failed"
        yield conflict(told, "reliability", "recovery_strategy")
    if not trust.state_replication and trust.replica_regions:
        yield conflict("replica_regions need state_replication", "reliability", "replica_regions")
    if not config.initialization.state_persistence and trust.state_replication and ("reliability", "state_replication") in said:
        yield conflict("state that does not persist cannot be replicated", "reliability", "state_replication")
    if not config.integration.external_system_integration and config.integration.allow:
        yield conflict("nothing may be reached with external_system_integration off", "integration", "allow")
    if not monitoring.enabled and monitoring.metrics and ("initialization", "monitoring", "metrics") in said:
        yield conflict("no metrics are emitted with monitoring off", "initialization", "monitoring", "metrics")
    if not monitoring.enabled and config.integration.monitoring_integration:
        yield conflict("there is nothing to export with monitoring off", "integration", "monitoring_integration")
    where_to = [path for path in said if path[:2] == ("integration", "telemetry")]
    if where_to and not config.integration.monitoring_integration:
        yield conflict("nothing is exported with monitoring_integration off", *map(str, where_to[0]))


def _impossible(config: Configuration, deployed: bool) -> Iterator[Trouble]:
    if deployed and not config.initialization.state_persistence:
        told = "a deployed engine keeps its state in a table: only a local one, which ends with its process, does without"
        yield Trouble("bad-value", told, ("initialization", "state_persistence"))
    if not pools_within(config.scalability.resource_limits):
        told = "no worker is that small: the smallest has 256MB and 0.15 vCPU"
        yield Trouble("no-such-resources", told, ("scalability", "resource_limits"))
    for told, where, hint in faults_of_pools(config.scalability.pools or {}):
        yield Trouble("bad-value", told, ("scalability", "pools", *where), hint)
    try:
        Allowed.from_json(config.integration.allow)
    except ValueError as fault:
        yield Trouble("bad-value", str(fault), ("integration", "allow"))
    endpoint = config.integration.telemetry.endpoint
    if endpoint and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", endpoint):
        yield Trouble("bad-value", "an OTLP endpoint is http[s]://host[:port]", ("integration", "telemetry", "endpoint"))
    for region in config.reliability.replica_regions:
        if not _REGION.fullmatch(region):
            yield Trouble("bad-value", f"{region[:40]} is no region of AWS, such as eu-west-1", ("reliability", "replica_regions"))


def _extensions(config: Configuration, known: Collection[str]) -> Iterator[Trouble]:
    names: set[str] = set()
    for index, extension in enumerate(config.initialization.extensions):
        path: Path = ("initialization", "extensions", index, "name")
        if extension.name in names:
            yield Trouble("conflicting-settings", f"{extension.name} is listed twice", path)
        names.add(extension.name)
        if extension.name not in known:
            told = f"no installed package has a hook named {extension.name}"
            yield Trouble("unknown-extension", told, path, nearest(extension.name, known) or "pip install the package that brings it")
        elif extension.enabled and (why := unfit(extension.name, extension.config)) is not None:
            yield Trouble("bad-value", why, (*path[:-1], "config"))


def _notified(config: Configuration) -> Iterator[Trouble]:
    """Webhooks that go where they cannot; an escalation ladder of the engine's own that names nobody."""
    targets = config.integration.notifications
    for name, target in targets.items():
        if target.webhook is None:
            continue
        path: Path = ("integration", "notifications", name, "webhook")
        if not config.integration.webhook_support:
            told = "webhooks are off: set integration.webhook_support to true, or tell this target another way"
            yield Trouble("conflicting-settings", told, path)
        if (why := webhooks.unfit(target.webhook)) is not None:
            yield Trouble("bad-value", why, path)
    if sum(len(name) + 3 for name in targets) > MOST_NAMES:
        told = f"the names of all targets together are longer than the rule that looks for them may be ({MOST_NAMES} characters)"
        yield Trouble("limit-exceeded", told, ("integration", "notifications"))
    ladder = config.initialization.error_handling.escalation_policy
    for index, rung in enumerate(ladder if isinstance(ladder, list) and targets else []):
        if rung.notify is not None and rung.notify not in targets:
            told = f"nobody is called {rung.notify} in integration.notifications"
            at: Path = ("initialization", "error_handling", "escalation_policy", index, "notify")
            yield Trouble("unknown-target", told, at, nearest(rung.notify, targets) or f"there are {', '.join(targets)}")


def _no_choice(config: Configuration) -> Iterator[Trouble]:
    if config.performance.resource_optimization and not set(config.scalability.pools or {}) - {DEFAULT}:
        told = "there is one pool of workers: what tasks need is looked at, and there is nothing to choose from"
        path: Path = ("performance", "resource_optimization")
        yield Trouble("no-choice", told, path, "more of them are configured in scalability.pools", Severity.WARNING)


def of_source(trouble: Trouble, source: str, line: int | None, column: int | None, shown: str) -> Finding:
    return Finding(source, trouble.code, trouble.severity, trouble.message, shown, line, column, trouble.hint)


def is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR
