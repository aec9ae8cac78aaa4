"""A forEach over many items: what one worker holds in memory, and what each item costs.

The worker is a process of its own, as a Lambda is, with nothing in it but the engine; table, queues, bus and objects are in
this one, in memory, and answer through a pipe. What the worker's process takes at most is read from the kernel after each kind of message,
so it is what the engine needs beside Python and boto3, and not what the table would.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import resource
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from .. import topology
from ..engine import Settings
from ..simulation.items import size_bytes
from ..simulation.memory import MemoryCloud

LAMBDA_MB: Final = next(function.memory_mb for function in topology.FUNCTIONS if function.name == "dispatcher")
RUN_ID: Final = "list0"
CHUNK: Final = Settings().chunk_size
_PORTS = ("store", "lanes", "bus", "blobs")
_INVOCATION_MS = topology.FUNCTION_TIMEOUT_S * 1000
_WRITES = ("store.put", "store.update", "store.delete")


@dataclass
class Measured:
    """`peak_mb`: of the worker's process, by kind of message. boto3 and its clients, which it does without here, take some 40 more."""

    items: int
    calls: Counter[str] = field(default_factory=Counter)
    write_units: int = 0
    peak_mb: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        calls = sum(self.calls.values())
        per_item = {"aws_calls": round(calls / self.items, 4), "dynamodb_wru": round(self.write_units / self.items, 4)}
        return {"n": self.items, "per_item": per_item, "peak_mb": self.peak_mb}


def definition() -> dict[str, Any]:
    steps = [
        {"id": "list", "task": "make", "with": {"n": "${input.n}"}},
        {"id": "each", "after": ["list"], "forEach": "steps.list.output", "task": "echo", "with": {"id": "${item.id}", "is": "done"}},
        {"id": "last", "after": ["each"], "set": "${steps.each.outcome}"},
    ]
    return {"id": "bench-list", "name": "A long list", "version": "1.0.0", "steps": steps, "output": "${steps.last.output}"}


def measure(items: int) -> Measured:
    """One run. Raises RuntimeError if it does not succeed."""
    cloud, measured = MemoryCloud(), Measured(items)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    worker = context.Process(target=_work, args=(theirs,), daemon=True)
    worker.start()
    theirs.close()  # so that a worker that died is noticed
    served = _Served(cloud, mine, measured)
    served.ask("start", items)
    handled = 0
    while (received := _next(cloud)) is not None:
        served.ask(received.queue, received.body)
        cloud.lanes.delete(received.queue, received.receipt)
        handled += 1
        if handled == items // CHUNK // 2:
            served.ask("sweeper", None)  # comes by in the middle: its cost is not the loop's
    status = served.ask("status", None)
    served.ask("end", None)
    worker.join()
    if status != "succeeded":
        raise RuntimeError(f"a run over {items} items ended {status}")
    return measured


def _next(cloud: MemoryCloud) -> Any:
    return next((received for queue in topology.QUEUES for received in cloud.lanes.receive(queue.name, 1)), None)


@dataclass
class _Served:
    """Hands the worker a message, and answers its calls until it is done with it."""

    cloud: MemoryCloud
    pipe: Connection
    measured: Measured
    is_aside: bool = False  # what is done now is neither counted nor sent

    def ask(self, what: str, body: Any) -> Any:
        self.is_aside = what == "sweeper"
        self.pipe.send((what, body))
        while True:
            kind, *told = self.pipe.recv()
            if kind == "done":
                return self._done(what, body, *told)
            self._answer(*told)

    def _answer(self, port: str, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        call = f"{port}.{method}"
        if self.is_aside:
            is_kept = call != "lanes.send"  # what it would send again lies in the queue anyway
            self.pipe.send(getattr(getattr(self.cloud, port), method)(*args, **kwargs) if is_kept else None)
            return
        before = self.cloud.store._items.get(self._key(call, args)) if call in _WRITES else None
        answer = getattr(getattr(self.cloud, port), method)(*args, **kwargs)
        self.measured.calls[call] += math.ceil(len(args[0]) / 10) if call == "lanes.send" else 1
        if call in _WRITES:
            after = self.cloud.store._items.get(self._key(call, args))
            sizes = [size_bytes(item) for item in (before, after) if item is not None]
            self.measured.write_units += max(1, math.ceil(max(sizes, default=0) / 1024))
        self.pipe.send(answer)

    @staticmethod
    def _key(call: str, args: tuple[Any, ...]) -> tuple[str, str]:
        return (args[0]["pk"], args[0]["sk"]) if call == "store.put" else args[0]

    def _done(self, what: str, body: Any, answer: Any, peak_mb: float) -> Any:
        name = json.loads(body)["kind"] if what.startswith("lane-") else what
        if what != "status" and what != "end":
            self.measured.peak_mb[name] = max(self.measured.peak_mb.get(name, 0), peak_mb)
        return answer


# ------------------------------------------------------------------------------------------------ the worker's process


class _Far:
    """A port whose calls go through the pipe."""

    def __init__(self, pipe: Connection, name: str) -> None:
        self._pipe, self._name = pipe, name

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._pipe.send(("call", self._name, method, args, kwargs))
            return self._pipe.recv()

        return call


def _work(pipe: Connection) -> None:
    from ..cel import Cel
    from ..core.plan import compile_plan
    from ..engine import Engine, World
    from ..engine.starting import StartRequest, register, start
    from ..tasks.registry import Registry, Task
    from ..wiring import SystemClock

    make = Task("make", lambda given: [{"id": number} for number in range(given["n"])], takes_context=False)
    store, lanes, bus, blobs = (_Far(pipe, name) for name in _PORTS)
    world = World(store, lanes, bus, blobs, SystemClock(), Cel(), Registry([make, *_built_in()]))
    engine = Engine(world)
    while True:
        what, body = pipe.recv()
        _forget_peak()
        answer: Any = None
        if what == "start":
            plan = compile_plan(definition(), world.expressions)
            register(world, "bench", definition(), plan)
            start(world, StartRequest("bench", plan.hash, {"n": body}, RUN_ID))
        elif what == "status":
            control = world.store.get((RUN_ID, "!")) or {}
            answer = control.get("status")
        elif what == "sweeper":
            body = {"schema": 1, "kind": "settle", "run": RUN_ID, "path": ""}
            engine.work(body, world.clock.now() + _INVOCATION_MS)
        elif what.startswith("lane-"):
            engine.work(json.loads(body), world.clock.now() + _INVOCATION_MS)
        elif what in ("completions", "errors"):
            handle = engine.completed if what == "completions" else engine.failed
            handle(json.loads(body)["detail"], world.clock.now() + _INVOCATION_MS)
        pipe.send(("done", answer, _peak_mb()))
        if what == "end":
            return


def _built_in() -> Any:
    from ..tasks.registry import Registry

    registry = Registry.load()
    return [task for name in registry if (task := registry.find(name))]


def _forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return  # then the peak is that of all messages so far


def _peak_mb() -> float:
    try:
        with open("/proc/self/status") as file:
            found = next(line for line in file if line.startswith("VmHWM"))
        return round(int(found.split()[1]) / 1024, 1)
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(most / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
