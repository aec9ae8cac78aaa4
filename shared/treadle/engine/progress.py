"""What follows from a fact: the successors that may start, the steps that never will, the scopes and the run that are over.

This is the one idempotent `advance()` behind both doors. It reads no more than the joins next to the fact, and asks
`core.advance` for every decision. Doing it twice finds facts and claims in place of what it would have started.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ..core import paths
from ..core.advance import Edging, Fact, Verdict, decide, edging, verdict
from ..core.model import Outcome, State
from ..core.plan import CHOSEN, Step
from ..ports import Absent, Equals, Message, any_of
from . import ending, joins, loops
from .items import fact_item, is_fact, step_key
from .run import Run

READ_SIBLINGS = 5  # joins of up to this many sources read them; wider ones are counted in a tree


@dataclass
class Ready:
    """`starts`: (key, seq of what it comes after) of steps that may start. `messages`: other work for the lanes."""

    starts: list[tuple[str, int]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def after(run: Run, *facts: Fact) -> Ready:
    """What the facts call for; skips are written as facts on the way."""
    ready = Ready()
    todo = deque(facts)
    while todo:
        fact = todo.popleft()
        if paths.index(fact.key) is not None:
            todo += loops.item_ended(run, fact, ready)
        else:
            todo += _in_scope(run, fact, ready)
    return ready


def _in_scope(run: Run, fact: Fact, ready: Ready) -> list[Fact]:
    """Facts that this one leads to at once."""
    scope_key, step, scope = paths.scope(fact.key), run.step(fact.key), run.scope(fact.key)
    more: list[Fact] = []
    for name in step.targets:
        target, key = scope.steps[name], paths.join(scope_key, name)
        if key == fact.next:
            continue
        match _verdict(run, scope_key, step, target, fact):
            case Verdict.START:
                ready.starts.append((key, fact.seq + 1))
            case Verdict.DEAD | Verdict.BLOCKED as never:
                more += _skip(run, key, target, never, fact)
    if step.id in scope.last and _is_over(run, scope_key, step, fact):
        more += ending.scope_ended(run, scope_key, fact, ready)
    return more


def _verdict(run: Run, scope_key: str, step: Step, target: Step, fact: Fact) -> Verdict | None:
    sources = {edge.source for edge in target.edges}
    if len(sources) == 1:
        return verdict(target, {step.id: fact})
    is_early = target.join not in ("all", "done")
    if len(sources) <= READ_SIBLINGS or _must_read(run):
        decided = verdict(target, {**run.sources(scope_key, target), step.id: fact})
    else:
        members = {number: edging(edge, target.id, fact) for number, edge in enumerate(target.edges) if edge.source == step.id}
        width = len(target.edges)
        tally = joins.add(run, scope_key, target.id, width, members, early=is_early)
        decided = None if tally is None else decide(target.join, width if is_early else tally.resolved, tally)
    if decided is Verdict.START and is_early and _has_begun(run, paths.join(scope_key, target.id)):
        return None
    return decided


def _must_read(run: Run) -> bool:
    """The trees of a retried run are new and do not count what ended before: its joins read the facts."""
    return run.generation > 1


def _has_begun(run: Run, key: str) -> bool:
    """A join that may start early has its later edges come in when it is long under way."""
    item = run.world.store.get(step_key(run.id, key))
    return item is not None and item["state"] != State.RELEASED


def _skip(run: Run, key: str, target: Step, never: Verdict, because: Fact) -> list[Fact]:
    fact = Fact(key, never.outcome, ended_at=max(run.now, because.ended_at), why=_why(target, never, because), seq=because.seq + 1)
    nobody_began_it = any_of(Absent(), Equals("state", State.RELEASED.value))
    item = fact_item(run.id, fact, fence=run.world.new_fence(), generation=run.generation, expires=run.control.get("expires"))
    written = run.world.store.put(item, nobody_began_it)
    if not written.ok:
        # somebody wrote it already and may have died before what follows from it
        standing = written.item or {}
        if not is_fact(standing) or not Outcome(standing["outcome"]).is_skip:
            return []
        fact = run.note(standing)
    run.has_ended(fact)
    return [fact]


def _why(target: Step, never: Verdict, because: Fact) -> str:
    source = paths.step_id(because.key)
    if never is Verdict.BLOCKED:
        return f"dependency {source} {'failed' if because.outcome is Outcome.FAILED else 'did not run'}"
    if any(edge.source == source and edge.on == CHOSEN for edge in target.edges):
        return f"not chosen by {source}"
    return f"no live path: {source} was {because.outcome.status.value}"


def _is_over(run: Run, scope_key: str, step: Step, fact: Fact) -> bool:
    """Everything in the scope has ended: a join over its last steps that waits for all of them, whatever the outcomes."""
    last = run.scope(fact.key).last
    if len(last) == 1:
        return True
    if len(last) <= READ_SIBLINGS or _must_read(run):
        return len(run.find_facts(paths.join(scope_key, name) for name in last)) == len(last)
    return joins.add(run, scope_key, "$end", len(last), {last.index(step.id): Edging.LIVE}) is not None
