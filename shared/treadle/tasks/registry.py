"""Which tasks there are, by name: the built-in ones, functions with the `@task` decorator, and plug-ins of the entry point group
`treadle.tasks`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, overload

from ..core.errors import TaskError
from ..core.model import Json
from .built_in import Outside
from .later import LATER, Callback
from .shapes import Shape, shape_in, shape_of

Function = Callable[..., Json]
PLUGINS: Final = "treadle.tasks"  # entry point group

log = logging.getLogger("treadle.tasks")


def no_callback() -> Callback:
    raise TaskError("NoCallback", "nobody can call back here: only a step's own task may end later", permanent=True)


@dataclass(slots=True)
class TaskContext:
    """What a task may know of the attempt that it is.

    `step_id`: the step's path. `idempotency_key`: the same for every attempt of one step; hand it to whatever must not do the
    work twice. `deadline`: when the attempt times out, seconds since the epoch. `callback()`: a token by which somebody outside
    ends this attempt; a task that has handed it on returns `LATER`. `heartbeat()` is False, and `is_cancelled()` True, once nobody
    waits for the attempt any more: a second after the run was cancelled at the latest, or when its time is over.
    """

    run_id: str
    step_id: str
    attempt: int
    idempotency_key: str
    deadline: float
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    heartbeat: Callable[..., bool] = field(default=lambda details=None: True)
    is_cancelled: Callable[[], bool] = field(default=lambda: False)
    callback: Callable[[], Callback] = no_callback


@dataclass(frozen=True, slots=True)
class Task:
    """`permanent`: names of errors that are not worth another attempt. `takes`, `gives`: what its input and its result must be.
    `isolated`: it runs in a process of its own, which is killed at its time."""

    name: str
    function: Function
    takes_context: bool
    permanent: tuple[str, ...] = ()
    takes: Shape | None = None
    gives: Shape | None = None
    isolated: bool = False

    def __call__(self, *given: Any, **named: Any) -> Json:
        """The function itself, for its own unit tests."""
        return self.function(*given, **named)

    def run(self, given: Json, context: TaskContext) -> Json:
        """Raises TaskError: InputInvalid, OutputInvalid; and whatever the function raises."""
        output = self.call(given if self.takes is None else self.takes.read(given), context)
        return output if self.gives is None or output is LATER else self.gives.written(output)

    def call(self, given: Any, context: TaskContext) -> Any:
        """The function, unchecked."""
        return self.function(given, context) if self.takes_context else self.function(given)

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """JSON Schema 2020-12 of what `with` must give; None: anything."""
        return None if self.takes is None else self.takes.schema(of_output=False)

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema 2020-12 of its result; None: any JSON."""
        return None if self.gives is None else self.gives.schema(of_output=True)

    def handler(self, event: Any, context: Any) -> Any:
        """This task as a Lambda of its own, invoked by the task `lambda` or by anybody else (docs/how-to/write-a-task.md)."""
        from .answering import answer

        return answer(self, event, context)


@overload
def task(function: Function, /) -> Task: ...
@overload
def task(
    *, name: str | None = None, permanent: tuple[str, ...] = (), input: Any = None, output: Any = None, isolated: bool = False
) -> Callable[[Function], Task]: ...
def task(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    permanent: tuple[str, ...] = (),
    input: Any = None,
    output: Any = None,
    isolated: bool = False,
) -> Task | Callable[[Function], Task]:
    """Make a function a task: `@task` or `@task(name="charge", permanent=("CardDeclined",))`.

    `input`, `output`: a pydantic model or a JSON Schema each; where they are left out, the models that the annotations name.
    `isolated`: in a process of its own. Raises TypeError for what is neither.
    """

    def decorate(function: Function) -> Task:
        parameters = _positional(function)
        takes = shape_of(input) or (shape_in(function, parameters[0]) if parameters else None)
        gives = shape_of(output) or shape_in(function, "return")
        return Task(name or function.__name__, function, len(parameters) >= 2, permanent, takes, gives, isolated)

    return decorate if function is None else decorate(function)


