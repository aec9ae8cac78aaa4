"""The engine inside a test: the same handlers, with moto for DynamoDB, SQS, EventBridge and S3.

    with LocalEngine(tasks=[charge], skip_time=True) as engine:
        run = engine.run("order.yaml", input={"total": 12})
        assert run.status == "succeeded"

Tasks run in threads of the calling process, so that a test can look at what they did.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .core.durations import parse_duration
from .core.errors import Rejected
from .engine.items import run_key
from .local.secrets import Values
from .local.stack import TENANT, Config, Stack
from .stepping import MOST_STEPS
from .viewing import summary
from .views import RunView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .core.model import Json
    from .definition import Diagnostic
    from .operations import Registered
    from .tasks import Outside

__all__ = ["Definition", "LocalEngine"]

Definition = dict[str, Any] | str | bytes | os.PathLike[str]  # data, the text of a definition, or the path of one

_FILE_ENDINGS = (".yaml", ".yml", ".json")
MAX_RUNS = 100_000
_FINAL = ("succeeded", "failed", "cancelled", "timedOut")


class LocalEngine:
    """Use it as a context manager.

    `tasks`: functions, modules, module names, paths of Python files, or lists of these. `skip_time`: waits, delays and
    back-offs take no real time: the clock jumps when no task runs and no message is due, as soon as somebody waits (or half
    a second later); it does not jump between a `wait` that returned and what the test does next. All times in a run are the
    logical clock's. `config`: the engine's settings, and `allow` and `extensions` as a deployment has them. `hooks`: objects that
    are told what happens. `outside`: what the tasks http, lambda and aws may reach, and by what; a test gives an `invoke` of its own.
    `secrets`: what `secrets.NAME` stands for, by name; others are looked for in the local account's Secrets Manager, as
    `treadle/local/NAME`.

    Refusals are raised as `core.errors.Rejected`, with `.code` and `.diagnostics`.
    """

    def __init__(
        self,
        tasks: Any = (),
        *,
        skip_time: bool = False,
        config: Config = None,
        hooks: Sequence[object] = (),
        outside: Outside | None = None,
        secrets: Values | None = None,
    ) -> None:
        self._stack = Stack(tasks, config=config, skip_time=skip_time, hooks=hooks, outside=outside, secrets=secrets)

    def __enter__(self) -> LocalEngine:
        self._stack.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def stack(self) -> Stack:
        """What it is made of: `.cloud` (moto, the clients), `.pump` (counts, `kill`), `.operations`."""
        return self._stack

    # --------------------------------------------------------------------------------------------- definitions

    def validate(self, definition: Definition) -> list[Diagnostic]:
        """Every fault and warning; empty when all is well."""
        return self._stack.operations.validate(_source(definition))

    def register(self, definition: Definition) -> Registered:
        """Keep it under its id and version, for child workflows and for `stack.operations.start`."""
        with self._stack.pump.request():
            return self._stack.operations.register(TENANT, _source(definition))

    # ---------------------------------------------------------------------------------------------------- runs

    def run(self, definition: Definition, input: Json = None, *, timeout: float = 30) -> RunView:
        """From start to end. Raises TimeoutError after `timeout` seconds of real time."""
        return self.wait(self.start(definition, input), timeout=timeout)

    def start(self, definition: Definition, input: Json = None, *, key: str | None = None) -> str:
        """The id of the new run, which moves on by itself. `key`: the same one again is the same run. An input that is not
        given is an empty object."""
        given = {} if input is None else _json(input, "input")
        with self._stack.pump.request():
            return self._stack.operations.run_definition(TENANT, _source(definition), given, key=key).id

    def wait(self, run_id: str, status: str | None = None, *, timeout: float = 30) -> RunView:
        """The run, once it has `status` (None: a final one). Raises TimeoutError; also at once, for a run that has ended with
        another status."""

        def look() -> RunView | None:
            seen = self._status(run_id)
            is_there = seen in _FINAL if status is None else seen == status
            return self.show(run_id) if is_there or (status is not None and seen in _FINAL) else None

        found = self._stack.pump.wait(look, timeout)
        if found is None or (status is not None and found.status != status):
            wanted = status or "a final status"
            raise TimeoutError(f"run {run_id} is {self._status(run_id)}, not {wanted}, after {timeout:g} s")
        return found

    def pass_time(self, duration: str, *, timeout: float = 30) -> None:
        """`3d`, with all that happens meanwhile, such as what schedules start: with `skip_time` only.

        Raises TimeoutError after `timeout` seconds of real time.
        """
        clock = self._stack.cloud.clock
        if not clock.skip:
            raise ValueError("time passes by itself: it is skipped by LocalEngine(skip_time=True)")
        if not self._stack.pump.pass_time(clock.now() + parse_duration(duration), timeout):
            raise TimeoutError(f"{duration} have not passed after {timeout:g} s")

    def _status(self, run_id: str) -> str:
        control = self._stack.operations.world.store.get(run_key(run_id))
        return summary(control).status if control else self.show(run_id).status  # which says that there is no such run

    def show(self, run_id: str) -> RunView:
        """The run as it is now."""
        return self._stack.operations.show(TENANT, run_id, limit=MOST_STEPS)

    def runs(self, workflow: str) -> list[RunView]:
        """All runs of a workflow, newest first: those that its triggers started as well. Each as a summary."""
        return self._stack.operations.runs(TENANT, workflow=workflow, limit=MAX_RUNS)[0]

    def history(self, run_id: str) -> list[dict[str, Any]]:
        """What happened in the run, in order of time."""
        return self._stack.operations.history(TENANT, run_id)

    def input_of(self, run_id: str, step: str) -> dict[str, Any]:
        """What the step's latest attempt was given: `{input, from, template, ...}`."""
        return self._stack.operations.inputs.of(TENANT, run_id, step)

    # ------------------------------------------------------------------------------- what people may do to one

    def signal(self, run_id: str, name: str, payload: Json = None) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.signal(TENANT, run_id, name, _json(payload, "payload"))

    def approve(self, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.approve(TENANT, run_id, step, by=by, comment=comment)

    def reject(self, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.reject(TENANT, run_id, step, by=by, comment=comment)

    def decide(
        self, run_id: str, step: str, choice: Literal["retry", "skip", "fail"], *, input: Json = None, output: Json = None
    ) -> RunView:
        """What becomes of a step that failed and waits for a person."""
        with self._stack.pump.request():
            return self._stack.operations.decide(TENANT, run_id, step, choice, input=input, output=output)

    def succeed(self, token: str, output: Json = None) -> None:
        """End a step that waits for a callback, as whoever has its token does."""
        with self._stack.pump.request():
            self._stack.operations.succeed(token, output)

    def fail(self, token: str, error: str, message: str = "", details: Json = None) -> None:
        with self._stack.pump.request():
            self._stack.operations.fail(token, error, message, details)

    def heartbeat(self, token: str) -> None:
        with self._stack.pump.request():
            self._stack.operations.heartbeat(token)

    def pause(self, run_id: str) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.pause(TENANT, run_id)

    def resume(self, run_id: str) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.resume(TENANT, run_id)

    def cancel(self, run_id: str) -> RunView:
        with self._stack.pump.request():
            return self._stack.operations.cancel(TENANT, run_id)

    def retry(self, run_id: str, from_step: str | None = None, *, input: Json = None) -> RunView:
        """Again, from what failed or from `from_step`."""
        with self._stack.pump.request():
            return self._stack.operations.retry(TENANT, run_id, from_step=from_step, input=input)

    def amend(self, run_id: str, definition: Definition) -> RunView:
        """Change the plan of what has not begun yet."""
        with self._stack.pump.request():
            self._stack.operations.amend(TENANT, run_id, _source(definition))
        return self.show(run_id)


def _json(value: Any, what: str) -> Any:
    """As it is, if JSON can hold it. Raises Rejected ("invalid-number", "invalid-input"): over HTTP nothing else comes in."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
        json.loads(text, parse_constant=_number, parse_int=_number, parse_float=_number)
    except (TypeError, ValueError, RecursionError) as fault:
        raise Rejected("invalid-input", f"the {what} is no JSON: {fault}", status=422) from None
    return value


def _number(text: str) -> None:
    """Raises Rejected for what no whole number of 64 bits, and no other number, is."""
    if text.endswith(("NaN", "Infinity")) or (text.removeprefix("-").isdecimal() and not -(2**63) <= int(text) < 2**63):
        raise Rejected("invalid-number", f"{text[:24]} is no JSON number, or has more than 64 bits")


def _source(definition: Definition) -> Definition:
    """A string of one line that ends like a file's name is a path; any other is the text itself."""
    is_path = isinstance(definition, str) and "\n" not in definition and definition.endswith(_FILE_ENDINGS)
    return Path(definition) if is_path else definition  # type: ignore[arg-type]
