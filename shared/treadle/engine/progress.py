"""What follows from facts: the successors that may start, the steps that never will, the scopes and the run that are over.

This is the one idempotent `advance()` behind both doors. It reads no more than the joins next to the facts, and asks
`core.advance` for every decision. Doing it twice finds facts and claims in place of what it would have started.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from ..core import paths
from ..core.advance import Edging, Fact, Verdict, decide, edging, verdict
from ..core.model import Outcome, State
from ..core.plan import CHOSEN, Step
from ..ports import Absent, AtMost, Equals, Item, Message, all_of, any_of
from . import ending, joins, loops
from .claims import AMENDED, stands
from .items import fact_item, is_fact, run_key, step_key
from .names import tries
from .run import Run

READ_SIBLINGS = 5  # joins of up to this many sources read them; wider ones are counted in a tree
END = "$end"  # the join of a scope's last steps
HAND_BACK_MS = 10_000  # of the invocation are left when a long cascade is handed on


@dataclass
class Ready:
    """`starts`: (key, seq of what it comes after) of steps that may start. `messages`: other work for the lanes."""

    starts: list[tuple[str, int]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.starts or self.messages)


def after(run: Run, *facts: Fact) -> Ready:
    """What the facts call for; skips are written as facts on the way.

    A cascade of skips that would outlast the invocation is handed on as a message for each fact that it has come to.
    """
    advancing = _Advancing(run)
    advancing.todo.extend(facts)
    while advancing.todo or advancing.wide:
        if run.now + HAND_BACK_MS > run.deadline:
            advancing.hand_on()
            break
        if advancing.todo:
            advancing.follow(advancing.todo.popleft())
        else:
            advancing.count()
    advancing.ready.starts += advancing.decided.items()
    return advancing.ready


class _Advancing:
    """Wide joins are counted last: edges of several facts into the same one are one write."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ready = Ready()
        self.todo: deque[Fact] = deque()
        self.wide: dict[tuple[str, str], tuple[dict[int, Edging], Fact]] = {}
        self.decided: dict[str, int] = {}  # steps that may start: several facts may each be the last one into the same join

    def follow(self, fact: Fact) -> None:
        if paths.index(fact.key) is not None:
            self.todo += loops.item_ended(self.run, fact, self.ready)
        else:
            self._in_scope(fact)

    def _in_scope(self, fact: Fact) -> None:
        scope_key, step, scope = paths.scope(fact.key), self.run.step(fact.key), self.run.scope(fact.key)
        for name in step.targets:
            if paths.join(scope_key, name) != fact.next:
                self._target(scope_key, step, scope.steps[name], fact)
        if step.id in scope.last:
            self._last(scope_key, scope.last, step, fact)

    def _target(self, scope_key: str, step: Step, target: Step, fact: Fact) -> None:
        """Decide about one successor, or put its edges down for counting."""
        sources = {edge.source for edge in target.edges}
        if len(sources) == 1:
            self._decided(scope_key, target, verdict(target, {step.id: fact}), fact)
        elif len(sources) <= READ_SIBLINGS or _must_read(self.run, scope_key):
            facts = {**self.run.sources(scope_key, target), step.id: fact}
            latest = replace(fact, seq=max(source.seq for source in facts.values()))
            self._decided(scope_key, target, verdict(target, facts), latest)
        else:
            members = {number: edging(edge, target.id, fact) for number, edge in enumerate(target.edges) if edge.source == step.id}
            self._put_down(scope_key, target.id, members, fact)

    def _last(self, scope_key: str, last: tuple[str, ...], step: Step, fact: Fact) -> None:
        """Everything in the scope has ended: a join over its last steps that waits for all of them, whatever the outcomes."""
        if len(last) == 1:
            self._over(scope_key, fact)
        elif len(last) <= READ_SIBLINGS or _must_read(self.run, scope_key):
            if len(self.run.find_facts(paths.join(scope_key, name) for name in last)) == len(last):
                self._over(scope_key, fact)
        else:
            self._put_down(scope_key, END, {last.index(step.id): Edging.LIVE}, fact)

    def _put_down(self, scope_key: str, name: str, members: dict[int, Edging], fact: Fact) -> None:
        known, _ = self.wide.get((scope_key, name), ({}, fact))
        self.wide[scope_key, name] = ({**known, **members}, fact)

    def count(self) -> None:
        """One of the wide joins that were met."""
        (scope_key, name), (members, fact) = self.wide.popitem()
        scope = self.run.scope(fact.key)
        if name == END:
            if joins.add(self.run, scope_key, END, len(scope.last), members) is not None:
                self._over(scope_key, fact)
            return
        target = scope.steps[name]
        width, is_early = len(target.edges), is_decided_early(target)
        tally = joins.add(self.run, scope_key, name, width, members, early=is_early)
        if tally is not None:
            self._decided(scope_key, target, decide(target.join, width if is_early else tally.resolved, tally), fact)

    def _decided(self, scope_key: str, target: Step, decided: Verdict | None, fact: Fact) -> None:
        key = paths.join(scope_key, target.id)
        if decided is Verdict.START:
            if not (is_decided_early(target) and _has_begun(self.run, key, fact.key)):
                self.decided[key] = max(self.decided.get(key, 0), fact.seq + 1)
        elif decided is not None:
            self.todo += _skip(self.run, key, target, decided, fact)

    def _over(self, scope_key: str, fact: Fact) -> None:
        self.todo += ending.scope_ended(self.run, scope_key, fact, self.ready)

    def hand_on(self) -> None:
        """Whoever gets the message finds the fact, and does for it what was not done here."""
        facts = [*self.todo, *(fact for _, fact in self.wide.values())]
        named = {"plan": self.run.control["plan"], "gen": self.run.generation}
        self.ready.messages += [self.run.message("step", fact.key, **named) for fact in facts]


