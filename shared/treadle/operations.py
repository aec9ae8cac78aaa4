"""Everything that people can ask for: behind the HTTP API, the inbox, the command line and LocalEngine alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from . import acts, approvals, audit, fits, listing, updating
from .core.errors import NotFound, Rejected, TaskError
from .core.model import Json
from .core.plan import Plan, compile_plan
from .deadletters import DeadLetters
from .definition import Checker, Diagnostic
from .engine import Engine, amending, callbacks, cancelling, checkpoints, control
from .engine.items import decode, digest, run_key, told_error
from .engine.outcome import bounded
from .engine.run import Run
from .engine.starting import Registered, StartRequest, latest_plan, note_unregistered, register, save_plan, start, workflow_key
from .engine.triggers import listed_key
from .given import Inputs
from .health import Health
from .holding import Holds
from .places import Places
from .ports import Item
from .prospects import Prospects
from .story import history
from .viewing import PAGE_OF_STEPS, fresh, shown_status, summary, view
from .views import RunView

Source = dict[str, Any] | str | bytes | os.PathLike[str]

__all__ = ["Operations", "Registered"]


class Operations:
    """All methods are for one tenant: another tenant's things are not found."""

    def __init__(self, engine: Engine, checker: Checker) -> None:
        self.engine = engine
        self.world = world = engine.world
        self.checker = checker
        self.dead_letters, self.inputs, self.prospects = DeadLetters(world), Inputs(world), Prospects(world)
        self.health, self.holds, self.places = Health(world), Holds(world), Places(world)

    # -------------------------------------------------------------------------------------------- definitions

    def validate(self, source: Source) -> list[Diagnostic]:
        return list(self.checker.check(source).diagnostics)

    def compiled(self, source: Source) -> tuple[dict[str, Any], Plan]:
        """Raises Rejected("invalid-definition") with every fault."""
        checked = self.checker.check(source)
        if checked.document is None:
            count = len(checked.errors)
            told = f"the definition has {count} fault{'s' if count > 1 else ''}; the first: {checked.errors[0].message}"
            raise Rejected("invalid-definition", told, status=422, diagnostics=checked.diagnostics)
        return checked.document, compile_plan(fits.completed(self.world.settings, checked.document), self.world.expressions)

    def register(self, tenant: str, source: Source, *, by: str | None = None) -> Registered:
        """Raises Rejected: invalid-definition (422), version-conflict (409)."""
        document, plan = self.compiled(source)
        with audit.asked(self.world, tenant, "register", by, workflow=plan.workflow, version=plan.version, plan=plan.hash):
            return register(self.world, tenant, document, plan)

    def workflows(self, tenant: str, *, limit: int = 100, cursor: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        pk = listed_key(tenant, "")[0]
        page = self.world.store.query(pk, after=(pk, listing.read_cursor(cursor)) if cursor else None, limit=limit)
        shown = [{"id": item["sk"], "name": item.get("name"), "version": item["version"]} for item in page.items if "version" in item]
        return shown, listing.write_cursor(page.after[1]) if page.after else None

    def workflow(self, tenant: str, workflow_id: str, version: str | None = None) -> dict[str, Any]:
        if version is None:
            latest = self.world.store.get(listed_key(tenant, workflow_id))
            if latest is None or "version" not in latest:
                raise NotFound("workflow", workflow_id)
            version = str(latest["version"])
        item = self.world.store.get(workflow_key(tenant, workflow_id, version))
        if item is None:
            raise NotFound("workflow", f"{workflow_id} {version}")
        definition = self.world.load(decode(item["definition"]))
        return {"id": workflow_id, "name": item["name"], "version": version, "plan": item["plan"], "definition": definition}

    # -------------------------------------------------------------------------------------------- starting

    def start(
        self,
        tenant: str,
        workflow_id: str,
        input: Json,
        *,
        version: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        priority: str | None = None,
        key: str | None = None,
        by: str | None = None,
    ) -> RunView:
        """`key`: the same key and request again give the same run.

        Raises NotFound, Rejected: invalid-input (422), idempotency-conflict (409).
        """
        plan = latest_plan(self.world, tenant, workflow_id, version)
        run_id = self._run_id(tenant, workflow_id, key)
        request = StartRequest(tenant, plan, input, run_id, attributes or {}, priority, by=by)
        try:
            return self._start(request)
        except Rejected:
            begun = self.world.store.get(run_key(run_id)) if key is not None and version is None else None
            if begun is None or begun["plan"] == plan:
                raise
            return self._start(replace(request, plan=begun["plan"]))  # asked for again, after a newer version was registered

    def run_definition(self, tenant: str, source: Source, input: Json, *, key: str | None = None, by: str | None = None) -> RunView:
        """Run a definition that nobody registered."""
        _, plan = self.compiled(source)
        request = StartRequest(tenant, plan.hash, input, self._run_id(tenant, plan.workflow, key), by=by)
        fits.check_input(plan, input)
        if plan.hash not in self.world.plans:
            note_unregistered(self.world, tenant, plan)
        save_plan(self.world, plan)
        return self._start(request)

    def _run_id(self, tenant: str, workflow_id: str, key: str | None) -> str:
        if key is not None:
            return digest("key", tenant, workflow_id, key)
        return digest("run", tenant, str(self.world.random.getrandbits(128)), str(self.world.clock.now()))

    def _start(self, request: StartRequest) -> RunView:
        fits.check_input(self.world.plan(request.plan), request.input)
        item, is_new = start(self.world, request)
        return fresh(self.world, item, request.input) if is_new else view(self.world, item, full=False)

    # -------------------------------------------------------------------------------------------- looking

    def show(self, tenant: str, run_id: str, *, full: bool = True, cursor: str | None = None, limit: int = PAGE_OF_STEPS) -> RunView:
        """With at most `limit` steps; `steps_cursor` is then where the next page begins."""
        return view(self.world, self._control(tenant, run_id), full=full, cursor=cursor, limit=limit)

    def history(self, tenant: str, run_id: str) -> list[dict[str, Any]]:
        return history(self.world, self._control(tenant, run_id))

    def definition_of(self, tenant: str, run_id: str) -> Plan:
        return self.world.plan(self._control(tenant, run_id)["plan"])

    def _control(self, tenant: str, run_id: str) -> Item:
        item = self.world.store.get(run_key(run_id))
        if item is None or item["tenant"] != tenant:
            raise NotFound("run", run_id)
        return item

    def runs(
        self,
        tenant: str,
        *,
        workflow: str | None = None,
        status: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        started_after: str | None = None,
        started_before: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[RunView], str | None]:
        """Newest first. `next` is the cursor of the page behind this one."""
        names = [workflow] if workflow is not None else self._workflow_ids(tenant)
        return listing.runs(
            self.world,
            tenant,
            names,
            status=status,
            attributes=attributes,
            started_after=started_after,
            started_before=started_before,
            limit=limit,
            cursor=cursor,
        )

    def _workflow_ids(self, tenant: str) -> list[str]:
        pk = listed_key(tenant, "")[0]
        names: list[str] = []
        after = None
        while True:
            page = self.world.store.query(pk, after=after)
            names += [item["sk"] for item in page.items]
            after = page.after
            if after is None:
                return sorted(names)

    # -------------------------------------------------------------------------------------------- acting

    def signal(self, tenant: str, run_id: str, name: str, payload: Json = None, *, by: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        warnings = fits.check_signal(run, name, payload)
        with acts.noted(run, "signal", by, name=name):  # programs send them in any number: not in the tenant's one chain of records
            control.signal(run, name, payload)
        return view(self.world, run.control, full=False).model_copy(update={"warnings": warnings})

    def approve(self, tenant: str, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        with self._acting(run, "approve", by, path=step, comment=comment):
            control.approve(run, step, by, comment)
        return view(self.world, run.control, full=False)

    def reject(self, tenant: str, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        with self._acting(run, "reject", by, path=step, comment=comment):
            control.reject(run, step, by, comment)
        return view(self.world, run.control, full=False)

    def decide(
        self,
        tenant: str,
        run_id: str,
        step: str,
        choice: Literal["retry", "skip", "fail"],
        *,
        input: Json = None,
        output: Json = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> RunView:
        run = self._run(tenant, run_id)
        given = "input" if input is not None else "output" if output is not None else None
        with self._acting(run, "decide", by, path=step, choice=choice, given=given, reason=reason):
            control.decide(run, step, choice, input, output)
        return view(self.world, run.control, full=False)

    def cancel_step(self, tenant: str, run_id: str, step: str, *, by: str | None = None, reason: str | None = None) -> RunView:
        """The run goes on: a step that has not begun is skipped, one that waits fails with `Cancelled`. Raises NotFound, WrongState."""
        run = self._run(tenant, run_id)
        with self._acting(run, "cancel", by, path=step, reason=reason):
            cancelling.cancel_step(run, step, by)
        return view(self.world, run.control, full=False)

    # Callbacks: the token is the credential, and says whose run it is.

    def know(self, token: str) -> None:
        """Raises NotFound."""
        callbacks.find(self.world, token)

    def succeed(self, token: str, output: Json = None) -> None:
        """The attempt that the token was given for has this result. Raises NotFound, Rejected: already-used (409), too-late (410)."""
        callbacks.answer(self.world, token, {"output": output})

    def fail(self, token: str, error: str, message: str = "", details: Json = None, *, permanent: bool = False) -> None:
        """It failed, with an error of this name. Raises as `succeed` does."""
        told = bounded(TaskError(error, message, details, permanent))
        callbacks.answer(self.world, token, {"error": told.to_json() | {"permanent": told.permanent}})

    def heartbeat(self, token: str) -> None:
        """It goes on. Raises NotFound, Rejected: too-late (410)."""
        callbacks.beat(self.world, token)

    def pause(self, tenant: str, run_id: str, *, by: str | None = None, reason: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        with self._acting(run, "pause", by, reason=reason):
            control.pause(run)
        return view(self.world, run.control, full=False)

    def resume(self, tenant: str, run_id: str, *, by: str | None = None, reason: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        with self._acting(run, "resume", by, reason=reason):
            control.resume(run)
        return view(self.world, run.control, full=False)

    def cancel(self, tenant: str, run_id: str, *, by: str | None = None, reason: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        with self._acting(run, "cancel", by, reason=reason):
            control.cancel(run)
        return view(self.world, run.control, full=False)

    def retry(
        self,
        tenant: str,
        run_id: str,
        *,
        from_step: str | None = None,
        input: Json = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> RunView:
        """Go on from what failed, or from `from_step`. Raises NotFound, WrongState, Rejected("invalid-input")."""
        run = self._run(tenant, run_id)
        before = {"after": shown_status(run.status), "error": told_error(run.control), "given": None if input is None else "input"}
        if input is not None:
            fits.check_input(run.plan, input)
        with self._acting(run, "retry", by, reason=reason, **{"from": from_step}, **before):
            control.retry(run, from_step, input)
        return view(self.world, run.control, full=False)

    def update(
        self, tenant: str, run_id: str, patch: Mapping[str, Any], *, expected: str | None = None, by: str | None = None
    ) -> tuple[list[dict[str, Json]], RunView]:
        """A JSON merge patch of `attributes`, `metadata` and `status` (`paused`, `running`, `cancelled`): each change as
        `{path, before, after}`, and the run as it then is.

        Raises Rejected: precondition-failed (412), bad-value (400); WrongState; Conflict when somebody else was faster.
        """
        run = self._run(tenant, run_id)
        fits.check_version(run, expected)
        planned = updating.changes(run, patch)
        if planned:
            with self._acting(run, "update", by, changes=[change["path"] for change in planned]):
                updating.apply(run, patch, planned)
        return planned, summary(run.control)

    def amend(
        self, tenant: str, run_id: str, source: Source, *, expected: str | None = None, by: str | None = None, reason: str | None = None
    ) -> dict[str, list[str]]:
        """Change what has not started: the ids of the steps that were added, changed and removed.

        `expected`: the version (`etag`) that the caller amends. Raises Rejected: invalid-definition (422), step-locked (409),
        precondition-failed (412); Conflict when somebody else amends it at the same time.
        """
        run = self._run(tenant, run_id)
        fits.check_version(run, expected)
        _, plan = self.compiled(source)
        with self._acting(run, "amend", by, reason=reason, version=plan.version, plan=plan.hash, **amending.diff(run.plan, plan)):
            return amending.amend(run, plan)

    def amendment(self, tenant: str, run_id: str, source: Source) -> dict[str, list[str]]:
        """What `amend` would change; nothing is written."""
        return amending.diff(self.definition_of(tenant, run_id), self.compiled(source)[1])

    def rerun(
        self, tenant: str, run_id: str, *, from_step: str | None = None, input: Json = None, key: str | None = None, by: str | None = None
    ) -> RunView:
        """A new run with the input (or another one), the plan, the attributes and the priority of another one. `from_step`: it
        begins with the results of what neither is nor comes after that step. Raises NotFound, Rejected("invalid-input")."""
        old = self._run(tenant, run_id)
        if from_step is not None:
            return self._fork(old, from_step, input, self._run_id(tenant, f"{run_id}#rerun", key), by)
        attributes = checkpoints.attributes_of(old, input)
        new_id = self._run_id(tenant, f"{run_id}#rerun", key)
        with audit.asked(self.world, tenant, "rerun", by, run=run_id, started=new_id):
            given = old.input if input is None else input
            return self._start(StartRequest(tenant, old.control["plan"], given, new_id, attributes, old.control.get("priority"), by=by))

    def _fork(self, old: Run, from_step: str, given: Json, new_id: str, by: str | None) -> RunView:
        """By way of a checkpoint, which is not kept longer than for that."""
        checkpoints.from_on(old.plan, from_step)
        if given is not None:
            fits.check_input(old.plan, given)
        with audit.asked(self.world, old.tenant, "rerun", by, run=old.id, started=new_id, **{"from": from_step}):
            begun = checkpoints.begun(self.world, new_id, from_step, given)  # by the same key: the old run may have come further since
            return summary(begun or checkpoints.restore(self.world, checkpoints.copied(old), new_id, by, from_step, given))

    def checkpoint(self, tenant: str, run_id: str, *, by: str | None = None) -> dict[str, Any]:
        """Keep what the run has come to: `{id, run, workflow, version, at, steps}`. Raises NotFound."""
        run = self._run(tenant, run_id)
        with self._acting(run, "checkpoint", by):
            return checkpoints.take(run).to_json()

    def checkpoints(self, tenant: str, run_id: str) -> list[dict[str, Any]]:
        """Those of a run, the oldest first. Raises NotFound."""
        return [kept.to_json() for kept in checkpoints.taken(self._run(tenant, run_id))]

    def restore(
        self,
        tenant: str,
        checkpoint_id: str,
        *,
        from_step: str | None = None,
        input: Json = None,
        key: str | None = None,
        by: str | None = None,
    ) -> RunView:
        """A new run that goes on from a checkpoint; `from_step`: and runs that step, and what comes after it, again.

        Raises NotFound, Rejected: invalid-input (422), idempotency-conflict (409).
        """
        kept = checkpoints.find(self.world, tenant, checkpoint_id)
        if input is not None:
            fits.check_input(self.world.plan(kept.plan), input)
        new_id = self._run_id(tenant, f"{checkpoint_id}#restore", key)
        told = {"run": kept.run_id, "checkpoint": checkpoint_id, "started": new_id, "from": from_step}
        with audit.asked(self.world, tenant, "restore", by, **told):
            return summary(checkpoints.restore(self.world, kept, new_id, by, from_step, input))

    # -------------------------------------------------------------------------------------------- who is asked, who asked

    def approvals(
        self, tenant: str, *, kinds: tuple[str, ...] = approvals.KINDS, by: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Steps that wait for a person, newest first. `kinds`: `approval`, `decision`. `by`: only what this person may decide."""
        return approvals.page(self.world, tenant, kinds=kinds, by=by, limit=limit, cursor=cursor)

    def audit(self, tenant: str, *, limit: int = 100, cursor: str | None = None) -> tuple[audit.Trail, str | None]:
        """The audit trail from its first record on, with the head that it has to match."""
        return audit.page(self.world, tenant, limit=limit, cursor=cursor)

    @contextmanager
    def _acting(self, run: Run, verb: str, by: str | None, **told: Json) -> Iterator[None]:
        """Around what somebody does to a run: it is in the audit trail and in the run's history before it is done."""
        with audit.asked(self.world, run.tenant, verb, by, run=run.id, **told), acts.noted(run, verb, by, **told):
            yield

    def _run(self, tenant: str, run_id: str) -> Run:
        return control.open_run(self.world, run_id, tenant)
