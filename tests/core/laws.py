"""The laws that tie `advance` to `frontier`, on random plans.

    python -m tests.core.laws --count 50000 --seed 1        # make plans

Law: whatever happens in whatever order, what each end starts is what a look at all the facts says; and further facts only
add to what may start. Hypothesis makes up some plans in each run of the tests (`test_advance.py`); here chance makes up many.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeVar

from treadle.core.advance import Fact, Verdict, advance, frontier
from treadle.core.model import Outcome
from treadle.core.plan import CHOSEN, Edge, Scope

from tests.core.plans import fact, scope, skip

T = TypeVar("T")

ON = ("succeeded", "failed", "skipped", "done")
OUTCOMES = (Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.BYPASSED, Outcome.CAUGHT, Outcome.CANCELLED)


class Pick(Protocol):
    """Who makes up a plan, and what happens in it."""

    def number(self, least: int, most: int) -> int: ...

    def one_of(self, choices: Sequence[T]) -> T: ...

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        """Up to so many of them, each once, in any order."""
        ...


@dataclass(frozen=True)
class ByChance:
    random: Random

    def number(self, least: int, most: int) -> int:
        return self.random.randint(least, most)

    def one_of(self, choices: Sequence[T]) -> T:
        return self.random.choice(choices)

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        return self.random.sample(choices, self.random.randint(0, min(most, len(choices))))


def random_scope(pick: Pick) -> Scope:
    """Acyclic, with every kind of edge and join, and switches that name later steps."""
    steps: list[dict[str, Any]] = []
    for number in range(pick.number(1, 8)):
        sources = pick.some(range(number), 4)
        after = [{"step": f"s{source}", "on": pick.one_of(ON)} if pick.number(0, 1) else f"s{source}" for source in sources]
        step: dict[str, Any] = {"id": f"s{number}", "after": after}
        if after:
            step["join"] = pick.one_of(["all", "all", "any", "done", pick.number(1, len(after))])
        steps.append(step)
    for number, step in enumerate(steps[:-1]):
        if pick.number(0, 3) == 0:
            step["switch"] = [{"else": pick.some([later["id"] for later in steps[number + 1 :]], 3)}]
    return scope(*steps)


def ending(pick: Pick, plan: Scope, name: str) -> Fact:
    """A fact that the step may come to: a switch that succeeds chooses some of the steps that it names."""
    outcome = pick.one_of(OUTCOMES)
    named = [target for target in plan.steps[name].targets if any(e == Edge(name, CHOSEN) for e in plan.steps[target].edges)]
    is_choice = outcome is Outcome.SUCCEEDED and named
    return fact(name, outcome, chosen=tuple(pick.some(named, len(named))) if is_choice else ())


def advance_starts_what_frontier_would(pick: Pick, advance: Callable[..., Mapping[str, Verdict]] = advance) -> None:
    """After each fact, in any order of them. `advance`: another one, to see that the law tells it from this."""
    plan = random_scope(pick)
    facts: dict[str, Fact] = {}
    started = {name for name, v in frontier(plan, facts).items() if v is Verdict.START}
    running = sorted(started)
    while running:
        ended = pick.one_of(running)
        running.remove(ended)
        facts[ended] = ending(pick, plan, ended)
        todo = [ended]
        while todo:
            for name, decided in advance(plan, todo.pop(), facts).items():
                if name in started:
                    continue  # a join that starts early meets its later edges
                if decided is Verdict.START:
                    started.add(name)
                    running.append(name)
                else:
                    facts[name] = skip(name, decided)
                    todo.append(name)
        whole = frontier(plan, dict(facts))
        assert {name for name, v in whole.items() if v is Verdict.START} == started - set(facts), (plan, facts)
        assert all(v is Verdict.START for v in whole.values()), ("advance left a skip unwritten", plan, facts)
    assert set(facts) == set(plan.steps), ("every step is decided in the end", plan, facts)


def more_facts_only_add(pick: Pick) -> None:
    """Monotone: a step that may start may start under any further facts of others."""
    plan = random_scope(pick)
    names = list(plan.steps)
    some = {name: ending(pick, plan, name) for name in pick.some(names, len(names))}
    more = dict(some)
    for name in names:
        if name not in more and pick.number(0, 1):
            more[name] = ending(pick, plan, name)
    before = {name for name, v in frontier(plan, some).items() if v is Verdict.START}
    after = {name for name, v in frontier(plan, more).items() if v is Verdict.START}
    assert before - set(more) <= after, (plan, some, more)


LAWS = (advance_starts_what_frontier_would, more_facts_only_add)


def main() -> int:
    options = argparse.ArgumentParser(description="the laws of advance and frontier, on random plans")
    options.add_argument("--count", type=int, default=50_000, help="plans, for each law")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    since, broken = time.perf_counter(), 0
    for number in range(chosen.count):
        for law in LAWS:
            try:
                law(ByChance(Random(f"{chosen.seed}/{law.__name__}/{number}")))
            except AssertionError as error:
                broken += 1
                print(f"{law.__name__}, plan {number} of seed {chosen.seed}: {error}", flush=True)
        if (number + 1) % 10_000 == 0:
            print(f"{number + 1} of {chosen.count} plans tried, {broken} break a law", file=sys.stderr, flush=True)
    print(f"{chosen.count} plans tried with each of {len(LAWS)} laws, {broken} break one; {time.perf_counter() - since:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
