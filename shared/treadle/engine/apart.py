"""An attempt in a process of its own: the worker waits for what it says, answers what it asks, and kills it at its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.errors import Unavailable
from ..core.model import StepError
from ..tasks.later import Answered, Callback
from .gauge import KILLED, megabytes
from .outcome import COMES_LATER, outcome
from .results import Done, Failed, Result
from .watch import Watch

if TYPE_CHECKING:
    from ..tasks.isolated import Child, Pipe
    from ..tasks.registry import Task, TaskContext
    from .gauge import Measure
    from .secrecy import Given


def in_a_process(task: Task, given: Given, context: TaskContext, watch: Watch, measure: Measure | None = None) -> Result:
    from ..tasks.isolated import child

    def work(pipe: Pipe) -> None:
        try:
            pipe.send(_to_json(outcome(task, given, _asking(context, pipe))))
        except Unavailable as raised:
            pipe.send({"unavailable": str(raised)})

    with child(work) as it:
        result = _wait_for(it, context, watch)
    if measure is not None and it.maxrss:
        measure.apart_mb = megabytes(it.maxrss)
    return result


def _wait_for(it: Child, context: TaskContext, watch: Watch) -> Result:
    while True:
        try:
            told = it.pipe.receive(watch.left_s)
            if told is None:
                error = watch.fault()
                if error is None:
                    continue
                return Failed(error)
            if "ask" not in told:
                return _from_json(told)
            it.pipe.send(_answer(told, context))
        except Answered:
            return COMES_LATER
        except (EOFError, OSError):
            how = it.end()
            details = KILLED if it.signal == KILLED["signal"] else None
            return Failed(StepError("TaskFailed", f"the task's process {how} before it had a result", details))


def _answer(asked: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Raises Answered, Unavailable."""
    match asked["ask"]:
        case "heartbeat":
            return {"answer": context.heartbeat(asked["details"])}
        case "is_cancelled":
            return {"answer": context.is_cancelled()}
        case _:
            issued = context.callback()
            return {"token": issued.token, "url": issued.url}


def _asking(context: TaskContext, pipe: Pipe) -> TaskContext:
    """The context in the process: what it is asked, it asks the worker."""

    def ask(what: str, **more: Any) -> dict[str, Any]:
        pipe.send({"ask": what, **more})
        return pipe.receive() or {}

    def callback() -> Callback:
        issued = ask("callback")
        return Callback(issued["token"], issued["url"])

    return replace(
        context,
        heartbeat=lambda details=None: bool(ask("heartbeat", details=details)["answer"]),
        is_cancelled=lambda: bool(ask("is_cancelled")["answer"]),
        callback=callback,
    )


def _to_json(result: Result) -> dict[str, Any]:
    match result:
        case Done(output):
            return {"output": output}
        case Failed(error):
            return {"error": {**error.to_json(), "permanent": error.permanent}}
        case _:
            return {"later": True}


def _from_json(told: dict[str, Any]) -> Result:
    """Raises Unavailable."""
    if "unavailable" in told:
        raise Unavailable(told["unavailable"])
    if "error" in told:
        return Failed(StepError(**told["error"]))
    return COMES_LATER if "later" in told else Done(told["output"])
