"""What goes through a run unchanged: large, deep and foreign values; and the modifiers that are about values or about when."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.core.errors import Rejected
from treadle.core.model import Json
from treadle.simulation.driver import TENANT, MemoryEngine

from tests.language.cases import Case, Way, Work, definition, each_way, play

DEEP: Any = "leaf"
for _ in range(60):
    DEEP = {"in": [DEEP]}
FOREIGN = ["", " ", "ß漢字🧵", '\u0000\u001f\n\t"\\', "a\u0301", "\u202e", {"": 1, "ключ": None, "a.b": 2, "$ref": "x"}]
NUMBERS = [0, -1, 2**63 - 1, -(2**63), 1.5, -0.25, 1e300, 5e-324, 0.1]

VALUES = [
    Case(
        "text of every kind",
        'steps: [{id: a, task: echo, with: "${input}"}, {id: b, after: [a], set: "${steps.a.output}"}]',
        input=FOREIGN,
        output={"b": FOREIGN},
    ),
    Case(
        "numbers of every kind",
        'steps: [{id: a, task: echo, with: "${input}"}, {id: b, after: [a], set: "${steps.a.output}"}]',
        input=NUMBERS,
        output={"b": NUMBERS},
    ),
    Case(
        "deep JSON",
        'steps: [{id: a, task: echo, with: "${input}"}, {id: b, after: [a], set: "${steps.a.output}"}]',
        input=DEEP,
        output={"b": DEEP},
    ),
    Case("an input of null", 'steps: [{id: a, set: "${input}"}]', input=None, output={"a": {}}),
    Case(
        "an input of 300 KB",
        """
        steps:
        - {id: a, set: "${size(input.text)}"}
        - {id: b, after: [a], task: echo, with: "${input}"}
        - {id: c, after: [b], set: "${size(steps.b.output.text)}"}
        """,
        input={"text": "x" * 300_000},
        output={"c": 300_000},
    ),
    Case(
        "an output of 1 MiB",
        """
        steps:
        - {id: a, task: blow, with: {size: 1048576}}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        output={"b": 1_048_576},
    ),
    Case("a run's output of 1 MiB", "steps: [{id: a, task: blow, with: {size: 1048576}}]", output={"a": "x" * 1_048_576}),
    Case(
        "an output just over what an item holds",
        """
        steps:
        - {id: a, task: blow, with: {size: 32769}}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        output={"b": 32_769},
    ),
    Case(
        "an output whose bytes are more than its characters",
        """
        steps:
        - {id: a, task: blow, with: {size: 120000, char: "漢"}}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        output={"b": 120_000},
    ),
    Case(
        "large outputs of many items",
        """
        steps:
        - {id: a, forEach: "[1, 2, 3, 4, 5, 6, 7, 8]", task: blow, with: {size: 100000}}
        - {id: b, after: [a], set: "${steps.a.output.all(t, size(t) == 100000)}"}
        """,
        output={"b": True},
    ),
    Case(
        "a large signal",
        'steps: [{id: a, signal: {name: go}}, {id: b, after: [a], set: "${size(steps.a.output)}"}]',
        acts=[("waiting", "signal", "go", "y" * 200_000)],
        output={"b": 200_000},
    ),
    Case(
        "a large value in a loop",
        """
        steps:
        - {id: a, repeat: {while: "iteration < 3", max: 3}, set: "${previous == null ? input : previous + input}"}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        input="z" * 50_000,
        output={"b": 150_000},
    ),
    Case(
        "a large input of a child, and its output",
        """
        steps:
        - {id: a, workflow: {id: child, input: "${input}"}}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        others=["id: child\nsteps: [{id: x, set: '${input}'}]\noutput: '${steps.x.output}'"],
        input="z" * 100_000,
        output={"b": 100_000},
    ),
    Case(
        "a value that looks like a reference is not one",
        """
        steps:
        - {id: a, task: echo, with: {v: {"$ref": "blob:0"}}}
        - {id: b, after: [a], set: "${steps.a.output.v}"}
        """,
        output={"b": {"$ref": "blob:0"}},
    ),
    Case(
        "a long message of an error",
        """
        steps:
        - {id: x, task: blow, with: {size: 50000}}
        - id: a
          after: [x]
          task: boom
          with: {message: "${steps.x.output}"}
          catch: [{errors: ["*"], output: "${error.name}"}]
        """,
        output={"a": "Boom"},
    ),
    Case(
        "default output: the steps that no other comes after",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, after: [a], set: 2}
        - {id: c, set: 3}
        - {id: d, when: "false", set: 4}
        """,
        output={"b": 2, "c": 3, "d": None},
    ),
    Case(
        "the output template",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, after: [a], when: "false", set: 2}
        output: {a: "${steps.a.output}", b: "${steps.b.outcome}", w: "${run.workflow} ${run.version}", i: "${input.n}"}
        """,
        input={"n": 5},
        output={"a": 1, "b": "skipped", "w": "case 1.0.0", "i": 5},
    ),
    Case(
        "an output template of null",
        """
        steps:
        - {id: a, set: 1}
        output: null
        """,
        output=None,
    ),
    Case(
        "an output template that fails fails the run",
        """
        steps:
        - {id: a, set: 1}
        output: "${steps.a.output.x}"
        """,
        status="failed",
        error="ExpressionError",
    ),
]


