"""Section 3 row by row: how the source ended x what the edge waits for x the join of the target, alone and beside a live edge.

Every source ends that way for real. The tables are written again by hand from the language page.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest
from treadle.core.model import Outcome
from treadle.definition import schema
from treadle.engine.items import step_key
from treadle.simulation.driver import MemoryEngine

from tests.language.cases import WAYS, Case, Way, definition, each_way, play

LIVE, DEAD, FAILED = "live", "dead", "failed"
ON = ("plain", "succeeded", "failed", "skipped", "done")


@dataclass(frozen=True)
class Source:
    """Steps that make `x` end so, and what that makes of an edge of each kind. `{after}` is put into the first of them."""

    steps: str
    edges: tuple[str, str, str, str, str]


SOURCES = {
    "succeeded": Source("- {id: x, AFTER set: 1}", (LIVE, LIVE, DEAD, DEAD, LIVE)),
    "failed, uncaught": Source(
        """\
- {id: x, AFTER fail: {error: Boom}}
- {id: handler, after: [{step: x, on: failed}], set: handled}""",
        (FAILED, DEAD, LIVE, DEAD, LIVE),
    ),
    "bypassed": Source('- {id: x, AFTER when: "false", set: 1}', (LIVE, DEAD, DEAD, LIVE, LIVE)),
    "not chosen by a switch": Source(
        """\
- {id: route, AFTER switch: [{when: "false", then: x}]}
- {id: x, set: 1}""",
        (DEAD, DEAD, DEAD, LIVE, DEAD),
    ),
    "without a live edge": Source(
        """\
- {id: before, AFTER set: 1}
- {id: x, after: [{step: before, on: failed}], set: 1}""",
        (DEAD, DEAD, DEAD, LIVE, DEAD),
    ),
    "blocked": Source(
        """\
- {id: broken, AFTER fail: {error: Boom}}
- {id: handler, after: [{step: broken, on: failed}], set: handled}
- {id: x, after: [broken], set: 1}""",
        (FAILED, DEAD, DEAD, LIVE, LIVE),
    ),
    "caught with catch.then": Source(
        """\
