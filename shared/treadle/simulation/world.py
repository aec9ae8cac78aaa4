"""A shape made ready to be simulated: compiled once, and the tasks that its steps run.

`Prepared` is what all simulations of a shape share; `Tasks` belongs to one simulation and writes down each attempt that began.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from ..cel import Cel
from ..core.errors import Rejected, TaskError
from ..core.model import Json
from ..core.plan import Plan, compile_plan
from ..definition import Checker
from ..engine import World
from ..engine.starting import register
from ..ports import Item
from ..tasks.later import LATER
from ..tasks.registry import Registry, Task, TaskContext
from .memory import MemoryCloud
from .shapes import Shape

TENANT = "local"


@cache
def expressions() -> Cel:
    return Cel()


class AnyTask:
    """Takes every name for a task: a definition is simulated without what its tasks do, unless they are given."""

    def __contains__(self, name: object) -> bool:
        return True


class StandIns(Registry):
    """A task of every name, which gives its input back."""

    def find(self, name: str) -> Task | None:
        return Task(name, _echo, takes_context=True)

    def __contains__(self, name: object) -> bool:
        return True


@dataclass(frozen=True)
class Prepared:
    """`items`: the table after the shape's workflows were registered. `plans`: by hash. `checker`: knows the shape's tasks."""

    shape: Shape
    items: tuple[Item, ...]
    plans: Mapping[str, Plan]
    checker: Checker
    registry: Registry | None

    @property
    def workflow(self) -> str:
        return str(self.shape.definition["id"])


def prepare(shape: Shape, registry: Registry | None = None) -> Prepared:
    """Raises Rejected("invalid-definition"). `registry`: the tasks that are really run; None: stand-ins for all of them."""
    checker = Checker(registry if registry is not None else AnyTask(), expressions())
    cloud = MemoryCloud()
    world = World(cloud.store, cloud.lanes, cloud.bus, cloud.blobs, cloud.clock, expressions(), Registry())
    for definition in (*shape.children, shape.definition):
        checked = checker.check(definition)
        if checked.document is None:
            told = checked.errors[0]
            raise Rejected("invalid-definition", f"{told.message} ({told.path or '/'})", status=422, diagnostics=checked.diagnostics)
        register(world, TENANT, checked.document, compile_plan(checked.document, expressions()))
    return Prepared(shape, tuple(cloud.store.items()), dict(world.plans), checker, registry)


# ------------------------------------------------------------------------------------------------ tasks


@dataclass(frozen=True, slots=True)
class Began:
    """An attempt that began. `path`: the step's, as users see it."""

    run_id: str
    path: str
    attempt: int
    at: int
    worker: int


class Host(Protocol):
    """What the tasks need of the simulation that they run in."""

    def is_tried_anew(self, run_id: str) -> bool: ...
    def began(self, run_id: str, path: str, attempt: int) -> None: ...
    def ended(self, run_id: str, path: str) -> None: ...
    def issued(self, token: str) -> None: ...
    def spend(self, ms: int) -> None: ...


@dataclass
class Tasks:
    """`engine.world.Tasks` of one simulation: the tasks `do` and `later` of the shapes; other names give their input back, or run
    what was given."""

    host: Host
    registry: Registry | None = None
    _known: OrderedDict[str, Task] = field(default_factory=OrderedDict)

    def find(self, name: str) -> Task | None:
        if name not in self._known:
            stand_in = Task(name, {"do": _do, "later": self._later}.get(name, _echo), takes_context=True)
            given = stand_in if self.registry is None else self.registry.find(name)
            if given is None:
                return None
            self._known[name] = self._seen(given)
        return self._known[name]

    def _seen(self, given: Task) -> Task:
        def run(value: Json, context: TaskContext) -> Json:
            self.host.began(context.run_id, context.step_id, context.attempt)
            try:
                if self.registry is None and isinstance(value, dict) and value.get("takes"):
                    self.host.spend(value["takes"])
                if given.function is _do:
                    attempt = context.attempt + (AHEAD if self.host.is_tried_anew(context.run_id) else 0)
                    return _do({"out": context.step_id, **value}, attempt)
                return given.run(value, context)
            finally:
                self.host.ended(context.run_id, context.step_id)

        return Task(given.name, run, True, given.permanent)

    def _later(self, value: Json, context: TaskContext) -> Json:
        """The task of the catalogue that leaves its result to somebody outside."""
        self.host.issued(context.callback().token)
        return LATER


AHEAD = 100  # attempts by which a step is ahead once a person has it tried again: what failed before succeeds then


def _do(value: Json, attempt: Any) -> Json:
    """The task of the catalogue: fails in its first `fails` attempts, then gives `out`, or a text of `size`, or a list of such."""
    if attempt <= value.get("fails", 0):
        raise TaskError(value.get("error", "Broken"), "as it was told to")
    large = "x" * value.get("size", 0)
    return [large] * value["times"] if "times" in value else large or value["out"]


def _echo(value: Json, context: TaskContext) -> Json:
    return value
