"""The verb `soak`: thousands of runs through the whole local stack while workers die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .exits import Exit
from .options import output_option
from .output import print_json, print_lines

if TYPE_CHECKING:
    from ..soak.drive import Report


@click.command
@click.option("--runs", type=click.IntRange(1), default=10_000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of what they are given, and of which deliveries die.")
@click.option("--share", type=click.FloatRange(0, 1), default=None, help="Of all messages, those whose workers die. Default: 0.15.")
@click.option("--wave", type=click.IntRange(1), default=None, help="Runs that are under way at once. Default: 100.")
@output_option()
def soak(runs: int, seed: int, share: float | None, wave: int | None, form: str) -> int:
    """Run workflows of every kind on the local stack, let workers die at random, and see that each run comes to its right end, that
    nothing is left over, and that the process does not grow."""
    from ..soak import drive

    told: set[str] = set()

    def show(report: Report) -> None:
        for line in {*report.wrong, *report.orphans} - told:
            click.secho(line, fg="red", err=True)
            told.add(line)
        click.echo(f"{report.runs} of {runs} runs, {report.killed} workers died, {_trouble(report)}, {report.seconds:.0f} s", err=True)

    report = drive.soak(runs, seed, share=drive.SHARE if share is None else share, wave=drive.WAVE if wave is None else wave, progress=show)
    if form == "json":
        print_json(report.to_json())
    elif form == "jsonl":
        print_lines([report.to_json()])
    else:
        _say(report)
    return Exit.OK if report.is_well else Exit.FAILED


def _trouble(report: Report) -> str:
    return f"{len(report.wrong)} wrong ends, {len(report.orphans)} orphans"


def _say(report: Report) -> None:
    for line in (*report.wrong, *report.orphans):
        click.secho(line, fg="red")
    ended = ", ".join(f"{count} {status}" for status, count in report.ended.most_common())
    click.echo(f"{report.runs} runs, {report.steps} steps in {report.seconds:.0f} s: {ended}; {_trouble(report)}")
    click.echo(
        f"{report.killed} workers and {report.processes_killed} processes of tasks died, {report.failures} invocations failed otherwise"
    )
    for size in report.sizes:
        click.echo(f"after {size.runs} runs: {size.rss_mb} MB, {size.objects} objects, {size.threads} threads")
    if report.grown:
        grown = f"{report.grown['bytes']:.0f} bytes and {report.grown['objects']} objects a run"
        click.secho(
            f"from the first of these to the last: {grown}: {'flat' if report.is_flat else 'it grows'}",
            fg=None if report.is_flat else "red",
        )


COMMANDS = {"soak": soak}
