"""What a local engine is made with: from a `workflow_engine:` file, or from the engine's own settings by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import Effects, Finding, effects_of, load
from ..config.reading import ROOT
from ..engine import Settings
from ..hooks import Extension
from ..hooks.metrics import Metrics
from ..tasks import Allowed
from ..tasks.allowed import NOTHING

Config = Settings | Mapping[str, Any] | str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Configured:
    """`metrics`: the lines that a deployed engine would log; None where no configuration asks for metrics. `warnings`: keys that
    have no effect yet. `notified`: who is told of what."""

    settings: Settings = field(default_factory=Settings)
    allowed: Allowed = NOTHING
    extensions: tuple[Extension, ...] = ()
    metrics: Metrics | None = None
    warnings: tuple[Finding, ...] = ()
    notified: Mapping[str, Any] = field(default_factory=dict)


def configured(config: Config, lines: list[str]) -> Configured:
    """`lines`: where metrics are written to. Raises InvalidConfiguration (a ValueError) with every fault, ValueError."""
    if isinstance(config, Settings):
        return Configured(config)
    if isinstance(config, Mapping) and ROOT not in config:
        return _by_name(dict(config))
    loaded = load(config)
    effects = effects_of(loaded.required())
    if not loaded.origins:
        return Configured()
    metrics = _metrics(effects, lines)
    hooks = [Extension.from_json(each) for each in effects.extensions if each["name"] != "metrics"]
    allowed = Allowed.from_json(effects.allow)
    return Configured(effects.settings, allowed, tuple(hooks), metrics, loaded.warnings, effects.notified)


def _metrics(effects: Effects, lines: list[str]) -> Metrics | None:
    said = next(each for each in effects.extensions if each["name"] == "metrics")
    return Metrics(**said["config"], write=lines.append) if said["enabled"] else None


def _by_name(given: dict[str, Any]) -> Configured:
    allowed = Allowed.from_json(given.pop("allow", {}))
    extensions = tuple(Extension.from_json(each) for each in given.pop("extensions", []))
    try:
        return Configured(Settings(**given), allowed, extensions)
    except TypeError:
        raise ValueError(f"the engine's settings are {', '.join(Settings.__dataclass_fields__)}, not {given!r}") from None