def _positional(function: Function) -> list[str]:
    """Names of the parameters that can be given by place: the input, and perhaps the context."""
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        signature = inspect.signature(function)
    except NameError:  # an annotation that is there for type checkers only; from Python 3.14 on they are evaluated here
        as_text: dict[str, Any] = {"annotation_format": 4}  # annotationlib.Format.STRING
        signature = inspect.Signature.from_callable(function, **as_text)
    return [name for name, parameter in signature.parameters.items() if parameter.kind in by_place]


def echo(given: Json) -> Json:
    """Returns its input (for trials and tests)."""
    return given


def built_in(outside: Outside) -> Iterator[Task]:
    yield task(echo)
    for name, function in outside.tasks():
        yield Task(name, function, takes_context=True)


class Registry:
    """Tasks by name. `in` and iteration give names. A task of one's own stands before a built-in one of the same name."""

    def __init__(self, tasks: Iterable[Task] = (), outside: Outside | None = None) -> None:
        self._tasks = {known.name: known for known in (*built_in(outside or Outside()), *tasks)}

    @classmethod
    def load(cls, *sources: Any, plugins: bool = True, outside: Outside | None = None, strict: bool = True) -> Registry:
        """`sources`: Task objects, plain functions, modules, module names, paths of Python files, or lists of these. `outside`: what
        the built-in tasks may reach; nothing by default.

        Raises ImportError with what could not be loaded; BrokenTask for a plug-in, unless not `strict`: then its steps fail with it.
        """
        found = [_plugin(point, strict) for point in entry_points(group=PLUGINS)] if plugins else []
        for source in sources:
            found += _tasks_of(source)
        return cls(found, outside)

    def find(self, name: str) -> Task | None:
        return self._tasks.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


class BrokenTask(ImportError):
    """A package that is installed names a task that cannot be loaded."""


def plugged(point: EntryPoint) -> Task:
    """Raises BrokenTask, whatever the package raised."""
    try:
        loaded = point.load()
        return loaded if isinstance(loaded, Task) else task(name=point.name)(loaded)
    except (Exception, SystemExit) as fault:
        told = f"task {point.name} of the package {package_of(point)} cannot be loaded: {type(fault).__name__}: {fault}"
        raise BrokenTask(f"{told}; mend the package, or uninstall it") from fault


def package_of(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value.partition(":")[0]


def _plugin(point: EntryPoint, strict: bool) -> Task:
    """One that breaks takes nothing with it but the steps that name it."""
    try:
        return plugged(point)
    except BrokenTask as broken:
        if strict:
            raise
        log.error("a task was left out: %s", broken)
        told = str(broken)

    def fails(given: Json) -> Json:
        raise TaskError("TaskNotFound", told, permanent=True)

    return Task(point.name, fails, takes_context=False)


def _tasks_of(source: Any) -> list[Task]:
    match source:
        case None:
            return []
        case Task():
            return [source]
        case types.ModuleType():
            return [value for value in vars(source).values() if isinstance(value, Task)]
        case list() | tuple() | set():
            return [found for inner in source for found in _tasks_of(inner)]
        case str() | os.PathLike():
            return _tasks_of(_module(os.fspath(source)))
        case _ if callable(source):
            return [task(source)]
    raise ImportError(f"tasks come from functions, modules or files, not from {source!r}")


def _module(name: str) -> types.ModuleType:
    """A module by its name, or by the path of its file."""
    if not name.endswith(".py") and os.sep not in name:
        return importlib.import_module(name)
    unique = "treadle_tasks_" + "".join(char if char.isalnum() else "_" for char in os.path.abspath(name))
    spec = importlib.util.spec_from_file_location(unique, name)
    if spec is None or spec.loader is None or not os.path.exists(name):
        raise ImportError(f"there is no file of tasks {name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    spec.loader.exec_module(module)
    return module