@each_way(VALUES)
def test_a_value(case: Case, way: Way) -> None:
    play(case, way)


# Each case of the cache has keys of its own: the same engine may play them all.
MODIFIERS = [
    Case("when true", 'steps: [{id: a, when: "input.n > 1", set: ran}]', input={"n": 2}, output={"a": "ran"}),
    Case(
        "when as a JSON boolean", "steps: [{id: a, when: true, set: ran}, {id: b, when: false, set: ran}]", output={"a": "ran", "b": None}
    ),
    Case(
        "a bypassed step lets what comes after it go on",
        'steps: [{id: a, when: "false", set: 1}, {id: b, after: [a], set: "${steps.a.output}"}]',
        output={"b": None},
        steps={"a": "skipped"},
    ),
    Case(
        "when of what comes after sees the outcome",
        """
        steps:
        - {id: a, when: "false", set: 1}
        - {id: b, after: [a], when: "steps.a.outcome == 'skipped'", set: 2}
        """,
        output={"b": 2},
    ),
    Case(
        "the output modifier",
        'steps: [{id: a, task: echo, with: {x: 1, y: 2}, output: {only: "${result.x}", n: "${input.n}"}}]',
        input={"n": 9},
        output={"a": {"only": 1, "n": 9}},
    ),
    Case("the output modifier may hide the result", "steps: [{id: a, task: blow, with: {size: 10}, output: null}]", output={"a": None}),
    Case(
        "an earlier result of the same key is taken",
        """
        steps:
        - {id: a, task: note, with: {label: a, value: 1}, cache: {key: input.k, ttl: 1h}}
        - {id: b, after: [a], task: note, with: {label: b, value: 2}, cache: {key: input.k, ttl: 1h}}
        """,
        input={"k": "x"},
        output={"b": 1},
        log=["a"],
    ),
    Case(
        "not past its time",
        """
        steps:
        - {id: a, task: note, with: {label: a, value: 1}, cache: {key: input.k, ttl: 1h}}
        - {id: w, after: [a], wait: 1h}
        - {id: b, after: [w], task: note, with: {label: b, value: 2}, cache: {key: input.k, ttl: 1h}}
        """,
        input={"k": "y"},
        output={"b": 2},
        log=["a", "b"],
    ),
    Case(
        "not of another task",
        """
        steps:
        - {id: a, task: note, with: {label: a, value: 1}, cache: {key: "31", ttl: 1h}}
        - {id: b, after: [a], task: echo, with: 2, cache: {key: "31", ttl: 1h}}
        """,
        output={"b": 2},
    ),
    Case(
        "keys are values: 41 is not '41'",
        """
        steps:
        - {id: a, task: note, with: {label: a, value: 1}, cache: {key: "41", ttl: 1h}}
        - {id: b, after: [a], task: note, with: {label: b, value: 2}, cache: {key: "'41'", ttl: 1h}}
        """,
        output={"b": 2},
        log=["a", "b"],
    ),
    Case(
        "a failure is not kept",
        """
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}, cache: {key: "51", ttl: 1h}, retry: {maxAttempts: 2, delay: 0s}}
        """,
        output={"a": 2},
    ),
    Case(
        "the cache of items",
        """
        steps:
        - id: a
          forEach: "[1, 2, 1, 2]"
          maxConcurrency: 1
          task: note
          with: {label: "${item}"}
          cache: {key: "[61, item]", ttl: 1h}
        """,
        output={"a": [1, 2, 1, 2]},
        log=[1, 2],
    ),
    Case(
        "output reshapes what the cache gives as well",
        """
        steps:
        - {id: a, task: note, with: {label: a, value: 1}, cache: {key: "71", ttl: 1h}, output: "${result + 1}"}
        - {id: b, after: [a], task: note, with: {label: b, value: 2}, cache: {key: "71", ttl: 1h}, output: "${result + 10}"}
        """,
        output={"b": 11},
        log=["a"],
    ),
    Case(
        "a priority does not change what comes of it",
        """
        steps:
        - {id: a, priority: critical, task: echo, with: 1}
        - {id: b, priority: low, task: echo, with: 2}
        """,
        output={"a": 1, "b": 2},
    ),
    Case("resources", 'steps: [{id: a, resources: {cpu: "1 vCPU", memory: "1GB"}, task: echo, with: 1}]', output={"a": 1}),
    Case(
        "at most one task of a key at once",
        """
        steps:
        - {id: a, forEach: "[1, 2, 3]", concurrency: {key: "'printer'", limit: 1}, task: echo, with: "${item}"}
        """,
        output={"a": [1, 2, 3]},
    ),
    Case(
        "idempotent steps and checkpoints",
        """
        checkpoint: {steps: 10}
        steps:
        - {id: a, idempotent: true, set: 1}
        - {id: b, after: [a], idempotent: true, set: "${steps.a.output + 1}"}
        - {id: c, after: [b], set: "${steps.b.output + 1}"}
        """,
        output={"c": 3},
    ),
    Case(
        "metadata and attributes",
        """
        metadata: {owner: shop, attributes: {n: "${input.n}", fixed: x}}
        steps:
        - {id: a, set: 1}
        """,
        input={"n": 5},
        output={"a": 1},
    ),
    Case(
        "dependencies in place of after",
        """
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, task: note, with: {label: b}}
        dependencies: {a: [b]}
        """,
        log=["b", "a"],
    ),
    Case(
        "dependencies beside the same after",
        """
        steps:
        - {id: a, after: [b], task: note, with: {label: a}}
        - {id: b, task: note, with: {label: b}}
        dependencies: {a: [b]}
        """,
        log=["b", "a"],
    ),
    Case("a missing field", 'steps: [{id: a, set: "${input.none}"}]', status="failed", error="ExpressionError"),
    Case(
        "has asks before",
        """
        steps:
        - {id: a, set: "${has(input.x) ? input.x : 'default'}"}
        """,
        output={"a": "default"},
    ),
    Case(
        "the run's own data",
        """
        steps:
        - {id: a, set: "${run.workflow} ${run.version} ${size(run.id) > 0} ${size(run.startedAt) > 0}"}
        """,
        output={"a": "case 1.0.0 true true"},
    ),
    Case(
        "macros and text functions",
        """
        steps:
        - {id: a, set: "${input.filter(x, x > 1).map(x, x * 2)}"}
        - {id: b, set: "${'abc'.matches('^a.c$') && 'abc'.contains('b')}"}
        """,
        input=[1, 2, 3],
        output={"a": [4, 6], "b": True},
    ),
]


