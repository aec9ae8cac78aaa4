"""The verb `simulate`: does the engine, or a workflow on it, survive whatever can go wrong?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .exits import Exit
from .exploring import explore
from .options import SOURCE, json_value, output_option, tasks_option
from .output import print_json, print_lines

if TYPE_CHECKING:
    from ..simulation.campaign import Orders, OwnWorkflow, Report
    from ..simulation.explore import Case, Explorer


@dataclass(frozen=True)
class Own:
    """A user's workflow, as it was named. `given`: the text of --input, and its value."""

    file: Path
    given: tuple[str, Any]
    tasks: tuple[str, ...]
    children: tuple[Path, ...] = ()

    @property
    def subject(self) -> str:
        """The same once more, for a shell."""
        text, value = self.given
        told = [quote(str(self.file)), *(f"--with {quote(str(child))}" for child in self.children)]
        if value != {}:
            told.append(f"--input {quote(json.dumps(value, ensure_ascii=False) if text == '-' else text)}")
        return " ".join([*told, *(f"--tasks {quote(source)}" for source in self.tasks)])

    def read(self) -> OwnWorkflow | None:
        """None: a definition is not valid, as was told."""
        from ..simulation.campaign import OwnWorkflow
        from ..simulation.shapes import shape_of
        from .definitions import check, checker_of, show, tasks_of
        from .named import tell_tasks

        known = tasks_of(self.tasks)
        checker, documents = checker_of(known), []
        for file in (self.file, *self.children):
            checked = check(file, checker)
            if checked.document is None:
                show(file, checked.diagnostics, checked.text, is_error=True)
                if known is not None:
                    tell_tasks(checked.diagnostics, known, self.tasks)
                return None
            documents.append(checked.document)
        names = [document["id"] for document in documents]
        if twice := [name for name in names if names.count(name) > 1]:
            raise click.BadParameter(f"two of the files are workflow {twice[0]}: give each once", param_hint="--with")
        return OwnWorkflow(shape_of(documents[0], self.given[1], documents[1:]), partial(tasks_of, self.tasks), self.subject)


def _given(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, Any]:
    return text, json_value(text)


