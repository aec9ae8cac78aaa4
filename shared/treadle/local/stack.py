"""The whole engine on this machine: the real handlers over the local cloud, fed by the pump."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from .. import topology, wiring
from ..engine import Settings
from ..hooks import Extension, Hooks
from ..operations import Operations
from ..tasks import Allowed, Outside, Registry, Task, TaskContext
from ..tasks.allowed import NOTHING
from .clock import LocalClock
from .cloud import REGION, Cloud
from .invocation import context_of
from .pump import Pump
from .workers import Crowd

TENANT = "local"

Config = Settings | Mapping[str, Any] | str | os.PathLike[str] | None
Handler = Callable[[dict[str, Any], Any], Any]


class Stack:
    """Use it as a context manager. `tasks`: whatever `Registry.load` takes. `config`: the engine's settings, a mapping of
    them, or a YAML or JSON file of such a mapping; beside them `allow`, what the tasks http, lambda and aws may reach, and
    `extensions`, which hooks there are. `hooks`: objects, told first. `outside`: in place of `allow`, how outside is reached.

    Raises ImportError, ValueError for what cannot be used.
    """

    def __init__(
        self,
        tasks: Any = (),
        *,
        config: Config = None,
        skip_time: bool = False,
        hooks: Sequence[object] = (),
        outside: Outside | None = None,
    ) -> None:
        self._crowd = Crowd()
        self.settings, allowed, extensions = _read(config)
        self.cloud = Cloud(LocalClock(skip=skip_time))
        self.hooks = Hooks.load(*hooks, extensions=extensions)
        self.tasks = _watched(Registry.load(tasks, outside=outside or Outside(allowed, self.cloud.client)), self._crowd)
        self.wiring: wiring.Wiring
        self.operations: Operations
        self.pump: Pump
        self._handlers: dict[str, Handler] = {}
        self._open = ExitStack()

    def __enter__(self) -> Stack:
        with ExitStack() as opening:  # what was opened is closed again if the rest fails
            cloud = opening.enter_context(self.cloud)
            self.wiring = wiring.wire(cloud.names, self.tasks, cloud.clock, self.settings, cloud.clients, TENANT, hooks=self.hooks)
            self.operations = self.wiring.operations
            self._handlers = {function.name: _handler(function.name) for function in topology.FUNCTIONS}
            self.pump = opening.enter_context(Pump(cloud, self.invoke, self._crowd))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def invoke(self, function: str, event: dict[str, Any], context: Any) -> Any:
        """Call a handler as Lambda does, in this thread."""
        with wiring.using(self.wiring):
            return self._handlers[function](event, context)

    def request(self, event: dict[str, Any]) -> dict[str, Any]:
        """An HTTP API event to the function `api`. Time is not skipped while it changes something."""
        if event["requestContext"]["http"]["method"] in ("GET", "HEAD"):
            return self._ask_api(event)
        with self.pump.request():
            return self._ask_api(event)

    def _ask_api(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.invoke("api", event, context_of("api", REGION, self.cloud.account))
        return answer


def _watched(registry: Registry, crowd: Crowd) -> Registry:
    """The same tasks; the crowd knows which of them run."""

    def watch(task: Task) -> Task:
        def run(given: Any, context: TaskContext) -> Any:
            with crowd.task():
                return task.run(given, context)

        return replace(task, function=run, takes_context=True)

    return Registry([watch(task) for name in registry if (task := registry.find(name))])


def _handler(function: str) -> Handler:
    found: Handler = importlib.import_module(f"functions.{function}.handler").handler
    return found


def _read(config: Config) -> tuple[Settings, Allowed, list[Extension]]:
    if isinstance(config, Settings):
        return config, NOTHING, []
    read: Any = yaml.safe_load(Path(config).read_text(encoding="utf-8")) if isinstance(config, str | os.PathLike) else config
    given = dict(read or {})
    allowed = Allowed.from_json(given.pop("allow", {}))
    extensions = [Extension.from_json(each) for each in given.pop("extensions", [])]
    try:
        return Settings(**given), allowed, extensions
    except TypeError:
        raise ValueError(f"the engine's settings are {', '.join(Settings.__dataclass_fields__)}, not {given!r}") from None