@each_way(MODIFIERS)
def test_a_modifier(case: Case, way: Way) -> None:
    play(case, way)


# ------------------------------------------------------------------------------------------------ of more than one run


def test_attributes_are_the_runs_and_can_be_searched() -> None:
    engine = MemoryEngine()
    text = definition("metadata: {attributes: {customer: '${input.who}', big: true, n: 7}}\nsteps: [{id: a, set: 1}]")
    found = {engine.run(text, {"who": who}).id: who for who in ("ann", "bob", "ann")}
    runs, _ = engine.operations.runs(TENANT, workflow="case", attributes={"customer": "ann"})
    assert sorted(run.id for run in runs) == sorted(run_id for run_id, who in found.items() if who == "ann")
    assert runs[0].attributes == {"customer": "ann", "big": True, "n": 7}


def test_every_attempt_has_the_same_idempotency_key_and_no_other_step_has() -> None:
    work = Work()
    engine = MemoryEngine(work.tasks())
    engine.run(
        definition(
            """
            steps:
            - {id: a, forEach: "[1, 2]", task: note, with: {label: a}}
            - id: g
              retry: {maxAttempts: 2, delay: 0s}
              group: {steps: [{id: b, task: note, with: {label: b}}, {id: c, after: [b], task: nth, with: {key: k, fails: 1}}]}
            """
        )
    )
    told = list(zip(work.log, work.keys, strict=True))
    of_a = {key for label, key in told if label == "a"}
    of_b = {key for label, key in told if label == "b"}
    assert (len(of_b), len(of_a), len(work.keys)) == (1, 2, 4)


