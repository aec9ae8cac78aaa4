"""Carrying out one action of a step: what it gives, why it failed, or what it waits for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..core import paths
from ..core.durations import parse_duration
from ..core.errors import ExpressionFault, Newer
from ..core.expressions import evaluate, render
from ..core.model import SCHEMA, Json, StepError
from ..core.plan import Step
from ..tasks.registry import Task, TaskContext
from ..topology import cached
from . import hooking, outgrown, rendered
from .admission import give_place, keep_place, keep_while_it_waits, place_of, take_place
from .caches import RESULT_HITS, RESULT_MISSES
from .callbacks import Tokens
from .claims import Claim, renew
from .items import INLINE_LIMIT, cache_key, child_of, decode, digest, encode
from .names import names, tries
from .rates import wait_for_turn
from .results import Done, Failed, Held, Result, Waits
from .run import Gate, Run
from .secrecy import Given, SecretsDown, fill, filled_again
from .watch import limit_of

log = logging.getLogger("treadle.tasks")

SECRETS_AGAIN_S = 30  # until a step whose secret could not be read is looked at again
ASKED_EVERY_MS = 1000  # a task that asks more often gets the same answer

_NOBODY_CAN = StepError("OutputInvalid", "the task returned LATER and asked for no callback", permanent=True)


def act(run: Run, claim: Claim, deadline: int) -> Result:
    """One attempt of any action but `group`. `deadline`: ms, when this invocation must have ended."""
    step = run.step(claim.key)
    try:
        bound = names(run, claim.key, seen=claim.saw)
        result = _ACTIONS[step.action](run, step, claim, bound, deadline)
        return reshape(run, step, bound, result.output, result.chosen) if isinstance(result, Done) else result
    except ExpressionFault as fault:
        return Failed(expression_error(fault))


def expression_error(fault: ExpressionFault) -> StepError:
    return rendered.shortened(StepError("ExpressionError", fault.message, permanent=True))


def reshape(run: Run, step: Step, bound: dict[str, Any], result: Json, chosen: tuple[str, ...] = ()) -> Done:
    """The result as the step's `output` modifier gives it. Raises ExpressionFault."""
    if not step.has_output:
        return Done(result, chosen)
    return Done(render(step.output, run.world.expressions, {**bound, "result": result}), chosen)


def boolean(value: Json, what: str) -> bool:
    """Raises ExpressionFault for anything but a boolean."""
    if isinstance(value, bool):
        return value
    raise ExpressionFault(f"{what} must give true or false, not {encode(value)[:100]}")


# ------------------------------------------------------------------------------------------------ the actions


