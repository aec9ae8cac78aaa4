"""What steps were given: for whoever looks into a failure, and wants to try it with something else.

It is made again from the facts, which do not change: nothing is kept for it. Its address (`engine.addresses`) stands in what is told
of a failure. Secrets are `***` in it; where those still stand in an input that somebody edits and sends back, the secrets are
filled in again (`engine.secrecy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .core import paths
from .core.errors import Conflict, ExpressionFault, NotFound, Rejected
from .core.expressions import evaluate
from .core.model import Json, StepError
from .core.plan import Step
from .engine.actions import expression_error
from .engine.control import key_of, open_run
from .engine.items import decode, encode, step_key
from .engine.loops import listed
from .engine.names import loop_instances, loop_item, names
from .engine.run import Run
from .engine.secrecy import hidden, secrets_of
from .engine.world import World
from .ports import Item

MOST_BYTES = 5 * 1024 * 1024  # that an answer of the API can hold
_OF_OTHERS = {
    "group": "it is a group, and each step in it has its own",
    "switch": "it is a switch, which only chooses: what its cases read are the steps before it",
}


class Inputs:
    def __init__(self, world: World, most_bytes: int = MOST_BYTES) -> None:
        self._world = world
        self._most_bytes = most_bytes

    def of(self, tenant: str, run_id: str, path: str) -> dict[str, Any]:
        """Of a step's latest attempt: `{run, step, attempt, input, from, template, secrets, error?}`. `from` is `definition`, or
        `person` where one gave it in the place of `template`; `error`: why there is no input to be shown.

        Raises NotFound, Rejected("payload-too-large").
        """
        run = open_run(self._world, run_id, tenant)
        if paths.step_id(path) not in run.plan.steps:
            raise NotFound("step", f"{path} in {run.plan.workflow}")
        told = {"run": run_id, "step": path, **_as_told(_input_of(run, key_of(run, path)))}
        size = len(encode(told).encode())
        if size > self._most_bytes:
            why = f"the input of step {path} has {size} bytes: at most {self._most_bytes} are shown"
            raise Rejected("payload-too-large", why, status=413)
        return told


@dataclass(frozen=True, slots=True)
class _Input:
    """`value`: what it was given; None where that cannot be rendered, with the `error` of it. `template`: as the definition has it.
    `by_person`: a person gave it in the place of that. `secrets`: those that stand as `***` in it."""

    attempt: int
    value: Json
    template: Json
    by_person: bool
    secrets: tuple[str, ...]
    error: StepError | None


def _input_of(run: Run, key: str) -> _Input:
    """Raises NotFound: it was never begun, or is no step that is given anything."""
    step, path = run.step(key), paths.shown(key)
    if _is_whole_loop(step, key):
        raise NotFound("input", f"of step {path}", f"it is a loop, and each of its items has its own ({path}[0])")
    if step.action in _OF_OTHERS:
        raise NotFound("input", f"of step {path}", _OF_OTHERS[step.action])
    item = run.world.store.get(step_key(run.id, key))
    if item is None or not item.get("attempt"):
        raise NotFound("input", f"of step {path}", f"no attempt of it was begun in run {run.id}")
    template = _template_of(step)
    value: Json = None
    error: StepError | None = None
    if "given" in item:
        value = run.world.load(decode(item["given"]))
    else:
        try:
            _find_loop_items(run, key)
            saw = tuple(item["saw"]) if "saw" in item else None
            value = hidden(run, template, names(run, key, seen=saw))
        except ExpressionFault as fault:
            error = expression_error(fault)
    secrets = tuple(secrets_of(template, run.world.expressions))
    return _Input(item["attempt"] - item.get("base", 0), value, template, "given" in item, secrets, error)


def _template_of(step: Step) -> Json:
    match step.action:
        case "task":
            return step.given
        case "workflow":
            return step.spec.get("input", {})
    return step.spec


def _is_whole_loop(step: Step, key: str) -> bool:
    return step.is_loop and paths.index(key) is None


def _find_loop_items(run: Run, key: str) -> None:
    """Of loops around it that have ended: a small list goes with them, and is made again."""
    for instance in reversed(loop_instances(key)):
        loop = paths.whole(instance)
        if run.step(loop).for_each is None:
            continue
        try:
            loop_item(run, instance)
        except Conflict:
            run.loop_items |= {paths.item(loop, at): value for at, value in enumerate(_made_again(run, loop))}


def _made_again(run: Run, loop: str) -> list[Json]:
    header: Item = run.world.store.get(step_key(run.id, loop)) or {}
    saw = tuple(header["saw"]) if "saw" in header else None
    return listed(evaluate(run.step(loop).for_each, run.world.expressions, names(run, loop, seen=saw)))


def _as_told(found: _Input) -> dict[str, Any]:
    """As JSON, for those who ask."""
    told: dict[str, Any] = {"attempt": found.attempt, "input": found.value, "from": "person" if found.by_person else "definition"}
    told |= {"template": found.template, "secrets": list(found.secrets)}
    return told | ({"error": found.error.to_json()} if found.error else {})