@click.command
@click.argument("file", type=SOURCE, required=False)
@click.option("--seeds", type=click.IntRange(0), default=200, show_default=True, help="Random schedules per shape.")
@click.option("--pairs", type=click.IntRange(0), default=None, help="First faults per small shape that get a second. Default: all of them.")
@click.option("--seed", type=int, default=None, help="Just this schedule, of FILE or one --shape. With --seeds: the first one's.")
@click.option(
    "--shape", "shapes", multiple=True, metavar="NAME", help="A workflow of the catalogue. May be repeated. Default: all of them."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="call=N:KIND|outage=PORT:N:SECONDS",
    help="Just this. KIND: before, after, ambiguous, throttled, repeated, partial, twice, frozen. PORT, which is away from call N on: "
    "store, lanes, bus, blobs.",
)
@click.option("--rollouts", type=click.IntRange(0), default=20, show_default=True, help="Deployments of another version, per shape.")
@click.option("--rollout", type=int, default=None, metavar="N", help="Just this deployment, of FILE or one --shape.")
@click.option("--exhaustive", is_flag=True, help="Explore the small scopes completely instead: every order in which it can happen.")
@click.option("--scope", "scopes", multiple=True, metavar="NAME", help="With --exhaustive: this one. May be repeated. Default: all.")
@click.option("--schedule", default=None, metavar="DIGITS", help="With one --scope: just this schedule of it, again.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="Stop after so long; 0: when all is done.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes. Default: one per core.")
@click.option("--input", "given", callback=_given, metavar="JSON", default="{}", help="The run's input, of FILE: JSON, @FILE or -.")
@click.option(
    "--with",
    "children",
    type=SOURCE,
    multiple=True,
    metavar="CHILD",
    help="A workflow that FILE starts. May be repeated.",
)
@tasks_option
@output_option()
@click.pass_context
def simulate(
    context: click.Context, file: Path | None, seeds: int, pairs: int | None, seed: int | None, shapes: tuple[str, ...],
    faults: tuple[str, ...], rollouts: int, rollout: int | None, exhaustive: bool, scopes: tuple[str, ...], schedule: str | None,
    seconds: float, jobs: int | None, given: tuple[str, Any], children: tuple[Path, ...], tasks: tuple[str, ...], form: str,
) -> int:  # fmt: skip
    """Run workflows on a simulated AWS in which every call fails, messages come twice and late, and workers die.

    Without FILE the engine's own catalogue of shapes is simulated. With FILE that workflow is; its tasks give their input back
    unless --tasks names real ones (they run for each simulation: they should touch nothing), and the workflows that it starts are
    given by --with. With --exhaustive small scopes of the
    engine are explored completely.
    """
    if (exhaustive or scopes) and file is not None:
        raise click.UsageError("--exhaustive explores small scopes of the engine, and no FILE: leave one of them out")
    if exhaustive or scopes:
        return explore(scopes, schedule, jobs, form)
    own = Own(file, given, tasks, children) if file is not None else None
    if own is None and (tasks or children or given[1] != {}):
        raise click.UsageError("--input, --with and --tasks go with FILE, a workflow of one's own; the catalogue has its own")
    if own is not None and shapes:
        raise click.UsageError("--shape names a workflow of the catalogue: give it, or FILE, not both")
    counts = context.get_parameter_source("seeds") is not ParameterSource.DEFAULT
    if faults or rollout is not None or (seed is not None and not counts and (own is not None or len(shapes) == 1)):
        return _again(own, shapes, faults, seed, rollout, form)
    from ..simulation.campaign import Orders

    report = _report(own, shapes, Orders(seeds, rollouts, 1 if seed is None else seed, seconds or None, pairs=pairs), jobs)
    if report is None:
        return Exit.FAILED
    _print(form, report)
    return Exit.FAILED if report.violations else Exit.OK


def _report(own: Own | None, shapes: tuple[str, ...], orders: Orders, jobs: int | None) -> Report | None:
    from ..simulation.campaign import simulate, simulate_definition
    from ..simulation.shapes import catalogue

    progress = _shown_on_stderr()
    if own is None:
        if unknown := [name for name in shapes if name not in catalogue()]:
            raise click.BadParameter(f"there is no shape {unknown[0]}; there are: {', '.join(catalogue())}")
        return simulate(shapes, orders, jobs=jobs, progress=progress)
    read = own.read()
    return None if read is None else simulate_definition(read, orders, progress, jobs=jobs or os.cpu_count() or 1)


def _shown_on_stderr() -> Callable[[Report], None]:
    """A line now and then; on a terminal it is written over."""
    ends, next_at = ("\r", 0.5) if sys.stderr.isatty() else ("\n", 30.0)
    shown_at = 0.0

    def show(report: Report) -> None:
        nonlocal shown_at
        if report.seconds - shown_at >= next_at:
            shown_at = report.seconds
            click.echo(f"{_counts(report)}, {len(report.violations)} violations, {report.seconds:.0f} s{ends}", err=True, nl=False)

    return show


def _counts(report: Report) -> str:
    return (
        f"{report.shapes} shapes, {report.crash_points} single faults, {report.pairs} pairs, {report.schedules} schedules, "
        f"{report.rollouts} rollouts"
    )


def _again(own: Own | None, shapes: tuple[str, ...], faults: tuple[str, ...], seed: int | None, rollout: int | None, form: str) -> int:
    """One simulation, call by call."""
    from ..simulation.campaign import quietly, reproduce
    from ..simulation.faults import Fault
    from ..simulation.outages import Outage

    if sum((bool(faults), seed is not None, rollout is not None)) > 1:
        raise click.UsageError("a schedule is named by --seed, --fault or --rollout: by one of them")
    outage: Outage | None = None
    parsed: list[Fault] = []
    if faults and faults[0].startswith("outage="):
        if len(faults) > 1:
            raise click.UsageError("an outage is tried alone: one --fault")
        try:
            outage = Outage.parse(faults[0].removeprefix("outage="))
        except ValueError as wrong:
            raise click.BadParameter(f"an outage is outage=PORT:CALL:SECONDS: {wrong}") from None
    else:
        try:
            parsed = [Fault.parse(fault.removeprefix("call=")) for fault in faults]
        except ValueError as wrong:
            raise click.BadParameter(f"a fault is call=NUMBER:KIND: {wrong}") from None
    explorer = _explorer(own, shapes)
    if explorer is None:
        return Exit.FAILED
    case = quietly(lambda: reproduce(explorer, parsed, seed, rollout) if outage is None else explorer.with_outage(outage))
    _print_case(form, case)
    if case.planned > case.fired.total():
        missing = case.planned - case.fired.total()
        raise click.UsageError(f"{missing} of {case.planned} faults never happened: no such call can fail so (it made {len(case.calls)})")
    return Exit.FAILED if case.violations else Exit.OK


def _explorer(own: Own | None, shapes: tuple[str, ...]) -> Explorer | None:
    from ..simulation.campaign import quietly
    from ..simulation.explore import explorer
    from ..simulation.shapes import catalogue

    if own is not None:
        read = own.read()
        return None if read is None else quietly(lambda: read.explorer(keeps_trace=True))
    if len(shapes) != 1 or shapes[0] not in catalogue():
        raise click.UsageError("--fault and --rollout need FILE, or one --shape of the catalogue")
    return quietly(lambda: explorer(shapes[0], keeps_trace=True))


def _print_case(form: str, case: Case) -> None:
    violations = [str(violation) for violation in case.violations]
    if form == "table":
        for number, (at, worker, function, call) in enumerate(case.trace, 1):
            click.echo(f"{number:5} {at - case.trace[0][0]:10} ms  {function} {worker}: {call}")
        for violation in violations:
            click.secho(violation, fg="red")
        click.echo(f"the run {case.result.status}{'' if violations else ', no violation'}", err=True)
        return
    value = {"status": case.result.status, "violations": violations, "trace": [list(entry) for entry in case.trace]}
    print_lines([value]) if form == "jsonl" else print_json(value)


def _print(form: str, report: Report) -> None:
    told = report.to_json()
    if form == "json":
        print_json(told)
    elif form == "jsonl":
        print_lines([told])
    else:
        for violation in report.violations:
            click.secho(violation, fg="red")
        if report.story is not None:
            from .simulated import print_story

            print_story(report, report.story)
        else:
            _print_counts(report)
        if not report.is_complete:
            click.echo("the time was over before all was tried (--seconds)", err=True)


def _print_counts(report: Report) -> None:
    click.echo(_counts(report))
    click.echo(f"{sum(report.faults_fired.values())} faults happened, {len(report.violations)} violations, {report.seconds:.0f} s")
    click.echo(f"{report.swept.total()} single faults are mended by the sweeper alone (shapes to which it comes anyway are left out)")


COMMANDS = {"simulate": simulate}
