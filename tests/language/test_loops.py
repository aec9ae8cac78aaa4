"""`forEach` and `repeat`: their items and iterations, limits, and what applies to each and what to the whole."""

from __future__ import annotations

from tests.language.cases import Case, Way, each_way, play

FOR_EACH = [
    Case(
        "the list of outputs is in the order of the items",
        'steps: [{id: a, forEach: "[3, 1, 2]", set: "${item * 10 + index}"}]',
        output={"a": [30, 11, 22]},
    ),
    Case(
        "an empty list succeeds at once",
        'steps: [{id: a, forEach: "[]", task: boom}, {id: b, after: [a], set: "${steps.a.output}"}]',
        output={"b": []},
        steps={"a": "succeeded"},
    ),
    Case("an empty map succeeds at once", 'steps: [{id: a, forEach: "{}", task: boom}]', output={"a": []}),
    Case(
        "a map goes by key, sorted",
        'steps: [{id: a, forEach: input, set: "${item.key}=${item.value}"}]',
        input={"b": 2, "a": 1, "B": 3},
        output={"a": ["B=3", "a=1", "b=2"]},
    ),
    Case("a list in place of an expression", 'steps: [{id: a, forEach: [x, {y: 1}], set: "${item}"}]', output={"a": ["x", {"y": 1}]}),
    Case(
        "items that are not plain",
        'steps: [{id: a, forEach: input, set: "${item}"}]',
        input=[None, True, 1.5, "é", [], {}],
        output={"a": [None, True, 1.5, "é", [], {}]},
    ),
    Case("neither list nor map", "steps: [{id: a, forEach: input, set: 1}]", input=5, status="failed", error="ExpressionError"),
    Case("a text is no list", "steps: [{id: a, forEach: input, set: 1}]", input="text", status="failed", error="ExpressionError"),
    Case(
        "a thousand items",
        """
        steps:
        - {id: a, forEach: input, set: "${item + 1}"}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        input=list(range(1000)),
        output={"b": 1000},
        outputs={"a[99]": 100},
    ),
    Case(
        "a thousand items, ten at once",
        """
        steps:
        - {id: a, forEach: input, maxConcurrency: 10, task: echo, with: "${index}"}
        - {id: b, after: [a], set: "${size(steps.a.output)}"}
        """,
        input=list(range(1000)),
        output={"b": 1000},
    ),
    Case(
        "a few at once, always refilled",
        'steps: [{id: a, forEach: "[1, 2, 3, 4, 5, 6, 7]", maxConcurrency: 3, wait: 10s}]',
        took=30,
    ),
    Case(
        "one at once goes in order",
        'steps: [{id: a, forEach: "[3, 1, 2]", maxConcurrency: 1, task: note, with: {label: "${item}"}}]',
        log=[3, 1, 2],
    ),
    Case("all at once", 'steps: [{id: a, forEach: "[1, 2, 3, 4, 5, 6, 7]", wait: 10s}]', took=10),
    Case("more places than items", 'steps: [{id: a, forEach: "[1, 2]", maxConcurrency: 100, wait: 10s}]', took=10),
    Case(
        "items that are groups, two at once",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3, 4]"
          maxConcurrency: 2
          group: {steps: [{id: w, wait: 5s}, {id: x, after: [w], set: "${item * 2}"}], output: "${steps.x.output}"}
        """,
        output={"a": [2, 4, 6, 8]},
        outputs={"a[3].x": 8},
        took=10,
    ),
    Case(
        "a free place is taken again at once",
        """
        steps:
        - id: a
          forEach: "[9, 1, 1, 1]"
          maxConcurrency: 2
          group: {steps: [{id: w, repeat: {while: iteration < item, max: 10}, wait: 1s}]}
        """,
        took=9,
    ),
    Case(
        "forEach in forEach: the inner item hides the outer",
        """
        steps:
        - id: a
          forEach: "[1, 2]"
          group: {steps: [{id: b, forEach: "[item * 10, item * 10 + 1]", set: "${item}"}], output: "${steps.b.output}"}
        """,
        output={"a": [[10, 11], [20, 21]]},
    ),
    Case(
        "the outer item is kept by a set",
        """
        steps:
        - id: a
          forEach: "[1, 2]"
          group:
            steps:
            - {id: o, set: "${item}"}
            - {id: b, after: [o], forEach: "[5, 6]", set: "${steps.o.output * item}"}
            output: "${steps.b.output}"
        """,
        output={"a": [[5, 6], [10, 12]]},
    ),
    Case(
        "output applies to each item",
        """
        steps:
        - {id: a, forEach: "[1, 2]", task: echo, with: "${item}", output: {i: "${index}", r: "${result}"}}
        """,
        output={"a": [{"i": 0, "r": 1}, {"i": 1, "r": 2}]},
    ),
    Case(
        "when applies to the whole",
        'steps: [{id: a, when: "false", forEach: "[1]", set: 1}]',
        output={"a": None},
        steps={"a": "skipped"},
        absent=["a[0]"],
    ),
    Case(
        "retry applies to each item",
        """
        steps:
        - id: a
          forEach: "[0, 1, 2]"
          task: flaky
          with: {fails: "${item}"}
          retry: {maxAttempts: 3, delay: 1s, backoff: fixed, jitter: none}
        """,
        output={"a": [1, 2, 3]},
        attempts={"a[0]": 1, "a[2]": 3},
        took=2,
    ),
    Case(
        "one failing item fails the step, the others are cancelled",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3]"
          group: {steps: [{id: x, when: "item == 2", fail: {error: Two}}, {id: w, after: [x], wait: 1h}]}
        """,
        status="failed",
        error="Two",
        steps={"a": "failed", "a[0]": "cancelled", "a[1]": "failed"},
        took=0,
    ),
    Case(
        "items that had not begun are not begun",
        """
        steps:
        - {id: a, forEach: "[1, 2, 3]", maxConcurrency: 1, task: note_and_fail, with: {label: "${item}"}}
        """,
        status="failed",
        error="Boom",
        log=[1],
    ),
    Case(
        "as many failures as tolerated",
        'steps: [{id: a, forEach: "[1, 0, 2, 0]", tolerate: {failures: 2}, set: "${12 / item}"}]',
        output={"a": [12, None, 6, None]},
        steps={"a[1]": "failed"},
    ),
    Case(
        "one more than tolerated",
        'steps: [{id: a, forEach: "[1, 2, 3]", tolerate: {failures: 2}, task: boom, with: {error: E}}]',
        status="failed",
        error="E",
    ),
    Case(
        "past the tolerance the others are cancelled",
        """
        steps:
        - id: a
          forEach: "[0, 0, 1, 1]"
          tolerate: {failures: 1}
          group: {steps: [{id: x, when: "item == 0", fail: {error: Zero}}, {id: w, after: [x], wait: 1h}]}
        """,
        status="failed",
        error="Zero",
        steps={"a[2]": "cancelled"},
        took=0,
    ),
    Case(
        "as many per cent as tolerated",
        'steps: [{id: a, forEach: "[1, 0, 2, 0]", tolerate: {percent: 50}, set: "${12 / item}"}]',
        output={"a": [12, None, 6, None]},
    ),
    Case(
        "more per cent than tolerated",
        'steps: [{id: a, forEach: "[1, 0, 2, 0]", tolerate: {percent: 49.9}, set: "${12 / item}"}]',
        status="failed",
        error="ExpressionError",
    ),
    Case("every item may fail", 'steps: [{id: a, forEach: "[1, 2]", tolerate: {percent: 100}, task: boom}]', output={"a": [None, None]}),
    Case("none may fail", 'steps: [{id: a, forEach: "[1, 2]", tolerate: {failures: 0}, task: boom}]', status="failed", error="Boom"),
    Case("an empty list with a tolerance", 'steps: [{id: a, forEach: "[]", tolerate: {percent: 0}, task: boom}]', output={"a": []}),
    Case(
        "catch applies to the whole",
        """
        steps:
        - {id: a, forEach: "[1, 0]", set: "${1 / item}", catch: [{errors: ["*"], output: "${error.name}"}]}
        """,
        output={"a": "ExpressionError"},
    ),
    Case(
        "the error of an item names the item",
        """
        steps:
        - {id: a, forEach: "[1, 0]", set: "${1 / item}", catch: [{errors: ["*"], then: h}]}
        - {id: h, set: "${steps.a.error.name}"}
        """,
        output={"h": "ExpressionError"},
        steps={"a": "failed", "a[1]": "failed"},
    ),
    Case("timeout applies to each item", 'steps: [{id: a, forEach: "[1, 2, 3]", maxConcurrency: 1, wait: 4s, timeout: 5s}]', took=12),
    Case("a list of one", 'steps: [{id: a, forEach: "[7]", wait: 1s, output: "${item}"}]', output={"a": [7]}),
    Case(
        "forEach over an earlier forEach",
        """
        steps:
        - {id: a, forEach: "[1, 2]", set: "${item + 1}"}
        - {id: b, after: [a], forEach: steps.a.output, set: "${item * item}"}
        """,
        output={"b": [4, 9]},
    ),
    Case(
        "a switch within an item",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3]"
          group:
            steps: [{id: s, switch: [{when: item % 2 == 0, then: even}, {else: odd}]}, {id: even, set: even}, {id: odd, set: odd}]
            output: "${steps.even.output == null ? steps.odd.output : steps.even.output}"
        """,
        output={"a": ["odd", "even", "odd"]},
    ),
    Case(
        "a failure within a group of an item that is handled there",
        """
        steps:
        - id: a
          forEach: "[1, 0]"
          group: {steps: [{id: d, set: "${1 / item}", catch: [{errors: ["*"], output: -1}]}], output: "${steps.d.output}"}
        """,
        output={"a": [1, -1]},
    ),
    Case(
        "a list of large items",
        """
        steps:
        - {id: b, task: blow, with: {size: 20000}}
        - {id: a, after: [b], forEach: "[1, 2, 3, 4, 5]", task: echo, with: "${steps.b.output}"}
        - {id: n, after: [a], set: "${steps.a.output.map(t, size(t))}"}
        """,
        output={"n": [20000] * 5},
    ),
    Case(
        "forEach over a list of large items",
        """
        steps:
        - {id: b, forEach: "[1, 2, 3]", task: blow, with: {size: 200000}}
        - {id: a, after: [b], forEach: steps.b.output, set: "${size(item)}"}
        """,
        output={"a": [200000] * 3},
    ),
    Case(
        "more than a page of items, some of which fail",
        """
        steps:
        - {id: a, forEach: input, tolerate: {percent: 50}, set: "${12 / (item % 2)}"}
        - {id: b, after: [a], set: "${size(steps.a.output.filter(v, v == null))}"}
        """,
        input=list(range(600)),
        output={"b": 300},
    ),
]