- {id: x, AFTER fail: {error: Boom}, catch: [{errors: [Boom], then: handler}]}
- {id: handler, set: handled}""",
        (DEAD, DEAD, LIVE, DEAD, LIVE),
    ),
    "caught with catch.output": Source(
        '- {id: x, AFTER fail: {error: Boom}, catch: [{errors: ["*"], output: instead}]}', (LIVE, LIVE, DEAD, DEAD, LIVE)
    ),
}

# Whether the target runs: by its join, and what the edge under test is; alone, and beside a live edge.
EVERY_JOIN = ("all", "any", "done", "1", "2")
ALONE = {"all": {LIVE}, "any": {LIVE}, "done": {LIVE, DEAD, FAILED}, "1": {LIVE}}
BESIDE = {"all": {LIVE, DEAD}, "any": {LIVE, DEAD, FAILED}, "done": {LIVE, DEAD, FAILED}, "1": {LIVE, DEAD, FAILED}, "2": {LIVE}}


def edge_to(source: str, on: str) -> str:
    return source if on == "plain" else f"{{step: {source}, on: {on}}}"


def table() -> list[Case]:
    """Every row x every kind of edge x every join: the edge under test is the only one, is there first, or comes after the live one."""
    found = []
    for (name, source), (number, on), join in product(SOURCES.items(), enumerate(ON), EVERY_JOIN):
        edge = source.edges[number]
        if join != "2":  # of one edge: refused, see below
            steps = source.steps.replace("AFTER ", "")
            target = f"- {{id: target, join: {join}, after: [{edge_to('x', on)}], set: ran}}"
            found.append(_case(f"{name}, {on}, join {join}, alone", steps, target, edge in ALONE[join]))
        for late in ("x", "live"):
            steps = source.steps.replace("AFTER ", "after: [later], " if late == "x" else "")
            live = f"- {{id: later, wait: 1s}}\n- {{id: live, {'' if late == 'x' else 'after: [later], '}set: 1}}"
            target = f"- {{id: target, join: {join}, after: [{edge_to('x', on)}, live], set: ran}}"
            found.append(_case(f"{name}, {on}, join {join}, {late} is late", f"{steps}\n{live}", target, edge in BESIDE[join]))
    return found


def _case(name: str, steps: str, target: str, runs: bool) -> Case:
    outcome = "succeeded" if runs else "skipped"
    return Case(name, f"steps:\n{steps}\n{target}", steps={"target": outcome}, outputs={"target": "ran" if runs else None})


@pytest.mark.parametrize("case", table(), ids=lambda case: case.id)
def test_an_edge_does_what_the_table_says(case: Case) -> None:
    """The first of the ways in which messages go: the order of these two edges is made by the clock."""
    play(case, WAYS["in order"])


@pytest.mark.parametrize(
    "way", [way for name, way in WAYS.items() if name != "in order"], ids=[name for name in WAYS if name != "in order"]
)
@pytest.mark.parametrize("case", table()[::7], ids=lambda case: case.id)
def test_an_edge_does_what_the_table_says_in_any_order(case: Case, way: Way) -> None:
    play(case, way)


def test_a_join_of_more_edges_than_there_are_is_refused() -> None:
    text = definition("steps: [{id: x, set: 1}, {id: target, join: 2, after: [x], set: 1}]")
    assert "bad-join" in [fault.code for fault in MemoryEngine().validate(text)]


# ------------------------------------------------------------------------------------------------ cancelled sources

# A step is cancelled when its scope stops, and nothing starts in a scope that stops but `join: done`.
STOPPED = """\
errorHandling: {onFailure: stop}
steps:
- {id: x, wait: 1h}
- {id: soon, wait: 1s}
- {id: broken, after: [soon], fail: {error: Boom}}
- {id: before, set: 1}
- {id: later, join: done, after: [x], set: 1}
- {id: target, join: JOIN, after: EDGES, set: ran}
"""
# What stands beside the edge from the cancelled step, and the joins for which the target runs all the same.
BESIDE_CANCELLED = {
    "alone": ("[EDGE]", {"done"}),
    "another was live before": ("[EDGE, before]", {"done", "any", "1"}),
    "another is live after": ("[EDGE, later]", {"done"}),
}


def cancelled_cases() -> list[Case]:
    found = []
    for on, join, (place, (edges, runs)) in product(ON, EVERY_JOIN, BESIDE_CANCELLED.items()):
        if join == "2" and place == "alone":
            continue
        text = STOPPED.replace("JOIN", join).replace("EDGES", edges).replace("EDGE", edge_to("x", on))
        steps = {"x": "cancelled", "target": "succeeded" if join in runs else "skipped"}
        found.append(Case(f"cancelled, {on}, join {join}, {place}", text, status="failed", error="Boom", steps=steps, took=1))
    return found


@each_way(cancelled_cases())
def test_of_what_comes_after_a_cancelled_step_only_clean_up_runs(case: Case, way: Way) -> None:
    play(case, way)


# ------------------------------------------------------------------------------------------------ chosen edges

CHOICES = [
    Case(
        "a chosen step runs, the others do not",
        'steps: [{id: s, switch: [{when: "true", then: a}, {else: b}]}, {id: a, set: A}, {id: b, set: B}]',
        output={"a": "A", "b": None},
        steps={"a": "succeeded", "b": "skipped"},
        outputs={"s": {"chosen": ["a"]}},
    ),
    Case(
        "one case chooses several steps",
        """
        steps:
        - {id: s, switch: [{when: "true", then: [a, b]}]}
        - {id: a, set: A}
        - {id: b, set: B}
        - {id: c, after: [a, b], set: C}
        """,
        output={"c": "C"},
        outputs={"s": {"chosen": ["a", "b"]}},
    ),
    Case(
        "no case holds and nothing is chosen",
        'steps: [{id: s, switch: [{when: "false", then: a}]}, {id: a, set: A}, {id: b, after: [a], set: B}]',
        output={"b": None},
        outputs={"s": {"chosen": []}},
        steps={"a": "skipped", "b": "skipped"},
    ),
    Case(
        "one step in two cases",
        """
        steps:
        - {id: s, switch: [{when: "false", then: a}, {when: "true", then: [a, b]}]}
        - {id: a, set: A}
        - {id: b, set: B}
        """,
        output={"a": "A", "b": "B"},
    ),
    Case(
        "what was not chosen is dead all the way, and the merge goes on",
        """
        steps:
        - {id: s, switch: [{when: "true", then: a}, {else: b}]}
        - {id: a, set: A}
        - {id: b, set: B}
        - {id: b2, after: [b], set: B2}
        - {id: m, after: [a, b2], set: "${steps.a.output}"}
        """,
        output={"m": "A"},
        steps={"b2": "skipped"},
    ),
    Case(
        "another live edge can start a step that was not chosen",
        'steps: [{id: s, switch: [{when: "false", then: a}]}, {id: o, set: 1}, {id: a, after: [o], set: A}]',
        output={"a": "A"},
    ),
    Case(
        "a bypassed switch chooses nothing",
        'steps: [{id: s, when: "false", switch: [{else: a}]}, {id: a, set: A}]',
        output={"a": None},
        steps={"s": "skipped", "a": "skipped"},
        outputs={"s": None},
    ),
    Case(
        "a switch that fails blocks its cases",
        """
        steps:
        - {id: s, switch: [{when: input.none, then: a}, {else: a}]}
        - {id: a, set: A}
        - {id: h, after: [{step: s, on: failed}], set: H}
        - {id: d, after: [{step: a, on: done}], set: D}
        - {id: k, after: [{step: a, on: skipped}], set: K}
        """,
        output={"h": "H", "d": "D", "k": "K"},
        steps={"s": "failed", "a": "skipped"},
        errors={"s": "ExpressionError"},
    ),
    Case(
        "the first case that holds is taken",
        """
        steps:
        - {id: s, switch: [{when: "false", then: a}, {when: "true", then: b}, {when: "true", then: c}, {else: d}]}
        - {id: a, set: 1}
        - {id: b, set: 2}
        - {id: c, set: 3}
        - {id: d, set: 4}
        """,
        output={"a": None, "b": 2, "c": None, "d": None},
    ),
    Case(
        "a handler that was not needed is dead",
        """
        steps:
        - {id: a, set: 1, catch: [{errors: ["*"], then: h}]}
        - {id: h, set: H}
        - {id: b, after: [a, h], set: B}
        """,
        output={"b": "B"},
        steps={"h": "skipped"},
    ),
    Case(
        "only the handler that matched runs",
        """
        steps:
        - {id: a, fail: {error: Two}, catch: [{errors: [One], then: h1}, {errors: [Two], then: h2}, {errors: ["*"], then: h3}]}
        - {id: h1, set: 1}
        - {id: h2, set: 2}
        - {id: h3, set: 3}
        - {id: m, join: any, after: [h1, h2, h3], set: "${steps.h2.output}"}
        """,
        output={"m": 2},
        steps={"a": "failed", "h1": "skipped", "h3": "skipped"},
    ),
    Case(
        "a failure that no entry matches blocks the handlers",
        """
        steps:
        - {id: a, fail: {error: Two}, catch: [{errors: [One], then: h1}]}
        - {id: h1, set: 1}
        - {id: other, after: [{step: a, on: failed}], set: seen}
        - {id: d, after: [{step: h1, on: done}], set: D}
        """,
        output={"other": "seen", "d": "D"},
        steps={"h1": "skipped"},
    ),
]


@each_way(CHOICES)
def test_choices(case: Case, way: Way) -> None:
    play(case, way)


# ------------------------------------------------------------------------------------------------ joins, and what is handled

JOINS = [
    Case(
        "any reads null for every source but the one that started it",
        """
        steps:
        - {id: fast, wait: 1s, output: fast}
        - {id: slow, wait: 2s, output: slow}
        - {id: m, join: any, after: [fast, slow], set: ["${steps.fast.output}", "${steps.slow}"]}
        - {id: end, after: [m, fast, slow], set: ["${steps.fast.output}", "${steps.slow.output}"]}
        """,
        outputs={"m": ["fast", None], "end": ["fast", "slow"]},
        took=2,
    ),
    Case(
        "what any did not see is null in the whole step, however late: for a group, what is inside of it, its output and its catch",
        """
        steps:
        - {id: fast, wait: 1s, output: fast}
        - {id: slow, wait: 2s, output: slow}
        - id: g
          join: any
          after: [fast, slow]
          group:
            steps:
            - {id: early, set: "${steps.slow}"}
            - {id: pause, wait: 9s}
            - {id: inner, after: [pause], forEach: [1], group: {steps: [{id: late, set: "${[steps.slow, steps.fast.output]}"}]}}
            output: ["${steps.early.output}", "${steps.inner.output[0].late}", "${steps.slow}"]
          output: {inside: "${result}", outside: "${steps.slow}"}
        - id: c
          join: any
          after: [fast, slow]
          group: {steps: [{id: rest, wait: 9s}, {id: bad, after: [rest], fail: {error: Boom}}]}
          catch: [{errors: ["*"], output: "${steps.slow}"}]
        - {id: end, after: [g, c, slow], set: "${steps.slow.output}"}
        """,
        outputs={"g": {"inside": [None, [None, "fast"], None], "outside": None}, "c": None, "end": "slow"},
        took=10,
    ),
    Case(
        "what any or N did not see is null in each item and iteration, and in what ends a loop",
        """
        steps:
        - {id: fast, wait: 1s, output: fast}
        - {id: slow, wait: 2s, output: slow}
        - id: f
          join: 1
          after: [fast, slow]
          forEach: [1, 2]
          maxConcurrency: 1
          group: {steps: [{id: pause, wait: 9s}, {id: late, after: [pause], set: "${steps.slow}"}]}
          output: ["${result.late}", "${steps.slow}"]
        - id: r
          join: any
          after: [fast, slow]
          repeat: {until: steps.slow == null && iteration == 1, max: 3, delay: 9s}
          set: "${steps.slow}"
        """,
        outputs={"f": [[None, None], [None, None]], "r": None, "r[1]": None},
        took=19,
    ),
    Case(
        "what any did not see is null in each attempt of a group, and in what undoes the step",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: fast, wait: 1s, output: fast}
        - {id: slow, wait: 2s, output: slow}
        - id: g
          join: any
          after: [fast, slow]
          retry: {maxAttempts: 2, backoff: fixed, delay: 9s, jitter: none}
          group:
            steps:
            - {id: first, task: nth, with: {key: g, fails: 1}}
            - id: then
              after: [first]
              set: "${steps.slow}"
              compensate: {task: note, with: {label: "then ${steps.slow} ${steps.fast.output}"}}
        - {id: s, join: any, after: [fast, slow], set: 1, compensate: {task: note, with: {label: "s ${steps.slow} ${steps.fast.output}"}}}
        - {id: end, after: [g, s, slow], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        outputs={"g": {"then": None}},
        log=["then null fast", "s null fast"],
        took=10,
    ),
    Case(
        "any is decided at the first, and the rest of the run is waited for",
        """
        steps:
        - {id: a, wait: 1s}
        - {id: b, wait: 9s}
        - {id: m, join: any, after: [a, b], task: note, with: {label: m}}
        """,
        log=["m"],
        took=9,
    ),
    Case(
        "two of three",
        """
        steps:
        - {id: a, wait: 1s, output: a}
        - {id: b, wait: 2s, output: b}
        - {id: c, wait: 3s, output: c}
        - {id: m, join: 2, after: [a, b, c], set: ["${steps.a.output}", "${steps.b.output}", "${steps.c}"]}
        """,
        output={"m": ["a", "b", None]},
    ),
    Case(
        "two of three when one dies first",
        """
        steps:
        - {id: a, when: "false", set: a}
        - {id: a2, after: [{step: a, on: succeeded}], set: a2}
        - {id: b, wait: 2s, output: b}
        - {id: c, wait: 3s, output: c}
        - {id: m, join: 2, after: [a2, b, c], set: ["${steps.b.output}", "${steps.c.output}"]}
        """,
        output={"m": ["b", "c"]},
        took=3,
    ),
    Case(
        "too few can still be live: dead at once",
        """
        steps:
        - {id: a, when: "false", set: a}
        - {id: a2, after: [{step: a, on: succeeded}], set: a2}
        - {id: b, wait: 5s, output: b}
        - {id: m, join: 2, after: [a2, b], set: 1}
        - {id: seen, after: [{step: m, on: skipped}], task: note, with: {label: seen}}
        """,
        log=["seen"],
        steps={"m": "skipped", "seen": "succeeded"},
    ),
    Case(
        "a join wider than one item holds",
        "steps:\n"
        + "".join(f"- {{id: s{n}, set: {n}}}\n" for n in range(40))
        + f"- {{id: m, after: [{', '.join(f's{n}' for n in range(40))}], set: '${{steps.s0.output + steps.s39.output}}'}}",
        output={"m": 39},
    ),
    Case(
        "twenty of forty",
        "steps:\n"
        + "".join(f"- {{id: s{n}, wait: {n + 1}s, output: {n}}}\n" for n in range(40))
        + f"- {{id: m, join: 20, after: [{', '.join(f's{n}' for n in range(40))}], set: ['${{steps.s19.output}}', '${{steps.s20}}']}}",
        output={"m": [19, None]},
    ),
    Case(
        "done over many outcomes",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, when: "false", set: 1}
        - {id: c, fail: {error: Boom}, catch: [{errors: ["*"], then: h}]}
        - {id: h, set: 1}
        - {id: d, switch: [{when: "false", then: e}]}
        - {id: e, set: 1}
        - id: end
          join: done
          after: [a, b, c, e]
          set: ["${steps.a.outcome}", "${steps.b.outcome}", "${steps.c.outcome}", "${steps.e.outcome}"]
        """,
        outputs={"end": ["succeeded", "skipped", "failed", "skipped"]},
    ),
    Case(
        "an edge on failed handles the failure",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: h, after: [{step: a, on: failed}], set: "${steps.a.error.name}"}
        """,
        output={"h": "Boom"},
        steps={"a": "failed"},
    ),
    Case(
        "an edge on done handles the failure, whatever the join it leads to",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: h, join: done, after: [{step: a, on: done}], set: "${steps.a.error.name}"}
        """,
        output={"h": "Boom"},
    ),
    Case(
        "join done alone cleans up and does not handle",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: h, join: done, after: [a], task: note, with: {label: tidy}}
        """,
        status="failed",
        error="Boom",
        log=["tidy"],
        steps={"h": "succeeded"},
    ),
    Case(
        "a clean-up step runs after steps that never started",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: b, after: [a], set: 1}
        - {id: c, after: [b], set: 1}
        - {id: tidy, join: done, after: [c], task: note, with: {label: "${steps.c.outcome}"}}
        """,
        status="failed",
        error="Boom",
        log=["skipped"],
        steps={"b": "skipped", "c": "skipped", "tidy": "succeeded"},
    ),
    Case(
        "a chain of clean-up steps",
        """
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: t1, join: done, after: [a], task: note, with: {label: one}}
        - {id: t2, join: done, after: [t1], task: note, with: {label: two}}
        """,
        status="failed",
        error="Boom",
        log=["one", "two"],
    ),
    Case(
        "a clean-up step follows at once, though others behind its source are under way",
        """
        steps:
        - {id: t1, join: done, wait: 5s}
        - {id: never, after: [{step: t1, on: failed}], set: 1}
        - {id: t2, join: done, after: [{step: never, on: failed}], wait: 20s}
        - {id: a, fail: {error: Boom}}
        - {id: unstarted, after: [a], set: 1}
        - {id: t3, join: done, after: [t1, unstarted], wait: 20s}
        """,
        status="failed",
        error="Boom",
        steps={"t1": "succeeded", "t2": "succeeded", "t3": "succeeded"},
        took=(20, 25),
    ),
    Case(
        "a clean-up step that is running is left to end",
        """
        steps:
        - {id: x, set: 1}
        - {id: tidy, join: done, after: [x], group: {steps: [{id: w, wait: 5s}, {id: n, after: [w], task: note, with: {label: tidied}}]}}
        - {id: soon, wait: 1s}
        - {id: a, after: [soon], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        log=["tidied"],
        steps={"tidy": "succeeded"},
        took=5,
    ),
    Case(
        "a clean-up step that fails leaves the first error",
        "steps: [{id: a, fail: {error: First}}, {id: t, join: done, after: [a], fail: {error: Second}}]",
        status="failed",
        error="First",
        steps={"t": "failed"},
    ),
    Case(
        "a number of one is any without its reading of null",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, after: [a], wait: 5s}
        - {id: m, join: 1, after: [a, b], set: "${steps.a.output}"}
        """,
        outputs={"m": 1},
    ),
]


@each_way(JOINS)
def test_joins(case: Case, way: Way) -> None:
    play(case, way)


def test_every_row_and_column_is_there() -> None:
    """Of the page: rows are how a step may end, columns what an edge may wait for; joins are the models' words and two numbers."""
    assert len(table()) == len(SOURCES) * len(ON) * (len(ALONE) + 2 * len(BESIDE))
    assert len(cancelled_cases()) == len(ON) * (len(ALONE) + 2 * len(BESIDE))
    models = schema()["$defs"]
    assert set(ON) == {"plain", *models["Edge"]["properties"]["on"]["enum"]}
    assert set(EVERY_JOIN) == {*models["Step"]["properties"]["join"]["oneOf"][0]["enum"], "1", "2"}


def test_every_end_of_a_step_is_a_row() -> None:
    found = {Outcome.CANCELLED}
    for source in SOURCES.values():
        engine = MemoryEngine()
        run_id = engine.start(definition("steps:\n" + source.steps.replace("AFTER ", "")))
        engine.rest()
        item = engine.cloud.store.get(step_key(run_id, "x"))
        assert item is not None
        found.add(Outcome(item["outcome"]))
    assert found == set(Outcome)
