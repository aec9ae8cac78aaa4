"""The verb `simulate`: does the engine, or a workflow on it, survive whatever can go wrong?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit
from .exploring import explore
from .options import SOURCE, input_option, output_option, tasks_option
from .output import print_json, print_lines

if TYPE_CHECKING:
    from ..simulation.campaign import Orders, Report
    from ..simulation.explore import Case


@click.command
@click.argument("file", type=SOURCE, required=False)
@click.option("--seeds", type=click.IntRange(0), default=200, show_default=True, help="Random schedules per shape.")
@click.option("--pairs", type=click.IntRange(0), default=None, help="First faults per small shape that get a second. Default: all of them.")
@click.option("--seed", type=int, default=None, help="The first schedule's seed; with --shape alone: just this one, again.")
@click.option(
    "--shape", "shapes", multiple=True, metavar="NAME", help="A workflow of the catalogue. May be repeated. Default: all of them."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="call=N:KIND|outage=PORT:N:SECONDS",
    help="Just this. KIND: before, after, ambiguous, throttled, partial, twice, frozen. PORT, which is away from call N on: store, lanes, "
    "bus, blobs.",
)
@click.option("--exhaustive", is_flag=True, help="Explore the small scopes completely instead: every order in which it can happen.")
@click.option("--scope", "scopes", multiple=True, metavar="NAME", help="With --exhaustive: this one. May be repeated. Default: all.")
@click.option("--schedule", default=None, metavar="DIGITS", help="With one --scope: just this schedule of it, again.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="Stop after so long; 0: when all is done.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes. Default: one per core.")
@input_option
@tasks_option
@output_option()
def simulate(
    file: Path | None, seeds: int, pairs: int | None, seed: int | None, shapes: tuple[str, ...], faults: tuple[str, ...], exhaustive: bool,
    scopes: tuple[str, ...], schedule: str | None, seconds: float, jobs: int | None, value: Any, tasks: tuple[str, ...], form: str,
) -> int:  # fmt: skip
    """Run workflows on a simulated AWS in which every call fails, messages come twice and late, and workers die.

    Without FILE the engine's own catalogue of shapes is simulated. With FILE that workflow is; its tasks give their input back
    unless --tasks names real ones (they run for each simulation: they should touch nothing). With --exhaustive small scopes of the
    engine are explored completely.
    """
    if exhaustive or scopes:
        return explore(scopes, schedule, jobs, form)
    from ..simulation.campaign import Orders

    if faults or (seed is not None and len(shapes) == 1 and file is None):
        return _again(shapes, faults, seed, form)
    orders = Orders(seeds, 1 if seed is None else seed, seconds or None, pairs=pairs)
    report = _report(file, shapes, orders, jobs, value, tasks)
    _print(form, report)
    return Exit.FAILED if report.violations else Exit.OK


def _report(file: Path | None, shapes: tuple[str, ...], orders: Orders, jobs: int | None, value: Any, tasks: tuple[str, ...]) -> Report:
    from ..simulation.campaign import simulate, simulate_definition
    from ..simulation.shapes import catalogue, shape_of

    progress = _shown_on_stderr()
    if file is None:
        if unknown := [name for name in shapes if name not in catalogue()]:
            raise click.BadParameter(f"there is no shape {unknown[0]}; there are: {', '.join(catalogue())}")
        return simulate(shapes, orders, jobs=jobs, progress=progress)
    from ..tasks.registry import Registry
    from .definitions import check, show

    checked = check(file, None)
    if checked.document is None:
        show(file, checked.diagnostics, checked.text, is_error=True)
        raise click.ClickException(f"{file} is not valid")
    return simulate_definition(shape_of(checked.document, value), orders, Registry.load(*tasks) if tasks else None, progress)


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
    return f"{report.shapes} shapes, {report.crash_points} single faults, {report.pairs} pairs, {report.schedules} schedules"


def _again(shapes: tuple[str, ...], faults: tuple[str, ...], seed: int | None, form: str) -> int:
    """One simulation, call by call."""
    from ..simulation.campaign import reproduce
    from ..simulation.explore import Explorer
    from ..simulation.faults import Fault
    from ..simulation.outages import Outage
    from ..simulation.shapes import catalogue
    from ..simulation.world import prepare

    if len(shapes) != 1 or shapes[0] not in catalogue():
        raise click.UsageError("--fault needs one --shape of the catalogue")
    explorer = Explorer(prepare(catalogue()[shapes[0]]), keeps_trace=True)
    if faults and faults[0].startswith("outage="):
        try:
            outage = Outage.parse(faults[0].removeprefix("outage="))
        except ValueError as wrong:
            raise click.BadParameter(f"an outage is outage=PORT:CALL:SECONDS: {wrong}") from None
        case = explorer.with_outage(outage)
        _print_case(form, case)
        return Exit.FAILED if case.violations else Exit.OK
    try:
        parsed = [Fault.parse(fault.removeprefix("call=")) for fault in faults]
    except ValueError as wrong:
        raise click.BadParameter(f"a fault is call=NUMBER:KIND: {wrong}") from None
    case = reproduce(explorer, parsed, seed)
    _print_case(form, case)
    return Exit.FAILED if case.violations else Exit.OK


def _print_case(form: str, case: Case) -> None:
    violations = [str(violation) for violation in case.violations]
    if form == "table":
        for number, (at, worker, function, call) in enumerate(case.trace, 1):
            click.echo(f"{number:5} {at - case.trace[0][0]:10} ms  {function} {worker}: {call}")
        for violation in violations:
            click.secho(violation, fg="red")
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
        click.echo(_counts(report))
        click.echo(f"{sum(report.faults_fired.values())} faults happened, {len(report.violations)} violations, {report.seconds:.0f} s")
        if not report.is_complete:
            click.echo("the time was over before all was tried (--seconds)", err=True)


COMMANDS = {"simulate": simulate}