@each_way(FOR_EACH)
def test_for_each(case: Case, way: Way) -> None:
    play(case, way)


def test_items_that_failed_before_their_loop_stopped_have_failed() -> None:
    """First come, first served: the time of all is over before the failure of any is acted on."""
    together = Case(
        "items that time out together",
        'steps: [{id: a, forEach: "[1, 2, 3]", wait: 1h, timeout: 1m}]',
        status="failed",
        error="Timeout",
        steps={"a[0]": "failed", "a[1]": "failed", "a[2]": "failed"},
        errors={"a[2]": "Timeout"},
        took=60,
    )
    play(together, Way())


REPEAT = [
    Case(
        "while is tested before",
        'steps: [{id: a, repeat: {while: "false", max: 3}, task: boom}]',
        output={"a": None},
        steps={"a": "succeeded"},
        absent=["a[0]"],
    ),
    Case(
        "until is tested after", 'steps: [{id: a, repeat: {until: "true", max: 3}, set: "${iteration}"}]', output={"a": 0}, absent=["a[1]"]
    ),
    Case(
        "the last iteration's output",
        'steps: [{id: a, repeat: {while: "iteration < 3", max: 9}, set: "i${iteration}"}]',
        output={"a": "i2"},
        outputs={"a[0]": "i0"},
    ),
    Case(
        "previous is null at first",
        """
        steps:
        - {id: a, repeat: {until: "iteration == 2", max: 9}, set: "${previous == null ? 1 : previous * 2}"}
        """,
        output={"a": 4},
    ),
    Case("as often as max", 'steps: [{id: a, repeat: {while: "iteration < 3", max: 3}, set: 1}]', outputs={"a[2]": 1}),
    Case(
        "past max with while",
        'steps: [{id: a, repeat: {while: "true", max: 3}, task: note, with: {label: "${iteration}"}}]',
        status="failed",
        error="LoopLimit",
        log=[0, 1, 2],
    ),
    Case(
        "past max with until",
        'steps: [{id: a, repeat: {until: "false", max: 3}, task: note, with: {label: "${iteration}"}}]',
        status="failed",
        error="LoopLimit",
        log=[0, 1, 2],
    ),
    Case(
        "LoopLimit is caught",
        """
        steps:
        - {id: a, repeat: {until: "false", max: 2}, set: 1, catch: [{errors: [LoopLimit], output: enough}]}
        """,
        output={"a": "enough"},
    ),
    Case(
        "LoopLimit is not a reason for another attempt",
        """
        steps:
        - {id: a, repeat: {until: "false", max: 2}, task: note, with: {label: x}, retry: {maxAttempts: 3}}
        """,
        status="failed",
        error="LoopLimit",
        log=["x", "x"],
    ),
    Case(
        "a delay between iterations",
        'steps: [{id: a, repeat: {until: "iteration == 2", max: 9, delay: 10s}, set: "${iteration}"}]',
        output={"a": 2},
        took=20,
    ),
    Case(
        "a delay before the next iteration of while, none before the first",
        'steps: [{id: a, repeat: {while: "iteration < 3", max: 9, delay: 10s}, set: "${iteration}"}]',
        output={"a": 2},
        took=(20, 30),
    ),
    Case(
        "a delay after a wait",
        'steps: [{id: a, repeat: {until: "iteration == 1", max: 2, delay: 60s}, wait: 30s}]',
        took=120,
    ),
    Case(
        "a delay after a group",
        """
        steps:
        - {id: a, repeat: {until: "iteration == 1", max: 2, delay: 60s}, group: {steps: [{id: w, wait: 30s}]}}
        """,
        took=120,
    ),
    Case("a loop of waits", 'steps: [{id: a, repeat: {until: "iteration == 4", max: 9}, wait: 10s}]', took=50),
    Case(
        "a hundred iterations",
        """
        steps:
        - {id: a, repeat: {while: "iteration < 100", max: 100}, set: "${previous == null ? 1 : previous + 1}"}
        """,
        output={"a": 100},
    ),
    Case(
        "each iteration is retried by itself",
        """
        steps:
        - id: a
          repeat: {until: "iteration == 1", max: 5}
          task: flaky
          with: {fails: 1}
          retry: {maxAttempts: 2, delay: 1s, backoff: fixed, jitter: none}
        """,
        output={"a": 2},
        attempts={"a[0]": 2, "a[1]": 2},
        took=2,
    ),
    Case(
        "an iteration that fails fails the loop",
        """
        steps:
        - {id: a, repeat: {until: "false", max: 5}, task: note_and_fail, with: {label: "${iteration}"}}
        """,
        status="failed",
        error="Boom",
        log=[0],
    ),
    Case(
        "a condition that gives no boolean",
        "steps: [{id: a, repeat: {while: iteration, max: 5}, set: 1}]",
        status="failed",
        error="ExpressionError",
    ),
    Case(
        "an until that gives no boolean",
        """
        steps:
        - {id: a, repeat: {until: previous, max: 5}, set: 1, catch: [{errors: [ExpressionError], output: x}]}
        """,
        output={"a": "x"},
    ),
    Case(
        "a group as the body",
        """
        steps:
        - id: a
          repeat: {until: "previous.n >= 3", max: 9}
          group: {steps: [{id: x, task: nth, with: {key: k}}], output: {n: "${steps.x.output}"}}
        """,
        output={"a": {"n": 3}},
        outputs={"a[1].x": 2},
    ),
    Case(
        "a loop in a loop",
        """
        steps:
        - id: a
          repeat: {while: "iteration < 2", max: 5}
          group: {steps: [{id: b, repeat: {while: "iteration < 3", max: 5}, task: note, with: {label: "${iteration}"}}]}
        """,
        log=[0, 1, 2, 0, 1, 2],
    ),
    Case(
        "a repeat in a forEach",
        """
        steps:
        - id: a
          forEach: "[1, 2, 3]"
          group:
            steps:
            - {id: b, repeat: {while: "iteration < item", max: 5}, set: "${iteration}"}
            output: "${steps.b.output}"
        """,
        output={"a": [0, 1, 2]},
    ),
    Case(
        "a forEach in a repeat",
        """
        steps:
        - id: a
          repeat: {while: "iteration < 2", max: 5}
          group: {steps: [{id: b, forEach: "[iteration, 10]", set: "${item + iteration}"}], output: "${steps.b.output}"}
        """,
        output={"a": [2, 11]},
    ),
    Case(
        "output is of each iteration, and until sees it",
        """
        steps:
        - {id: a, repeat: {until: "previous == 'r1'", max: 5}, set: "${iteration}", output: "r${result}"}
        """,
        output={"a": "r1"},
    ),
    Case(
        "polling with an approval in each round",
        """
        steps:
        - {id: a, repeat: {until: "previous.comment == 'last'", max: 5}, approval: {}}
        """,
        acts=[("waiting", "approve", "a[0]", "ann", "more"), ("waiting", "approve", "a[1]", "bob", "last")],
        output={"a": {"decision": "approved", "by": "bob", "comment": "last"}},
    ),
    Case(
        "a child in each round",
        """
        steps:
        - {id: a, repeat: {while: "iteration < 3", max: 3}, workflow: {id: child, input: "${iteration}"}}
        """,
        others=["id: child\nsteps: [{id: x, set: '${input * 2}'}]\noutput: '${steps.x.output}'"],
        output={"a": 4},
    ),
    Case(
        "a round that is bypassed inside",
        """
        steps:
        - id: a
          repeat: {while: "iteration < 2", max: 3}
          group: {steps: [{id: x, when: "iteration == 0", set: "${iteration}"}], output: "${steps.x.output}"}
        """,
        output={"a": None},
        outputs={"a[0]": 0},
    ),
]


@each_way(REPEAT)
def test_repeat(case: Case, way: Way) -> None:
    play(case, way)
