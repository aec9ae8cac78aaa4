"""`simulate --exhaustive`: small scopes, and everything that can happen in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .exits import Exit
from .output import print_json, print_lines

if TYPE_CHECKING:
    from ..simulation.exploring import Exhaustive


def explore(names: tuple[str, ...], schedule: str | None, jobs: int | None, form: str) -> int:
    """The scopes of these names (none: all), or one schedule of one of them."""
    from ..simulation.exploring import explore_all
    from ..simulation.scopes import scopes

    if unknown := [name for name in names if name not in scopes()]:
        raise click.BadParameter(f"there is no scope {unknown[0]}; there are: {', '.join(scopes())}")
    if schedule is not None:
        return _again(names, schedule, form)
    found = explore_all(names, jobs=jobs)
    _print(form, found)
    return Exit.FAILED if found.violations else Exit.OK


def _again(names: tuple[str, ...], schedule: str, form: str) -> int:
    """One schedule, call by call."""
    from ..simulation.campaign import quietly
    from ..simulation.scopes import Small, scopes

    if len(names) != 1:
        raise click.UsageError("--schedule needs one --scope")
    try:
        simulation, watch = quietly(lambda: Small(scopes()[names[0]]).follow(schedule))
    except (ValueError, IndexError):
        raise click.BadParameter(f"{schedule} is no schedule of {names[0]}: take it from a violation's line") from None
    violations = [str(violation) for violation in watch.violations]
    if form == "table":
        for number, (who, what) in enumerate(simulation.happened, 1):
            click.echo(f"{number:5}  {who.partition(' ')[0]} {simulation.number_of(who)}: {what.partition(' ')[2] or what}")
        for violation in violations:
            click.secho(violation, fg="red")
    else:
        happened = [[simulation.number_of(who), what] for who, what in simulation.happened]
        told = {"status": str(simulation.status), "violations": violations, "happened": happened}
        print_lines([told]) if form == "jsonl" else print_json(told)
    return Exit.FAILED if violations else Exit.OK


def _print(form: str, found: Exhaustive) -> None:
    told = found.to_json()
    if form == "json":
        print_json(told)
    elif form == "jsonl":
        print_lines(told["scopes"])
    else:
        for violation in found.violations:
            click.secho(violation, fg="red")
        for scope in found.scopes:
            ends = ", ".join(sorted(scope.ends))
            click.echo(f"{scope.name}: {scope.states} states, {scope.transitions} moves, {scope.schedules} schedules; ends {ends}")
        whole = "completely" if told["complete"] else "in part"
        click.echo(f"{len(found.scopes)} scopes explored {whole}, {len(found.violations)} violations, {found.seconds:.0f} s")
