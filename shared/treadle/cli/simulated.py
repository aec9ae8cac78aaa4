"""What `treadle simulate FILE` tells people: how the runs ended, and what became of each step, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from ..simulation.stories import Story, steps_in

if TYPE_CHECKING:
    from ..core.plan import Step
    from ..simulation.campaign import Report

NARROW, WIDE = 80, 130
WENT_WRONG = {  # in the plural and alone
    "crashes": ("workers died", "worker died"),
    "duplicates": ("messages came twice", "message came twice"),
    "errors": ("calls answered errors", "call answered an error"),
    "stalls": ("workers stood still past their lease", "worker stood still past its lease"),
    "clocks": ("workers had a wrong clock", "worker had a wrong clock"),
}
WHY_NEVER = {
    "bypassed": "its `when` was false",
    "dead": "no path came to it",
    "blocked": "what it waits for failed",
    "unreached": "the run had ended before",
}


def print_story(report: Report, story: Story) -> None:
    told = f"{len(report.violations)} violations" if len(report.violations) > 1 else "1 violation" if report.violations else "no violation"
    workflow = click.style(story.plan.workflow, bold=True)
    coloured = click.style(told, fg="red" if report.violations else "green")
    click.echo(f"{workflow}: {_number(story.schedules, 'schedules', 'schedule')}, {coloured}")
    faults = [_number(story.faults[name], *WENT_WRONG[name]) for name in WENT_WRONG if story.faults[name]]
    orders = f"{_number(report.schedules, 'schedules', 'schedule')} in an order of chance" if report.schedules else ""
    rollouts = f"{_number(report.rollouts, 'deployments', 'deployment')} of another version of the engine" if report.rollouts else ""
    _print_row("went wrong", ", ".join([*faults, *filter(None, [orders, rollouts])]) or "nothing", 12)
    _print_row("ends", ", ".join(f"{status} {count}" for status, count in sorted(story.ends.items())), 12)
    rows = [(path, step, "; ".join(_said(story, path, step))) for path, step in steps_in(story.plan.root)]
    width = min(40, max((len(path) for path, _, _ in rows), default=0)) + 2
    click.echo()
    for path, _, said in rows:
        _print_row(path, said, width)
    notes = list(_notes(story, [step for _, step, _ in rows]))
    if notes:
        click.echo()
    for note in notes:
        _print_row("-", note, 2)


def _print_row(name: str, text: str, width: int) -> None:
    columns = max(NARROW, min(WIDE, get_terminal_size((WIDE, 24)).columns))
    if len(name) >= width:
        click.echo(name)
        name = ""
    for line in wrap(text, columns, initial_indent=name.ljust(width), subsequent_indent=" " * width, break_on_hyphens=False):
        click.echo(line)


def _number(count: int, many: str, one: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _said(story: Story, path: str, step: Step) -> Iterator[str]:
    """Of one step: what it did, what became of it, and what whoever wrote its task has to know."""
    if not story.ran(path):
        reasons = [why for end, why in WHY_NEVER.items() if story.count(path, end)]
        yield f"never ran in any schedule: {', or '.join(reasons)}"
        return
    yield _ran(story, path, step)
    if failed := story.count(path, "failed", "caught"):
        names = sorted(name for (of, name) in story.errors if of == path and name != "Cancelled")
        caught = ", and caught" if story.count(path, "caught") == failed else ""
        yield f"failed in {failed} ({', '.join(names)}){caught}" if names else f"failed in {failed}{caught}"
    for end, words in (("cancelled", "cancelled in"), ("waiting", "still waiting at the end in")):
        if count := story.count(path, end):
            yield f"{words} {count}"
    if skipped := story.schedules - story.ran(path):
        yield f"skipped in {skipped}"
    if retried := story.count(path, "retried"):
        yield f"tried again after a failure in {retried}"
    if undone := story.count(path, "undone"):
        yield f"undone in {undone}"
    if sources := [edge.source for edge in step.edges]:
        is_early = step.join not in ("all", "done") and len(sources) > 1
        yield f"{f'always after {step.join} of' if is_early else 'always after'} {', '.join(sources)}"
    if repeated := story.repeated(path):
        yield f"called again in {repeated} with the same idempotency key (its worker was lost)"
    if repeated := story.count(f"undo of {path}", "repeated"):
        yield f"what undoes it was called again in {repeated} with the same idempotency key"


def _ran(story: Story, path: str, step: Step) -> str:
    ran, all_of_them, succeeded = story.ran(path), story.schedules, story.count(path, "succeeded")
    share = f"all {all_of_them}" if ran == all_of_them and ran > 1 else f"{ran} of {all_of_them}"
    match step.action:
        case "task":
            calls = story.count(path, "calls")
            return f"ran in {share}, {_number(calls, 'calls', 'call')}" if calls else f"began in {share}, and its task was never called"
        case "approval":
            return f"asked in {share}, approved in {succeeded}, rejected in {story.errors[path, 'Rejected']}"
        case "signal":
            return f"waited for its signal in {share}, got it in {succeeded}"
        case "wait":
            return f"waited in {share}"
    return f"ran in {share}"


def _notes(story: Story, steps: list[Step]) -> Iterator[str]:
    actions = {step.action for step in steps}
    if story.calm.result.status != "succeeded":
        may_be_tasks = story.has_stand_ins and "workflow" not in actions
        hint = "; its tasks give their input back here, --tasks FILE runs real ones" if may_be_tasks else ""
        yield f"With nothing going wrong the run ends {story.calm.result.status}: {story.calm.why or 'no step says why'}{hint}."
    elif story.has_stand_ins and "task" in actions:
        yield "Tasks were stand-ins that give their input back; --tasks FILE runs real ones (once a call: they should touch nothing)."
    if any(story.repeated(path) for path, _ in steps_in(story.plan.root)):
        yield "Tasks run at least once: make them idempotent, by the context.idempotency_key that is the same in each call for a step."
    if story.plan.on_failure == "wait":
        yield "Steps that failed and waited for a person were skipped by one."
    if "approval" in actions:
        yield "Approvals were given where faults were tried one by one; in orders of chance whoever was asked also said no."
    if "signal" in actions:
        yield "Signals were sent with a payload that their schema takes."
    if missing := _missing(story, steps):
        named = ", ".join(missing)
        yield f"Workflows that are started here and were not given: {named}; their steps fail. Give their definitions: --with FILE."
    if story.is_loose:
        yield "Results were not compared: early joins, timeouts or a failure make them a matter of timing. All other rules were checked."


def _missing(story: Story, steps: list[Step]) -> list[str]:
    """Children by their names, where they are not made up by an expression."""
    asked = [step.spec["id"] if isinstance(step.spec, dict) else step.spec for step in steps if step.action == "workflow"]
    return sorted({name for name in asked if isinstance(name, str) and "${" not in name and name not in story.known})
