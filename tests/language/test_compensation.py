"""Section 6, `onFailure: compensate`: what is undone, in which order, and what becomes of an undoing that fails."""

from __future__ import annotations

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.model import Json
from treadle.simulation.driver import MemoryEngine

from tests.language.cases import Case, Way, Work, agree, definition, each_way, play

UNDO = "compensate: {task: note, with: {label: 'undo ${output}'}}"
CASES = [
    Case(
        "in reverse order of completion",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, wait: 3s, output: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: b, wait: 1s, output: b, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: c, wait: 2s, output: c, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [a, b, c], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo a", "undo c", "undo b"],
    ),
    Case(
        "along a chain",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: b, after: [a], set: b, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: c, after: [b], set: c, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [c], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo c", "undo b", "undo a"],
    ),
    Case(
        "nothing to undo",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
    ),
    Case(
        "only what succeeded",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [a], fail: {error: Boom}, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: n, after: [z], set: n, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: o, when: "false", set: o, compensate: {task: note, with: {label: "undo ${output}"}}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo a"],
    ),
    Case(
        "a compensation sees output, error, input and steps",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: A}
        - id: b
          after: [a]
          set: B
          compensate: {task: note, with: {label: "${output} ${error.name} ${error.step} ${input.n} ${steps.a.output}"}}
        - {id: z, after: [b], fail: {error: Boom}}
        """,
        input={"n": 1},
        status="failed",
        error="Boom",
        compensated=True,
        log=["B Boom z 1 A"],
    ),
    Case(
        "one that fails does not stop the others",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: b, after: [a], set: b, compensate: {task: boom}}
        - {id: c, after: [b], set: c, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [c], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=False,
        log=["undo c", "undo a"],
    ),
    Case(
        "one is tried again",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: a
          set: a
          compensate: {task: nth, with: {key: k, fails: 2}, retry: {maxAttempts: 3, delay: 5s, backoff: fixed, jitter: none}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        took=10,
    ),
    Case(
        "one takes the default retry",
        """
        errorHandling: {onFailure: compensate, retry: {maxAttempts: 3, delay: 5s, backoff: fixed, jitter: none}}
        steps:
        - {id: a, set: a, compensate: {task: nth, with: {key: k, fails: 2}}}
        - {id: z, after: [a], fail: {error: Boom}, retry: {maxAttempts: 1}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        took=10,
    ),
    Case(
        "one that takes too long",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: stuck, timeout: 10ms}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=False,
    ),
    Case(
        "one whose expression fails",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: b, after: [a], set: b, compensate: {task: note, with: {label: "${output.none}"}}}
        - {id: z, after: [b], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=False,
        log=["undo a"],
    ),
    Case(
        "inner steps of a group",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group:
            steps:
            - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
            - {id: b, after: [a], set: b, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [g], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo b", "undo a"],
    ),
    Case(
        "a group's own compensation in place of its steps'",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group: {steps: [{id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}], output: all}
          compensate: {task: note, with: {label: "undo ${output}"}}
        - {id: z, after: [g], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo all"],
    ),
    Case(
        "inner steps of a group that failed",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group:
            steps:
            - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
            - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo a"],
    ),
    Case(
        "inner steps of a group that failed and has its own",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group:
            steps:
            - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
            - {id: z, after: [a], fail: {error: Boom}}
          compensate: {task: note, with: {label: "undo ${output}"}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo a"],
    ),
    Case(
        "a forEach as a whole",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, forEach: "[1, 2]", set: "${item}", compensate: {task: note, with: {label: "${output}"}}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=[[1, 2]],
    ),
    Case(
        "the inner steps of each item",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: f
          forEach: "[1, 2, 3]"
          maxConcurrency: 1
          group: {steps: [{id: a, set: "${item}", compensate: {task: note, with: {label: "undo ${output}"}}}]}
        - {id: z, after: [f], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo 3", "undo 2", "undo 1"],
    ),
    Case(
        "the inner steps of each iteration",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: r
          repeat: {while: "iteration < 3", max: 3}
          group: {steps: [{id: a, set: "${iteration}", compensate: {task: note, with: {label: "undo ${output}"}}}]}
        - {id: z, after: [r], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo 2", "undo 1", "undo 0"],
    ),
    Case(
        "a step that was caught with an output counts as succeeded",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: a
          fail: {error: X}
          catch: [{errors: [X], output: instead}]
          compensate: {task: note, with: {label: "undo ${output}"}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo instead"],
    ),
    Case(
        "clean-up before compensation",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [a], fail: {error: Boom}}
        - {id: t, join: done, after: [z], task: note, with: {label: tidy}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["tidy", "undo a"],
    ),
    Case(
        "a compensation that is a set",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {set: "${output}"}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
    ),
    Case(
        "a compensation that waits",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {wait: 5s}}
        - {id: b, set: b, compensate: {wait: 5s}}
        - {id: z, after: [a, b], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        took=10,
    ),
    Case(
        "a compensation that is a child run",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {workflow: {id: child, input: {was: "${output}"}}}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        others=["id: child\nsteps: [{id: x, task: note, with: {label: '${input.was}'}}]"],
        status="failed",
        error="Boom",
        compensated=True,
        log=["a"],
    ),
    Case(
        "a handled failure compensates nothing",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [a], fail: {error: Boom}, catch: [{errors: ["*"], output: fine}]}
        """,
        output={"z": "fine"},
        compensated=None,
        log=[],
    ),
    Case(
        "stop compensates nothing",
        """
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=None,
        log=[],
    ),
    Case(
        "a cancelled run is not compensated",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        - {id: w, after: [a], wait: 1h}
        """,
        acts=[(5, "cancel")],
        status="cancelled",
        error="Cancelled",
        log=[],
    ),
    Case(
        "an output that fails fails the run, and it is compensated",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
        output: "${1 / 0}"
        """,
        status="failed",
        error="ExpressionError",
        compensated=True,
        log=["undo a"],
    ),
    Case(
        "a wait that undoes, and times out",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {wait: 1h, timeout: 10s}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=False,
        took=10,
    ),
    Case(
        "a child that undoes is tried again",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: a
          set: a
          compensate: {workflow: {id: undo-again}, retry: {maxAttempts: 3, backoff: fixed, delay: 5s, jitter: none}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        others=["id: undo-again\nsteps: [{id: n, task: note, with: {label: tried}}, {id: x, after: [n], task: boom}]"],
        status="failed",
        error="Boom",
        compensated=False,
        log=["tried", "tried", "tried"],
        took=10,
    ),
    Case(
        "what did not wait for a step is undone after it",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: 1}
        - {id: slow, wait: 5s, compensate: {task: note, with: {label: undo slow}}}
        - {id: both, join: 2, after: [{step: a, on: failed}, slow], set: 1}
        - {id: tidy, join: done, after: [both], set: 1, compensate: {task: note, with: {label: undo tidy}}}
        - {id: z, after: [slow], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=["undo slow", "undo tidy"],
    ),
    Case(
        "a child that undoes and fails passes its own error on",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: a
          set: a
          compensate: {workflow: {id: undo-red}, retry: {maxAttempts: 3, backoff: fixed, delay: 5s, jitter: none, on: [Red]}}
        - {id: b, set: b, compensate: {workflow: {id: undo-blue}, retry: {maxAttempts: 3, except: [Blue]}}}
        - {id: z, after: [a, b], fail: {error: Boom}}
        """,
        others=[
            "id: undo-red\nsteps: [{id: n, task: note, with: {label: red}}, {id: x, after: [n], fail: {error: Red}}]",
            "id: undo-blue\nsteps: [{id: x, fail: {error: Blue}}]",
        ],
        status="failed",
        error="Boom",
        compensated=False,
        log=["red", "red", "red"],
        took=10,
    ),
    Case(
        "a child that undoes and takes too long is cancelled",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: a, compensate: {workflow: {id: undo-slowly}, timeout: 10s}}
        - {id: z, after: [a], fail: {error: Boom}}
        """,
        others=["id: undo-slowly\nsteps: [{id: w, wait: 1h}, {id: n, after: [w], task: note, with: {label: late}}]"],
        status="failed",
        error="Boom",
        compensated=False,
        log=[],
        took=10,
    ),
    Case(
        "many",
        "errorHandling: {onFailure: compensate}\nsteps:\n"
        + "".join(f"- {{id: s{n}, {f'after: [s{n - 1}], ' if n else ''}set: {n}, {UNDO}}}\n" for n in range(40))
        + "- {id: z, after: [s39], fail: {error: Boom}}",
        status="failed",
        error="Boom",
        compensated=True,
        log=[f"undo {n}" for n in reversed(range(40))],
    ),
]


@each_way(CASES)
def test_compensation(case: Case, way: Way) -> None:
    play(case, way)


NESTED = """
errorHandling: {onFailure: compensate}
steps:
- {id: a, repeat: {until: "iteration == 3", max: 9}, set: 1, compensate: {task: note, with: {label: a}}}
- {id: p, after: [a], task: note, with: {label: p}}
- {id: q, after: [a], task: note, with: {label: q}}
- id: outer
  priority: high
  after: [p, q]
  join: any
  group:
    steps:
    - {id: inner, group: {steps: [{id: b, set: 1, compensate: {task: note, with: {label: b}}}]}}
- {id: z, after: [outer, p, q], fail: {error: Boom}}
"""


@pytest.mark.parametrize("seed", range(30))
def test_what_came_before_a_group_is_undone_after_what_is_in_it(seed: int) -> None:
    """All at one instant, and the group's message comes once for each of the edges that could start it."""
    case = Case("nested", NESTED, status="failed", error="Boom", outputs={"a": 1})
    work = Work()
    engine = MemoryEngine(work.tasks(), seed=seed)
    agree(case, engine.run(definition(case.text)), work)
    assert work.log[2:] == ["b", "a"]


@pytest.mark.parametrize("look", ["30s", "2m", "8m", "14m"])
def test_an_undoing_is_tried_again_in_its_time_whoever_looks_at_the_run_before(look: str) -> None:
    """Its time is further ahead than a message may wait when it is set, and no further when a late timer has the run looked at."""
    again = "retry: {maxAttempts: 2, backoff: fixed, delay: 19m, jitter: none}"
    text = f"""
    errorHandling: {{onFailure: compensate}}
    steps:
    - {{id: a, set: 1, compensate: {{task: never, {again}}}}}
    - {{id: z, after: [a], fail: {{error: Boom}}}}
    - {{id: late, wait: {look}}}
    """

    @task
    def never(given: Json, context: TaskContext) -> Json:
        calls.append(engine.now())
        raise TaskError("Again")

    calls: list[int] = []
    engine = MemoryEngine([never])
    assert engine.run(definition(text)).compensated is False
    assert calls[1] - calls[0] == 19 * 60_000


def test_each_undoing_tells_of_itself() -> None:
    """By an event of its own, also where two say the same."""
    engine = MemoryEngine()
    undone = "compensate: {emit: {type: Undone}}"
    text = f"""
    errorHandling: {{onFailure: compensate}}
    steps:
    - {{id: a, set: 1, {undone}}}
    - {{id: f, after: [a], forEach: "[1, 2]", group: {{steps: [{{id: b, set: 1, {undone}}}]}}}}
    - {{id: z, after: [f], fail: {{error: Boom}}}}
    """
    assert engine.run(definition(text)).compensated is True
    told = [event["detail"]["id"] for event in engine.cloud.bus.events if event["detail-type"] == "Undone"]
    assert (len(told), len(set(told))) == (3, 3)
