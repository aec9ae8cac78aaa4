"""Hooks: objects that are told what happens to runs, steps and attempts; by the entry point group `treadle.hooks`.

The laws:
- A hook watches. Only one that says `replaces = True` sees a task's input and output, and may give another in their place.
- A hook that breaks never breaks a run: the first time it does is told, by the log and by a `HookFailed` event, and it is called on.
- Each call is measured. Moments come at least once: a delivery that is repeated tells them again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from threading import Lock
from typing import Any, Final

from ..core.errors import TaskError
from ..core.model import Json

__all__ = ["INTERFACE", "MOMENTS", "Extension", "Hooks", "Instead", "Timing"]

INTERFACE: Final = 1  # what a hook's attribute `interface` says that it was written for; later ones are refused
MOMENTS: Final = ("before_run", "after_run", "before_step", "after_step", "before_attempt", "after_attempt", "after_delivery")
REPLACING: Final = ("before_attempt", "after_attempt")

log = logging.getLogger("treadle.hooks")


@dataclass(frozen=True, slots=True)
class Instead:
    """What a replacing hook returns: of `before_attempt`, the result of an attempt that then does not run; of `after_attempt`, the
    output that is kept in the place of the task's."""

    output: Json = None
    error: TaskError | None = None


@dataclass(slots=True)
class Timing:
    """How often one hook was called for one moment, and how long it took, in ms."""

    calls: int = 0
    failures: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0

    def took(self, ms: float) -> None:
        self.calls += 1
        self.total_ms += ms
        self.longest_ms = max(self.longest_ms, ms)


@dataclass(frozen=True, slots=True)
class Extension:
    """What a deployment says of a hook: `{name, enabled, config}` in its `extensions`."""

    name: str
    enabled: bool = True
    config: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, given: Any) -> Extension:
        """Raises ValueError."""
        wanted = {"name": str, "enabled": bool, "config": Mapping}
        fits = isinstance(given, Mapping) and given.keys() <= set(wanted) and "name" in given
        if not fits or not all(isinstance(value, wanted[key]) for key, value in given.items()):
            raise ValueError(f"an extension is a map of name, enabled and config, not {given!r}")
        return cls(**given)


class BrokenHook(ValueError):
    """A hook that cannot be used."""


class Hooks:
    """`hooks`: by name, in the order in which they are told. Raises ValueError for what is no hook."""

    def __init__(self, hooks: Mapping[str, object]) -> None:
        self._calls: dict[str, list[tuple[str, Callable[[dict[str, Any]], Any], bool]]] = {moment: [] for moment in MOMENTS}
        for name, hook in hooks.items():
            for moment, call in calls_of(name, hook).items():
                replaces = moment in REPLACING and bool(getattr(hook, "replaces", False))
                self._calls[moment].append((name, call, replaces))
        self._flushes = [(name, flush) for name, hook in hooks.items() if callable(flush := getattr(hook, "flush", None))]
        self._listening = [(name, timed) for name, hook in hooks.items() if callable(timed := getattr(hook, "timed", None))]
        self.timings: dict[tuple[str, str], Timing] = {}  # by (hook, moment)
        self._spent: dict[str, Timing] = {}  # by hook, since the last delivery
        self._broken: dict[str, str] = {}
        self._untold: list[tuple[str, str]] = []
        self._lock = Lock()

    @classmethod
    def load(cls, *given: object, extensions: Iterable[Extension] = (), plugins: bool = True, strict: bool = True) -> Hooks | None:
        """`given` ones first, then those of installed packages that `extensions` does not switch off. A class or a function is
        called with its `config` as keywords, which makes the hook. None: there is none.

        Raises BrokenHook (a ValueError) for a hook that cannot be used, or an extension that names none; unless `strict`, it is only told.
        """
        said = {extension.name: extension for extension in extensions}
        found: dict[str, object] = {_name_of(hook): hook for hook in given}
        points = {point.name: point for point in entry_points(group="treadle.hooks")} if plugins else {}
        broken: dict[str, str] = {}
        for name in dict.fromkeys((*said, *points)):
            extension = said.get(name, Extension(name))
            try:
                if extension.enabled:
                    found[name] = _made(name, points.get(name) or SHIPPED.get(name), extension.config or {})
            except ValueError as fault:
                if strict:
                    raise
                broken[name] = str(fault)
        if not found and not broken:
            return None
        hooks = cls(found)
        for name, why in broken.items():
            hooks._broke(name, "load", why)
        return hooks

    def tell(self, moment: str, event: dict[str, Any], payload: Callable[[], dict[str, Any]] | None = None) -> Instead | None:
        """Every hook in turn. The first `before_attempt` that replaces is the last that is asked; each `after_attempt` sees the
        output as the one before it left it. Raises nothing."""
        instead: Instead | None = None
        for name, call, replaces in self._calls[moment]:
            if payload is None or not replaces:
                self._call(name, moment, call, dict(event))
                continue
            seen = payload() if instead is None else {"output": instead.output}
            given = self._replaced(name, moment, call, {**event, **json.loads(json.dumps(seen))})  # its own, to do with as it likes
            if given is not None:
                instead = given
                if moment == "before_attempt" or given.error is not None:
                    break
        return instead

    def _replaced(self, name: str, moment: str, call: Callable[[dict[str, Any]], Any], event: dict[str, Any]) -> Instead | None:
        """What a replacing hook gives, if it is JSON."""
        given = self._call(name, moment, call, event)
        if given is None:
            return None
        try:
            if not isinstance(given, Instead):
                raise TypeError(f"it returned a {type(given).__name__}, not Instead or None")
            json.dumps([given.output, given.error and given.error.details], allow_nan=False)
        except (TypeError, ValueError, RecursionError) as fault:
            self._broke(name, moment, f"{type(fault).__name__}: {fault}"[:500])
            return None
        return given

    def flush(self) -> None:
        """Those that collect send what they have: an invocation is about to end. Raises nothing."""
        if self._listening:
            self._tell_timings()
        for name, call in self._flushes:
            self._call(name, "flush", _of_no_event(call), {})

    def _tell_timings(self) -> None:
        """Whoever has `timed` hears what the others have done since the last delivery."""
        with self._lock:
            spent, self._spent = self._spent, {}
        for listener, timed in self._listening:
            for name, timing in spent.items():
                if name != listener:
                    given = {"hook": name, "calls": timing.calls, "failures": timing.failures, "total_ms": timing.total_ms}
                    self._call(listener, "timed", _by_words(timed), given)

    def newly_broken(self) -> list[tuple[str, str]]:
        """(name, why) of those that failed for the first time since this was asked."""
        if not self._untold:
            return []
        with self._lock:
            told, self._untold = self._untold, []
        return told

    def _call(self, name: str, moment: str, call: Callable[[dict[str, Any]], Any], event: dict[str, Any]) -> Any:
        began = time.perf_counter()
        failed = False
        try:
            return call(event)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 (whatever a hook does, the run goes on)
            failed = True
            self._broke(name, moment, f"{type(raised).__name__}: {raised}"[:500])
            return None
        finally:
            took_ms = (time.perf_counter() - began) * 1000
            with self._lock:
                self.timings.setdefault((name, moment), Timing()).took(took_ms)
                if self._listening:
                    spent = self._spent.setdefault(name, Timing())
                    spent.took(took_ms)
                    spent.failures += failed

    def _broke(self, name: str, moment: str, why: str) -> None:
        with self._lock:
            self.timings.setdefault((name, moment), Timing()).failures += 1
            if name in self._broken:
                return
            self._broken[name] = why
            self._untold.append((name, why))
        log.warning("hook %s failed in %s: %s", name, moment, why, extra={"hook": name, "moment": moment, "error": why})


