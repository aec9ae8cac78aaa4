"""Everything that people can ask for: behind the HTTP API, the inbox, the command line and LocalEngine alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from .core.errors import NotFound, Rejected
from .core.model import Json
from .core.plan import Plan, compile_plan
from .definition import Checker, Diagnostic
from .definition.schemas import violations
from .engine import Engine, amending, control
from .engine.items import decode, digest, run_key
from .engine.run import Run
from .engine.starting import Registered, StartRequest, latest_plan, note_unregistered, register, save_plan, start, workflow_key
from .engine.triggers import listed_key
from .ports import Item
from .viewing import PAGE_OF_STEPS, history, summary, view
from .views import RunView

Source = dict[str, Any] | str | bytes | os.PathLike[str]

__all__ = ["Operations", "Registered"]


class Operations:
    """All methods are for one tenant: another tenant's things are not found."""

    def __init__(self, engine: Engine, checker: Checker) -> None:
        self.engine = engine
        self.world = engine.world
        self.checker = checker

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
        return checked.document, compile_plan(checked.document, self.world.expressions)

    def register(self, tenant: str, source: Source) -> Registered:
        """Raises Rejected: invalid-definition (422), version-conflict (409)."""
        document, plan = self.compiled(source)
        return register(self.world, tenant, document, plan)

    def workflows(self, tenant: str, *, limit: int = 100, cursor: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        pk = listed_key(tenant, "")[0]
        page = self.world.store.query(pk, after=(pk, cursor) if cursor else None, limit=limit)
        shown = [{"id": item["sk"], "name": item.get("name"), "version": item["version"]} for item in page.items if "version" in item]
        return shown, page.after[1] if page.after else None

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
        return self._start(StartRequest(tenant, plan, input, run_id, attributes or {}, priority, by=by))

    def run_definition(self, tenant: str, source: Source, input: Json, *, key: str | None = None, by: str | None = None) -> RunView:
        """Run a definition that nobody registered."""
        _, plan = self.compiled(source)
        request = StartRequest(tenant, plan.hash, input, self._run_id(tenant, plan.workflow, key), by=by)
        self._check_input(plan, input)
        if plan.hash not in self.world.plans:
            note_unregistered(self.world, tenant, plan)
        save_plan(self.world, plan)
        return self._start(request)

    def _run_id(self, tenant: str, workflow_id: str, key: str | None) -> str:
        if key is not None:
            return digest("key", tenant, workflow_id, key)
        return digest("run", tenant, str(self.world.random.getrandbits(128)), str(self.world.clock.now()))

    def _start(self, request: StartRequest) -> RunView:
        self._check_input(self.world.plan(request.plan), request.input)
        item, _ = start(self.world, request)
        return summary(item).model_copy(update={"input": request.input})

    def _check_input(self, plan: Plan, given: Json) -> None:
        schema = plan.source.get("input")
        if schema is not None:
            _refuse_unfit(violations(schema, given), f"the input does not fit the schema of {plan.workflow}")

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
        """Newest first. The cursor names the workflow and the place in its list."""
        names = [workflow] if workflow else self._workflow_ids(tenant)
        at, _, place = (cursor or "").partition("|")
        found: list[RunView] = []
        for name in names:
            if at and name < at:
                continue
            after: str | None = place if name == at and place else None
            while True:
                page = self.world.store.query_list(
                    f"{tenant}#{name}", start=started_after or "", end=started_before or "\uffff", after=after, limit=limit
                )
                for item in page.items:
                    shown = summary({"error": None, **item, "pk": item["pk"]})
                    after = item["list_sk"]
                    if (status is None or shown.status == status) and _has(shown, attributes):
                        found.append(shown)
                        if len(found) == limit:
                            return found, f"{name}|{after}"
                if page.after is None:
                    break
        return found if workflow else sorted(found, key=lambda run: (run.started_at or "", run.id), reverse=True), None

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
        self._check_signal(run, name, payload)
        control.signal(run, name, payload)
        return summary(run.control)

    def _check_signal(self, run: Run, name: str, payload: Json) -> None:
        """Against the schema of every step that waits for a signal of this name."""
        for step in run.plan.steps.values():
            if step.action == "signal" and step.spec["name"] == name and "schema" in step.spec:
                _refuse_unfit(
                    violations(step.spec["schema"], payload), f"the payload does not fit what step {step.id} expects of signal {name}"
                )

    def approve(self, tenant: str, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.approve(run, step, by, comment)
        return summary(run.control)

    def reject(self, tenant: str, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.reject(run, step, by, comment)
        return summary(run.control)

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
        control.decide(run, step, choice, input, output)
        return summary(run.control)

    def pause(self, tenant: str, run_id: str, *, by: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.pause(run)
        return summary(run.control)

    def resume(self, tenant: str, run_id: str, *, by: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.resume(run)
        return summary(run.control)

    def cancel(self, tenant: str, run_id: str, *, by: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.cancel(run)
        return summary(run.control)

    def retry(self, tenant: str, run_id: str, *, from_step: str | None = None, input: Json = None, by: str | None = None) -> RunView:
        run = self._run(tenant, run_id)
        control.retry(run, from_step, input)
        return summary(run.control)

    def amend(
        self, tenant: str, run_id: str, source: Source, *, expected: str | None = None, by: str | None = None
    ) -> dict[str, list[str]]:
        """Change what has not started: the ids of the steps that were added, changed and removed.

        `expected`: the version (`etag`) that the caller amends. Raises Rejected: invalid-definition (422), step-locked (409),
        precondition-failed (412); Conflict when somebody else amends it at the same time.
        """
        run = self._run(tenant, run_id)
        if expected is not None and expected != str(run.control["rev"]):
            told = f"run {run_id} is at version {run.control['rev']}, not {expected}: look at it again before you amend it"
            raise Rejected("precondition-failed", told, status=412)
        _, plan = self.compiled(source)
        return amending.amend(run, plan)

    def amendment(self, tenant: str, run_id: str, source: Source) -> dict[str, list[str]]:
        """What `amend` would change; nothing is written."""
        _, plan = self.compiled(source)
        return amending.diff(self.definition_of(tenant, run_id), plan)

    def _run(self, tenant: str, run_id: str) -> Run:
        return control.open_run(self.world, run_id, tenant)


def _refuse_unfit(faults: list[tuple[str, str]], what: str) -> None:
    """Raises Rejected("invalid-input") with every fault."""
    if faults:
        place, message = faults[0]
        shown = [{"code": "invalid-input", "severity": "error", "path": at, "message": fault} for at, fault in faults]
        raise Rejected("invalid-input", f"{what}: {message}" + (f" (at {place})" if place else ""), status=422, diagnostics=shown)


def _has(run: RunView, attributes: Mapping[str, Any] | None) -> bool:
    return all(name in run.attributes and str(run.attributes[name]) == str(value) for name, value in (attributes or {}).items())
