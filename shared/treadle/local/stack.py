"""The whole engine on this machine: the real handlers over the local cloud, fed by the pump."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from .. import topology, wiring
from ..core.resources import pools_of
from ..hooks import Hooks
from ..notifications import Targets
from ..operations import Operations
from ..refusals import told_of
from ..tasks import Outside, Registry, Task, TaskContext
from .clock import LocalClock
from .cloud import REGION, Cloud
from .configured import Config, configured
from .invocation import context_of
from .notifications import Sink
from .pump import Pump
from .secrets import GivenSecrets, Values, texts
from .workers import Crowd

__all__ = ["TENANT", "Config", "Stack"]

TENANT = "local"

Handler = Callable[[dict[str, Any], Any], Any]


class Stack:
    """Use it as a context manager. `tasks`: whatever `Registry.load` takes. `config`: a `workflow_engine:` file (its path, text or
    data), the engine's settings, or a mapping of them; beside them `allow`, what the tasks http, lambda and aws may reach, and
    `extensions`, which hooks there are. `hooks`: objects, told first. `outside`: in place of `allow`, how outside is reached.
    `secrets`: by name; others are looked for in the local account's Secrets Manager, as `treadle/local/NAME`.

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
        secrets: Values | None = None,
    ) -> None:
        self._crowd = Crowd()
        self.metrics: list[str] = []  # the lines that a deployed engine would log
        self.configured = configured(config, self.metrics)
        self.settings = self.configured.settings
        targets = Targets.from_json(self.configured.notified)
        rules = topology.notifying(targets.named, targets.kinds)
        self.cloud = Cloud(LocalClock(skip=skip_time), rules, pools_of(self.settings.pools))
        watching = [*hooks, *([self.configured.metrics] if self.configured.metrics else [])]
        self.notifications = Sink()  # what a deployed engine would have sent
        self.hooks = Hooks.load(*watching, extensions=self.configured.extensions)
        reach = outside or Outside(self.configured.allowed, self.cloud.client, is_on=self.settings.outward)
        self.tasks = _watched(Registry.load(tasks, outside=reach), self._crowd, reach)
        self._secrets = texts(secrets or {})
        self.wiring: wiring.Wiring
        self.operations: Operations
        self.pump: Pump
        self._handlers: dict[str, Handler] = {}
        self._wirings: dict[str, wiring.Wiring] = {}
        self._open = ExitStack()

    def __enter__(self) -> Stack:
        with ExitStack() as opening:  # what was opened is closed again if the rest fails
            cloud = opening.enter_context(self.cloud)
            self.wiring = wiring.wire(
                cloud.names,
                self.tasks,
                cloud.clock,
                self.settings,
                cloud.clients,
                TENANT,
                hooks=self.hooks,
                secrets=partial(GivenSecrets, self._secrets),
                notified=self.configured.notified,
                channel=lambda: self.notifications,
            )
            self.operations = self.wiring.operations
            functions = self.cloud.functions.values()
            self._handlers = {function.name: _handler(function.code) for function in functions}
            self._wirings = {function.name: wiring.in_pool(self.wiring, function.pool) for function in functions}
            self.pump = opening.enter_context(Pump(cloud, self.invoke, self._crowd))
            if not cloud.clock.skip:
                self.pump.sweep_soon()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def tell_refusals(self, tells: Callable[[str], None]) -> None:
        """`tells` is given a line for each object, event or schedule that is refused: nobody is there to be answered."""

        def look(params: dict[str, Any], **_: Any) -> None:
            for entry in params["Entries"]:
                if (entry["Source"], entry["DetailType"]) == (topology.EVENT_SOURCE, "SubmissionRejected"):
                    tells(told_of(json.loads(entry["Detail"])["data"]))

        self.cloud.clients.events.meta.events.register("before-parameter-build.events.PutEvents", look)

    def invoke(self, function: str, event: dict[str, Any], context: Any) -> Any:
        """Call a handler as Lambda does, in this thread."""
        with wiring.using(self._wirings[function]):
            return self._handlers[function](event, context)

    def request(self, event: dict[str, Any]) -> dict[str, Any]:
        """An HTTP API event to the function `api`. Time is not skipped while it changes something."""
        if event["requestContext"]["http"]["method"] in ("GET", "HEAD"):
            return self._ask_api(event)
        with self.pump.request():
            return self._ask_api(event)

    def _ask_api(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.invoke("api", event, context_of(self.cloud.functions["api"], REGION, self.cloud.account))
        return answer


def _watched(registry: Registry, crowd: Crowd, outside: Outside) -> Registry:
    """The same tasks; the crowd knows which of them run."""

    def watch(task: Task) -> Task:
        def run(given: Any, context: TaskContext) -> Any:
            with crowd.task():
                return task.call(given, context)

        return replace(task, function=run, takes_context=True)

    return Registry([watch(task) for name in registry if (task := registry.find(name))], outside)


def _handler(function: str) -> Handler:
    found: Handler = importlib.import_module(f"functions.{function}.handler").handler
    return found