def _by_words(call: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda given: call(**given)


def _of_no_event(call: Callable[[], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda event: call()


def calls_of(name: str, hook: object) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """By moment. Raises ValueError."""
    interface = getattr(hook, "interface", INTERFACE)
    if interface != INTERFACE:
        raise BrokenHook(f"hook {name} is written for interface {interface!r}, this is {INTERFACE}")
    found = {moment: call for moment in MOMENTS if callable(call := getattr(hook, moment, None))}
    if not found:
        raise BrokenHook(f"hook {name} has none of {', '.join(MOMENTS)}")
    return found


def _name_of(hook: object) -> str:
    return str(getattr(hook, "name", None) or type(hook).__name__)


def _made(name: str, point: EntryPoint | None, config: Mapping[str, Any]) -> object:
    """What the entry point names; of a class or a function the hook that it makes. Raises BrokenHook."""
    if point is None:
        raise BrokenHook(f"no installed package has a hook named {name}")
    try:
        loaded = point.load()
        hook = loaded(**config) if callable(loaded) else loaded
        calls_of(name, hook)
    except (Exception, SystemExit) as fault:  # a package may raise anything while it is imported
        told = str(fault) if isinstance(fault, BrokenHook) else f"hook {name} cannot be made: {type(fault).__name__}: {fault}"
        whose = f" (of {point.dist.name} {point.dist.version})" if point.dist is not None else ""
        raise BrokenHook(f"{told}{whose}; mend it, or switch it off: extensions: [{{name: {name}, enabled: false}}]") from fault
    return hook


def unfit(name: str, config: Mapping[str, Any]) -> str | None:
    """Why a hook that there is cannot be made with that; None: it can, or there is none."""
    point = SHIPPED.get(name) or next((point for point in entry_points(group="treadle.hooks") if point.name == name), None)
    try:
        if point is not None:
            _made(name, point, config)
    except BrokenHook as broken:
        return str(broken)
    return None


def installed(extensions: Iterable[Extension] = ()) -> Iterator[tuple[EntryPoint, str | None]]:
    """The hooks of installed packages that are not switched off, each with why it cannot be used."""
    said = {extension.name: extension for extension in extensions}
    for point in entry_points(group="treadle.hooks"):
        extension = said.get(point.name, Extension(point.name))
        if not extension.enabled:
            continue
        try:
            _made(point.name, point, extension.config or {})
        except BrokenHook as broken:
            yield point, str(broken)
        else:
            yield point, None


# Come with treadle, and are told only where `extensions` names them.
SHIPPED: Final = {
    "custom_logger": EntryPoint("custom_logger", "treadle.hooks.custom_logger:CustomLogger", "treadle.hooks"),
    "metrics": EntryPoint("metrics", "treadle.hooks.metrics:Metrics", "treadle.hooks"),
    "opentelemetry": EntryPoint("opentelemetry", "treadle.hooks.opentelemetry:OpenTelemetry", "treadle.hooks"),
}