def _set(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    return Done(render(step.spec, run.world.expressions, bound))


def _fail(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    return Failed(rendered.failure(render(step.spec, run.world.expressions, bound)))


def _switch(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    for case in step.spec:
        holds = "else" in case or boolean(evaluate(case["when"], run.world.expressions, bound), "when")
        if holds:
            then = case["else"] if "else" in case else case["then"]
            chosen = (then,) if isinstance(then, str) else tuple(then)
            return Done({"chosen": list(chosen)}, chosen)
    return Done({"chosen": []})


def _emit(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    identity = digest(run.id, claim.key, str(run.generation), "emit", *filter(None, [tries(run, claim.key)]))
    run.events.append(rendered.event(run, render(step.spec, run.world.expressions, bound), identity))
    return Done(identity)


def _wait(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    if isinstance(step.spec, dict):
        until = rendered.moment(evaluate(step.spec["until"], run.world.expressions, bound))
    else:
        until = claim.attempt_at + parse_duration(step.spec)
    if step.timeout is not None and claim.attempt_at + step.timeout < until:
        return Waits({"for": "timer", "fails": True}, claim.attempt_at + step.timeout)
    return Done(None) if until <= run.now else Waits({"for": "timer"}, until)


def _approval(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    asked = render(step.spec or {}, run.world.expressions, bound)
    return Waits({"for": "approval", **rendered.question(asked)}, _earliest(claim, step.timeout, asked.get("timeout")))


def _signal(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    wait = {"for": "signal", "name": step.spec["name"]}
    return Waits(wait, _earliest(claim, step.timeout, step.spec.get("timeout")))


def _workflow(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    asked = render(step.spec, run.world.expressions, bound)
    child = child_of(run.id, claim.key, claim.attempt, run.generation, tries(run, claim.key))
    given = claim.given if claim.given is not None else encode(run.kept(asked.get("input", {})))
    wait = {"for": "child", "child": child, "workflow": asked["id"], "version": asked.get("version"), "input": given}
    return Waits(wait | {"detached": asked.get("wait") is False}, _earliest(claim, step.timeout, None))


def _earliest(claim: Claim, timeout_ms: int | None, timeout: str | None) -> int | None:
    limits = [timeout_ms, parse_duration(timeout) if timeout else None]
    given = [limit for limit in limits if limit is not None]
    return claim.attempt_at + min(given) if given else None


# ------------------------------------------------------------------------------------------------ tasks


def _task(run: Run, step: Step, claim: Claim, bound: dict[str, Any], deadline: int) -> Result:
    task: Task | None = run.world.tasks.find(step.spec)
    if task is None:
        return Failed(StepError("TaskNotFound", f"no task is called {step.spec}", permanent=True))
    cached = _cached(run, step, bound) if claim.given is None else None
    if cached is not None:
        return cached
    try:
        given = _given(run, step, claim, bound)
    except SecretsDown as outage:
        log.warning("a step waits for a secret", extra={"run": run.id, "step": paths.shown(claim.key), "why": str(outage)})
        return Held(SECRETS_AGAIN_S)
    context = context_of(run, step, claim, deadline)
    context.callback = tokens = Tokens(run, step, claim)

    def work() -> Result:
        return call(run, task, given, context, step.timeout, step.heartbeat, deadline)

    place = place_of(run, step, bound)
    if place is not None and not take_place(run, step, claim, place):
        return Held(place=place)
    turn = wait_for_turn(run, step, claim)
    if turn is not None:
        if place is not None:
            give_place(run, claim.key, claim.fence, place)
        return Held(max(1, -(-(turn - run.now) // 1000)), turn)

    def hold(until: int) -> bool:
        return renew(run, claim, until) and (place is None or keep_place(run, claim, place, until))

    with run.world.holding(hold):
        result = hooking.attempt(run, context, step.spec, given.shown, work)
    if isinstance(result, Waits) and tokens.is_issued:
        if place is not None:
            keep_while_it_waits(run, claim, place)
        return tokens.waits(place)
    if place is not None:
        give_place(run, claim.key, claim.fence, place)
    if (larger := outgrown.held(run, claim.key, result)) is not None:
        return larger
    if isinstance(result, Waits):
        return Failed(_NOBODY_CAN)
    if isinstance(result, Done) and claim.given is None:  # what a person gave instead is not what the key stands for
        remember(run, step, bound, result.output)
    return result


def _given(run: Run, step: Step, claim: Claim, bound: dict[str, Any]) -> Given:
    """The task's input: a person's in place of the step's own, or what the step says. Raises ExpressionFault, SecretsDown."""
    if claim.given is not None:
        value = run.world.load(decode(claim.given))
        return filled_again(run, step.given, bound, value) if "secrets" in step.named.roots else Given(value, value)
    if "secrets" in step.named.roots:
        return fill(run, step.given, bound, anew=claim.attempt > 1)
    value = render(step.given, run.world.expressions, bound)
    return Given(value, value)


def context_of(run: Run, step: Step, claim: Claim, deadline: int) -> TaskContext:
    limit_ms = step.timeout if step.timeout is not None else run.world.settings.attempt_timeout_s * 1000
    path = paths.shown(claim.key)
    return TaskContext(
        run_id=run.id,
        step_id=path,
        attempt=claim.number,
        idempotency_key=digest(run.id, path),
        deadline=min(run.now + limit_ms, deadline) / 1000,
        logger=logging.LoggerAdapter(log, {"run": run.id, "step": path, "attempt": claim.number}),
        is_cancelled=_Asking(run, claim.key),
    )


class _Asking:
    """A task asks whether it is cancelled; control answers, at most once a second."""

    def __init__(self, run: Run, key: str) -> None:
        self._run = Run(run.world, run.id, run.control)
        self._key = key
        self._asked_at = -ASKED_EVERY_MS
        self._answer = False

    def __call__(self) -> bool:
        if self._run.now - self._asked_at >= ASKED_EVERY_MS:
            self._asked_at = self._run.now
            self._run.read_control(self._key)
            self._answer = self._run.gate(self._key) is Gate.CLOSED
        return self._answer


def call(run: Run, task: Task, given: Given, context: TaskContext, timeout: int | None, heartbeat: int | None, deadline: int) -> Result:
    """One attempt within its limits (ms); `deadline`: ms, of the invocation. No secret comes back from it."""
    if given.mask:
        about = {"run": run.id, "step": context.step_id, "attempt": context.attempt}
        context.logger = logging.LoggerAdapter(given.mask.logger(log.name), about)
    attempts, usual_s = run.world.attempts, run.world.settings.attempt_timeout_s
    is_limited = attempts.limits_all or timeout is not None or task.isolated
    limit = limit_of(timeout, usual_s, deadline - run.now) if is_limited else None
    observed = run.world.observed
    if observed is None:
        return attempts.call(task, given, context, limit, heartbeat)
    return observed.watch(
        task.name, run.world.own_pool.memory_mb, lambda measure: attempts.call(task, given, context, limit, heartbeat, measure)
    )


def _cached(run: Run, step: Step, bound: dict[str, Any]) -> Result | None:
    if step.cache is None or not run.world.settings.caching:
        return None
    try:
        item = run.world.store.get(_cache_key(run, step, bound), consistent=False)
    except Newer:  # it is kept for an hour or a year; the task itself is here
        item = None
    if item is None or item["until"] <= run.now:
        run.world.caches.count(RESULT_MISSES)
        return None
    run.world.caches.count(RESULT_HITS)
    return Done(run.world.load(decode(item["output"])))


def remember(run: Run, step: Step, bound: dict[str, Any], result: Json) -> None:
    """What the task gave, for as long as the step's `cache` says, if it has one."""
    if step.cache is None or not run.world.settings.caching:
        return
    pk, sk = _cache_key(run, step, bound)
    ttl_ms = parse_duration((step.cache or {})["ttl"])
    until = run.now + ttl_ms
    output = encode(run.world.keep(encode(result), INLINE_LIMIT, owner=cached(ttl_ms)))  # no run's own: others read it
    run.world.store.put({"pk": pk, "sk": sk, "schema": SCHEMA, "output": output, "until": until, "expires": until // 1000 + 86_400})


def _cache_key(run: Run, step: Step, bound: dict[str, Any]) -> tuple[str, str]:
    return cache_key(run.tenant, step.spec, encode(evaluate((step.cache or {})["key"], run.world.expressions, bound)))


_ACTIONS: dict[str, Callable[[Run, Step, Claim, dict[str, Any], int], Result]] = {
    "task": _task,
    "set": _set,
    "fail": _fail,
    "switch": _switch,
    "emit": _emit,
    "wait": _wait,
    "approval": _approval,
    "signal": _signal,
    "workflow": _workflow,
}