@pytest.mark.parametrize(
    ("who", "told"), [([1], "metadata.attributes.customer gives a list"), ({}, "gives a map"), ("x" * 500_000, "500015 bytes")]
)
def test_a_start_is_refused_whose_attributes_are_none(who: Json, told: str) -> None:
    text = definition("metadata: {attributes: {customer: '${input.who}'}}\nsteps: [{id: a, set: 1}]")
    with pytest.raises(Rejected, match=told) as refused:
        MemoryEngine().start(text, {"who": who})
    assert refused.value.code == "invalid-input"


@pytest.mark.parametrize(("overflow", "statuses"), [("queue", ["running", "pending"]), ("cancelOldest", ["cancelled", "running"])])
def test_live_runs_of_one_key(overflow: str, statuses: list[str]) -> None:
    engine = MemoryEngine()
    text = definition(f"concurrency: {{key: input.k, limit: 1, overflow: {overflow}}}\nsteps: [{{id: a, wait: 1h}}]")
    first = engine.start(text, {"k": "x"})
    engine.advance(engine.now() + 1000)
    second = engine.start(text, {"k": "x"})
    other = engine.start(text, {"k": "y"})
    engine.advance(engine.now() + 1000)
    assert [engine.show(run_id).status for run_id in (first, second)] == statuses
    assert engine.show(other).status == "running"
    assert {engine.wait(run_id).status for run_id in (second, other)} == {"succeeded"}


def test_the_key_of_a_run_may_be_what_the_run_is() -> None:
    engine = MemoryEngine()
    head = "id: {}\nconcurrency: {{key: run.workflow + run.version, limit: 1}}\nsteps: [{{id: a, wait: 1h}}]"
    runs = [engine.start(definition(head.format(name))) for name in ("one", "one", "two")]
    engine.advance(engine.now() + 1000)
    assert [engine.show(run_id).status for run_id in runs] == ["running", "pending", "running"]


def test_of_three_runs_at_once_the_newest_stays() -> None:
    """The second makes the first go and waits for its place; the third makes the second go, though it never had one."""
    for seed in range(12):
        engine = MemoryEngine(seed=seed)
        text = definition("concurrency: {key: input.k, limit: 1, overflow: cancelOldest}\nsteps: [{id: a, wait: 1h}]")
        runs = [engine.start(text, {"k": 1}) for _ in range(3)]
        engine.advance(engine.now() + 1000)
        assert sorted(engine.show(run).status for run in runs) == ["cancelled", "cancelled", "running"]


def test_a_run_too_many_is_refused_where_overflow_says_so() -> None:
    engine = MemoryEngine()
    text = definition("concurrency: {key: input.k, limit: 1, overflow: reject}\nsteps: [{id: a, wait: 1h}]")
    engine.start(text, {"k": "x"})
    with pytest.raises(Rejected):
        engine.start(text, {"k": "x"})
    engine.start(text, {"k": "y"})