def is_decided_early(step: Step) -> bool:
    """A join that may start before all of its edges are resolved."""
    return step.join not in ("all", "done")


def _must_read(run: Run, scope_key: str) -> bool:
    """The trees of a retried run are new, those of an amended one may be of other edges, and in a loop that is tried anew they have what
    ended before: their joins read the facts."""
    return run.generation > 1 or "amended" in run.control or bool(tries(run, scope_key))


def _has_begun(run: Run, key: str, by: str) -> bool:
    """A join that may start early has its later edges come in when it is long under way. What the worker of `by` itself began
    does not count: this may be its message come back."""
    item = run.world.store.get(step_key(run.id, key))
    return item is not None and item["state"] != State.RELEASED and item.get("of") != by


def _skip(run: Run, key: str, target: Step, never: Verdict, because: Fact) -> list[Fact]:
    fact = Fact(key, never.outcome, ended_at=max(run.now, because.ended_at), why=_why(target, never, because), seq=because.seq + 1)
    given_back = all_of(Equals("state", State.RELEASED.value), AtMost("gen", run.generation), Absent(AMENDED))
    item = fact_item(run.id, fact, fence=run.world.new_fence(), generation=run.generation, expires=run.control.get("expires"))
    written = run.world.store.put(item, any_of(Absent(), given_back))
    if not written.ok and _knows_the_amendment(run, written.item or {}):
        written = run.world.store.put(item, stands(written.item or {}))
    if not written.ok:
        # somebody wrote it already and may have died before what follows from it
        standing = written.item or {}
        if not is_fact(standing) or not Outcome(standing["outcome"]).is_skip:
            return []
        fact = run.note(standing)
    run.has_ended(fact)
    return [fact]


def _knows_the_amendment(run: Run, standing: Item) -> bool:
    """What an amendment may have changed bears a mark: it is skipped by whoever has read control since. Others leave it to him who
    amends: he has the run put in order."""
    if AMENDED not in standing or standing["state"] != State.RELEASED:
        return False
    control = run.world.store.get(run_key(run.id)) or {}
    return "hold" not in control and all(control.get(name) == run.control[name] for name in ("plan", "gen"))


def _why(target: Step, never: Verdict, because: Fact) -> str:
    source = paths.step_id(because.key)
    if never is Verdict.BLOCKED:
        return f"dependency {source} {'failed' if because.outcome is Outcome.FAILED else 'did not run'}"
    if any(edge.source == source and edge.on == CHOSEN for edge in target.edges):
        return f"not chosen by {source}"
    return f"no live path: {source} was {because.outcome.status.value}"
