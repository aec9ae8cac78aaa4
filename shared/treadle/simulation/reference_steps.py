"""The reference interpreter, part one: a step by itself. Its modifiers from the outside in, then its action.

`when`, `catch` belong to the step as a whole; `forEach` and `repeat` give units; `retry`, `timeout` and `output` belong to each unit.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.durations import parse_duration
from ..core.errors import TaskError
from ..core.moments import from_rfc3339
from ..tasks import TaskContext
from ..tasks.later import LATER, Callback
from .processes import Cancelled, Future, Mailbox, Process
from .reference_values import ANY_TEXT, FAILED, NEXT, Definition, End, Env, Failure, How, Json, Record, Retry, matches

if TYPE_CHECKING:
    from .reference import RunOf

LARGEST_EVENT = 200 * 1024  # bytes of its detail: what the bus takes, with room for what goes around it

Act = Callable[["RunOf", Definition, str, Env], Awaitable[Json]]


async def perform(run: RunOf, step: Definition, path: str, env: Env) -> End:
    """A step from its `when` to its `catch`."""
    try:
        if "when" in step and not env.holds(step["when"]):
            return End(How.BYPASSED)
        output = await _body(run, step, path, env)
    except Failure as failure:
        if "forEach" in step or "repeat" in step or not run.records[path].attempts:
            run.after_attempt(1)  # of the step as a whole
        run.records[path].has_failed = True
        await _after_failure(run, path)
        return _caught(step, path, env, failure)
    return End(How.SUCCEEDED, output, chosen=tuple(output["chosen"]) if "switch" in step else ())


async def _after_failure(run: RunOf, path: str) -> None:
    """Others may move between a failure and what it leads to."""
    with run.kernel.labelled(run.label(path) + FAILED):
        await run.kernel.sleep(0)


async def _at_its_end(run: RunOf, body: Awaitable[Json]) -> Json:
    """Of a loop or a group: others may move between the last end inside of it and its own."""
    try:
        output = await body
    except Failure:
        await run.kernel.sleep(0)
        raise
    await run.kernel.sleep(0)
    return output


def _caught(step: Definition, path: str, env: Env, failure: Failure) -> End:
    for entry in step.get("catch", []):
        if matches(failure.name, entry["errors"]):
            if "then" in entry:
                return End(How.CAUGHT, failure=failure, chosen=(entry["then"],))
            error = {"name": failure.name, "message": failure.message, "step": path}
            try:
                return End(How.SUCCEEDED, env.having(error=error).render(entry["output"]))
            except Failure as second:
                return End(How.FAILED, failure=second)
    return End(How.FAILED, failure=failure)


async def _body(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    if "forEach" not in step and "repeat" not in step:
        return await unit(run, step, path, env)
    return await _at_its_end(run, (_for_each if "forEach" in step else _repeat)(run, step, path, env))


# -------------------------------------------------------------------------------------------------------------- loops


def _items(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return [{"key": key, "value": value[key]} for key in sorted(value)]
    if isinstance(value, list):
        return value
    raise Failure("ExpressionError", "forEach needs a list or a map")


async def _for_each(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    items = _items(env.evaluate(step["forEach"]))
    outputs: list[Json] = [None] * len(items)
    ends: Mailbox[tuple[int, Failure | None]] = Mailbox(run.kernel)

    async def one(index: int) -> None:
        inner = env.having(item=items[index], index=index)
        failure = await _recorded(run, f"{path}[{index}]", lambda at: unit(run, step, at, inner), run.records[path].before)
        outputs[index] = run.records[f"{path}[{index}]"].output
        ends.put((index, failure))

    waiting = list(range(len(items)))
    running: dict[int, Process[None]] = {}
    failures = 0
    exceeded: Failure | None = None
    while waiting or running:
        while waiting and len(running) < step.get("maxConcurrency", len(items)):
            index = waiting.pop(0)
            running[index] = run.kernel.spawn(one(index), run.label(f"{path}[{index}]"))
        ended, failure = await ends.get()
        del running[ended]
        failures += failure is not None
        if exceeded is None and failure is not None and _is_too_many(failures, len(items), step.get("tolerate", {"failures": 0})):
            exceeded = failure
            waiting.clear()
            for index in [index for index in running if not _has_failed(run, f"{path}[{index}]")]:
                running.pop(index).cancel()
    if exceeded is not None:
        raise exceeded
    return outputs


def _has_failed(run: RunOf, path: str) -> bool:
    """Such an item is not cancelled any more."""
    return path in run.records and run.records[path].has_failed


def _is_too_many(failures: int, items: int, tolerate: Definition) -> bool:
    if "percent" in tolerate:
        return bool(failures * 100 > tolerate["percent"] * items)
    return bool(failures > tolerate["failures"])


async def _repeat(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    loop = step["repeat"]
    previous: Json = None
    iteration = 0
    while True:
        if "while" in loop and not env.having(iteration=iteration, previous=previous).holds(loop["while"]):
            return previous
        if iteration == loop["max"]:
            raise Failure("LoopLimit", f"more than {iteration} iterations")
        inner = env.having(iteration=iteration, previous=previous)
        at = f"{path}[{iteration}]"
        pause_ms = parse_duration(loop["delay"]) if iteration and "delay" in loop else 0
        before = (*run.records[path].before, *([f"{path}[{iteration - 1}]"] if iteration else []))
        if not pause_ms:
            with run.kernel.labelled(run.label(at) + NEXT):
                await run.kernel.sleep(0)  # others may move before it
        with run.kernel.labelled(run.label(at)):
            failure = await _recorded(run, at, lambda at, inner=inner, pause_ms=pause_ms: _delayed(run, step, at, inner, pause_ms), before)  # type: ignore[misc]
        if failure is not None:
            raise failure
        previous = run.records[at].output
        if "until" in loop and env.having(iteration=iteration, previous=previous).holds(loop["until"]):
            return previous
        iteration += 1


async def _delayed(run: RunOf, step: Definition, path: str, env: Env, pause_ms: int) -> Json:
    """The pause belongs to the iteration behind it."""
    if pause_ms:
        record = run.records[path]
        record.is_delayed = True
        await run.kernel.sleep(pause_ms)
        record.is_delayed = False
    return await unit(run, step, path, env)


async def _recorded(run: RunOf, path: str, work: Callable[[str], Awaitable[Json]], before: tuple[str, ...]) -> Failure | None:
    """One item or iteration: its own path has its own state."""
    record = run.records[path] = Record(before=before)
    try:
        try:
            record.output = await work(path)
        except Failure:
            record.has_failed = True
            await _after_failure(run, path)
            raise
    except Failure as failure:
        run.note_end(path, record, "failed", failure)
        return failure
    except Cancelled:  # in a pause, it may be before its first attempt
        run.note_end(path, record, "cancelled" if record.attempts or record.is_delayed else "skipped")
        raise
    run.note_end(path, record, "succeeded")
    return None


# --------------------------------------------------------------------------------------------------- unit and attempts


async def unit(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    """One run of the action with its attempts."""
    default = None if "group" in step else run.default_retry
    retry = Retry.of(step.get("retry", default))
    attempt = 1
    while True:
        with run.kernel.labelled(run.label(path) + NEXT):
            await run.goes_on()
        run.records[path].attempts = attempt
        try:
            result = await _attempt(run, step, path, env)
            return env.having(result=result).render(step["output"]) if "output" in step else result
        except Failure as failure:
            if not run.after_attempt(attempt) or not retry.allows(failure, attempt):
                raise
            with run.kernel.labelled(run.label(path) + NEXT):
                await run.kernel.sleep(retry.pause_ms(attempt))
        attempt += 1
        run.forget_inside(path)


async def _attempt(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    act = _action(step)
    if "timeout" not in step:
        return await act(run, step, path, env)
    process = run.kernel.spawn(_acting(act, run, step, path, env))
    timer = run.kernel.sleep(parse_duration(step["timeout"]))
    if await run.kernel.first(process, timer) is timer:
        process.cancel()
        raise Failure("Timeout", f"not done within {step['timeout']}")
    return process.result()


async def _acting(act: Act, run: RunOf, step: Definition, path: str, env: Env) -> Json:
    return await act(run, step, path, env)


# ------------------------------------------------------------------------------------------------------------- actions


def _action(step: Definition) -> Act:
    return next(act for name, act in _ACTIONS.items() if name in step)


async def _task(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    """Or an earlier result of the same task and key."""
    if "cache" not in step:
        return await _worked(run, step, path, env)
    kept = (step["task"], json.dumps(env.evaluate(step["cache"]["key"]), sort_keys=True))
    taken = run.reference.cache.get(kept)
    if taken is not None and run.kernel.now < taken[0]:
        return taken[1]
    result = await _worked(run, step, path, env)
    run.reference.cache[kept] = (run.kernel.now + parse_duration(step["cache"]["ttl"]), result)
    return result


async def _worked(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    given = env.render(step.get("with", {}))
    task = run.reference.tasks.find(step["task"])
    if task is None:
        raise Failure("TaskNotFound", step["task"])
    record = run.records.get(path)
    context = TaskContext(run.id, path, record.attempts if record else 1, f"{run.id}/{path}", 0.0, logging.getLogger(__name__))
    context.callback = lambda: Callback("")
    try:
        result = task.run(given, context)
        return await run.answers.wait_for(path, step) if result is LATER else result
    except Failure:
        raise
    except TaskError as error:
        raise Failure(error.name, error.message, error.permanent or error.name in task.permanent) from None
    except Exception as error:  # noqa: BLE001 (whatever a task raises is its failure)
        name = type(error).__name__
        raise Failure(name, str(error), name in task.permanent) from None


async def _set(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    return env.render(step["set"])


async def _wait(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    if isinstance(step["wait"], str):
        await run.kernel.sleep(parse_duration(step["wait"]))
        return None
    moment = env.evaluate(step["wait"]["until"])
    try:
        ends_at = from_rfc3339(moment)
    except (TypeError, ValueError):
        raise Failure("ExpressionError", "wait.until gives no timestamp") from None
    await run.kernel.sleep(max(0, ends_at - run.kernel.now))
    return None


async def _signal(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    return await _within(run, step["signal"].get("timeout"), run.signals.wait_for(step["signal"]["name"], run.label(path)))


async def _approval(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    decision: Future[Json] = Future(run.kernel)
    env.render(step["approval"].get("message", ""))
    run.approvals[path] = decision, step["approval"].get("by")
    try:
        return await _within(run, step["approval"].get("timeout"), decision)
    finally:
        del run.approvals[path]


async def _within(run: RunOf, timeout: str | None, future: Future[Json]) -> Json:
    try:
        if timeout is not None:
            timer = run.kernel.sleep(parse_duration(timeout))
            if await run.kernel.first(future, timer) is timer:
                raise Failure("Timeout", f"nothing came within {timeout}")
        return await future
    finally:
        run.signals.give_up(future)


async def _workflow(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    call = step["workflow"]
    given = env.render(call.get("input", {}))
    child = run.reference.child(call["id"], given, run.label(path))
    if not child.may_start():
        raise Failure("Throttled", "there is no place for it")
    if not call.get("wait", True):
        run.kernel.spawn(child.go(), child.label(), detached=True)
        return ANY_TEXT
    await run.kernel.spawn(child.go(), child.label())
    match child.status:
        case "succeeded":
            return child.output
        case "failed" if child.failure is not None:
            raise Failure(child.failure.name, child.failure.message)
        case _:
            raise Failure("ChildFailed", f"the child ended {child.status}")


async def _emit(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    detail = json.dumps(env.render(step["emit"].get("detail", {})), ensure_ascii=False, separators=(",", ":"))
    if len(detail.encode()) > LARGEST_EVENT:
        raise Failure("ExpressionError", "too large for an event")
    return ANY_TEXT


async def _switch(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    for case in step["switch"]:
        if "else" in case or env.holds(case["when"]):
            chosen = case["else"] if "else" in case else case["then"]
            return {"chosen": [chosen] if isinstance(chosen, str) else list(chosen)}
    return {"chosen": []}


async def _group(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    whole = path.removesuffix("]").rpartition("[")[0] if path.endswith("]") else path
    covers = (run.records[whole],) if "compensate" in step else ()
    scope = run.scope(step["group"], path + ".", replace(env, covers=env.covers + covers))
    await _at_its_end(run, scope.go())
    return scope.output()


async def _fail(run: RunOf, step: Definition, path: str, env: Env) -> Json:
    raise Failure(step["fail"]["error"], env.render(step["fail"].get("message", "")))


_ACTIONS: dict[str, Act] = {
    "task": _task, "set": _set, "wait": _wait, "signal": _signal, "approval": _approval, "workflow": _workflow,
    "emit": _emit, "switch": _switch, "group": _group, "fail": _fail,
}  # fmt: skip
