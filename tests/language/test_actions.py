"""Section 2, the actions: each with what it gives, its limits, and how it fails."""

from __future__ import annotations

from tests.language.cases import Case, Way, each_way, play

ACTIONS = [
    # ------------------------------------------------------------------------------------------------ task, set, fail, emit
    Case("a task without `with` is given an empty object", "steps: [{id: a, task: echo}]", output={"a": {}}),
    Case(
        "a task's result is its output",
        "steps: [{id: a, task: note, with: {label: l, value: [1, {b: null}]}}]",
        output={"a": [1, {"b": None}]},
    ),
    Case(
        "with keeps types and puts text together",
        """
        steps:
        - id: a
          task: echo
          with: {n: "${input.n}", t: "n is ${input.n}", l: ["${input.l}", "${input.l}!"], literal: "$${input.n}", "${input.n}": key}
        """,
        input={"n": 1, "l": [1, "x"]},
        output={"a": {"n": 1, "t": "n is 1", "l": [[1, "x"], '[1,"x"]!'], "literal": "${input.n}", "${input.n}": "key"}},
    ),
    Case(
        "with may be anything but a map",
        'steps: [{id: a, task: echo, with: "${input}"}, {id: b, task: echo, with: [1]}]',
        input=5,
        output={"a": 5, "b": [1]},
    ),
    Case("a task knows its path and attempt", "steps: [{id: a, task: whoami}]", output={"a": {"step": "a", "attempt": 1}}),
    Case("an exception's class name is the error's name", "steps: [{id: a, task: crash}]", status="failed", error="ZeroDivisionError"),
    Case(
        "a result that is no JSON",
        "steps: [{id: a, task: no_json, retry: {maxAttempts: 3}}]",
        status="failed",
        error="OutputInvalid",
        attempts={"a": 1},
    ),
    Case("NaN is no JSON", "steps: [{id: a, task: nan}]", status="failed", error="OutputInvalid"),
    Case(
        "output of a step is data: what looks like a template is not evaluated",
        """
        steps:
        - {id: a, task: echo, with: {t: "$${input.x}"}}
        - {id: b, after: [a], set: "${steps.a.output.t}"}
        """,
        output={"b": "${input.x}"},
    ),
    Case(
        "set computes",
        'steps: [{id: a, set: {sum: "${input.x + 1}", same: [true, null, 1.5]}}]',
        input={"x": 2},
        output={"a": {"sum": 3, "same": [True, None, 1.5]}},
    ),
    Case("set may give null", 'steps: [{id: a, set: null}, {id: b, after: [a], set: "${steps.a.output == null}"}]', output={"b": True}),
    Case(
        "set of an expression that fails",
        'steps: [{id: a, set: "${1 / 0}", retry: {maxAttempts: 5}}]',
        status="failed",
        error="ExpressionError",
        attempts={"a": 1},
    ),
    Case(
        "fail fails with its name",
        'steps: [{id: a, fail: {error: Never, message: "was ${input.x}"}}]',
        input={"x": 1},
        status="failed",
        error="Never",
    ),
    Case(
        "fail's message is a template",
        """
        steps:
        - {id: a, fail: {error: Never, message: "was ${input.x}"}, catch: [{errors: [Never], output: "${error.message}"}]}
        """,
        input={"x": 1},
        output={"a": "was 1"},
    ),
    Case(
        "emit gives the event's id",
        """
        steps:
        - {id: a, emit: {type: Shipped, detail: {n: "${input.n}"}}}
        - {id: b, after: [a], set: "${size(steps.a.output) > 0}"}
        """,
        input={"n": 1},
        output={"b": True},
    ),
    # ------------------------------------------------------------------------------------------------ wait
    Case("a wait gives null", "steps: [{id: a, wait: 30s}]", output={"a": None}, took=30),
    Case("a wait of less than a second", "steps: [{id: a, wait: 250ms}]", took=(0.25, 1)),
    Case("a wait in ISO 8601", "steps: [{id: a, wait: PT1M30S}]", took=90),
    Case("a wait longer than a queue's longest delay", "steps: [{id: a, wait: 90d}]", took=90 * 86_400),
    Case(
        "a wait until a moment",
        """
        steps:
        - {id: a, wait: {until: "timestamp(run.startedAt) + duration('90s')"}}
        """,
        took=90,
    ),
    Case(
        "a wait until a moment that has passed",
        """
        steps:
        - {id: a, wait: {until: "timestamp('2001-01-01T00:00:00Z')"}}
        """,
        took=0,
    ),
    Case("a wait until a text that is a time", "steps: [{id: a, wait: {until: input.at}}]", input={"at": "2001-01-01T00:00:00Z"}, took=0),
    Case(
        "a wait until something else",
        "steps: [{id: a, wait: {until: input.at}}]",
        input={"at": "soon"},
        status="failed",
        error="ExpressionError",
    ),
    Case("a timeout shorter than the wait", "steps: [{id: a, wait: 1h, timeout: 5s}]", status="failed", error="Timeout", took=5),
    Case("a timeout longer than the wait", "steps: [{id: a, wait: 5s, timeout: 1h}]", took=5),
    Case("the output modifier of a wait", 'steps: [{id: a, wait: 1s, output: {was: "${result}"}}]', output={"a": {"was": None}}),
    # ------------------------------------------------------------------------------------------------ signal
    Case(
        "a signal's payload is the output",
        "steps: [{id: a, signal: {name: go}}]",
        acts=[("waiting", "signal", "go", {"n": [1]})],
        output={"a": {"n": [1]}},
    ),
    Case(
        "a signal without payload gives null",
        "steps: [{id: a, signal: {name: go}}]",
        acts=[("waiting", "signal", "go")],
        output={"a": None},
    ),
    Case(
        "signals are taken first in, first out",
        """
        steps:
        - {id: w, wait: 10s}
        - {id: a, after: [w], signal: {name: go}}
        - {id: b, after: [a], signal: {name: go}}
        - {id: c, after: [b], signal: {name: go}}
        """,
        acts=[(1, "signal", "go", 1), (2, "signal", "go", 2), (3, "signal", "go", 3)],
        outputs={"a": 1, "b": 2, "c": 3},
        took=10,
    ),
    Case(
        "one signal wakes one of those who wait",
        """
        steps:
        - {id: a, signal: {name: go}}
        - {id: b, signal: {name: go}}
        - {id: s, join: any, after: [a, b], task: note, with: {label: one}}
        """,
        acts=[("waiting", "signal", "go", 1), ("waiting", "signal", "go", 1)],
        output={"s": "one"},
        outputs={"a": 1, "b": 1},
        log=["one"],
    ),
    Case(
        "a signal of another name is not taken",
        "steps: [{id: a, signal: {name: go, timeout: 1h}}]",
        acts=[(5, "signal", "stop", 1)],
        status="failed",
        error="Timeout",
        took=3600,
    ),
    Case(
        "a signal that came in time wins over the timeout",
        "steps: [{id: a, signal: {name: go, timeout: 10s}}]",
        acts=[(9, "signal", "go", "just")],
        output={"a": "just"},
        took=9,
    ),
    Case(
        "the timeout is tried again like any failure",
        """
        steps:
        - {id: a, signal: {name: go, timeout: 10s}, retry: {maxAttempts: 3, delay: 5s, backoff: fixed, jitter: none}}
        """,
        acts=[(32, "signal", "go", "third")],
        output={"a": "third"},
        attempts={"a": 3},
        took=32,
    ),
    Case(
        "a signal that comes during the back-off is kept for the next attempt",
        """
        steps:
        - {id: a, signal: {name: go, timeout: 10s}, retry: {maxAttempts: 2, delay: 5s, backoff: fixed, jitter: none}}
        """,
        acts=[(12, "signal", "go", "kept")],
        output={"a": "kept"},
        attempts={"a": 2},
        took=15,
    ),
    Case(
        "signals in a loop",
        "steps: [{id: a, repeat: {until: previous.last, max: 10}, signal: {name: word}}]",
        acts=[
            ("waiting", "signal", "word", {"last": False}),
            ("waiting", "signal", "word", {"last": False}),
            ("waiting", "signal", "word", {"last": True}),
        ],
        output={"a": {"last": True}},
        outputs={"a[0]": {"last": False}, "a[2]": {"last": True}},
        absent=["a[3]"],
    ),
    Case(
        "the output modifier of a signal",
        'steps: [{id: a, signal: {name: go}, output: "got ${result.n}"}]',
        acts=[("waiting", "signal", "go", {"n": 7})],
        output={"a": "got 7"},
    ),
    Case(
        "an output modifier that does not fit fails the step",
        """
        steps:
        - {id: a, signal: {name: go}, output: "${result.n}", catch: [{errors: [ExpressionError], output: bad}]}
        """,
        acts=[("waiting", "signal", "go", 7)],
        output={"a": "bad"},
    ),
    # ------------------------------------------------------------------------------------------------ approval
    Case(
        "an approval",
        "steps: [{id: a, approval: {message: please}}]",
        acts=[("waiting", "approve", "a", "ann", "fine")],
        output={"a": {"decision": "approved", "by": "ann", "comment": "fine"}},
    ),
    Case(
        "a rejection fails the step",
        "steps: [{id: a, approval: {}}]",
        acts=[("waiting", "reject", "a", "ann")],
        status="failed",
        error="Rejected",
    ),
    Case(
        "a rejection is not tried again",
        "steps: [{id: a, approval: {}, retry: {maxAttempts: 3}}]",
        acts=[("waiting", "reject", "a", "ann")],
        status="failed",
        error="Rejected",
        attempts={"a": 1},
    ),
    Case(
        "a rejection that is caught",
        """
        steps:
        - {id: a, approval: {}, catch: [{errors: [Rejected], then: b}]}
        - {id: b, set: "${steps.a.error.name}"}
        - {id: c, after: [a], set: 1}
        """,
        acts=[("waiting", "reject", "a", "ann")],
        output={"b": "Rejected", "c": None},
        steps={"a": "failed", "c": "skipped"},
    ),
    Case("an approval that nobody gives", "steps: [{id: a, approval: {timeout: 24h}}]", status="failed", error="Timeout", took=86_400),
    Case("an approval just in time", "steps: [{id: a, approval: {timeout: 24h}}]", acts=[(86_399, "approve", "a", "ann")], took=86_399),
    Case(
        "an approval inside a group",
        """
        steps:
        - {id: g, group: {steps: [{id: a, approval: {by: [ann]}}]}}
        - {id: b, after: [g], set: "${steps.g.output.a.by}"}
        """,
        acts=[("waiting", "approve", "g.a", "ann")],
        output={"b": "ann"},
    ),
    Case(
        "approvals of the items of a list",
        """
        steps:
        - {id: a, forEach: input, approval: {message: "${item}"}, output: "${result.by} for ${item}"}
        """,
        input=["x", "y"],
        acts=[("waiting", "approve", "a[1]", "bob"), ("waiting", "approve", "a[0]", "ann")],
        output={"a": ["ann for x", "bob for y"]},
    ),
    Case(
        "a run that waits for a person is waiting",
        "steps: [{id: a, approval: {}}, {id: b, set: 1}]",
        status="waiting",
        steps={"a": "waiting", "b": "succeeded"},
    ),
    Case(
        "a run is running while a timer goes beside the person",
        "steps: [{id: a, approval: {}}, {id: b, wait: 1h}]",
        acts=[(10, "approve", "a", "ann")],
        took=3600,
    ),
    # ------------------------------------------------------------------------------------------------ workflow
    Case(
        "a child's output is the step's",
        'steps: [{id: a, workflow: {id: child, input: {n: "${input.n}"}}}]',
        others=["id: child\nsteps: [{id: x, set: '${input.n * 2}'}]\noutput: '${steps.x.output}'"],
        input={"n": 21},
        output={"a": 42},
    ),
    Case(
        "a child without input gets an empty object",
        "steps: [{id: a, workflow: {id: child}}]",
        others=["id: child\nsteps: [{id: x, set: '${input}'}]"],
        output={"a": {"x": {}}},
    ),
    Case(
        "a failed child fails the step with its error",
        "steps: [{id: a, workflow: {id: child}}]",
        others=["id: child\nsteps: [{id: x, fail: {error: Inner}}]"],
        status="failed",
        error="Inner",
    ),
    Case(
        "a failed child is caught by the name of its error",
        "steps: [{id: a, workflow: {id: child}, catch: [{errors: [Inner], output: caught}]}]",
        others=["id: child\nsteps: [{id: x, fail: {error: Inner}}]"],
        output={"a": "caught"},
    ),
    Case(
        "a child that timed out is ChildFailed",
        "steps: [{id: a, workflow: {id: child}}]",
        others=["id: child\ntimeout: 5s\nsteps: [{id: x, wait: 1h}]"],
        status="failed",
        error="ChildFailed",
        took=5,
    ),
    Case(
        "a child that does not exist",
        'steps: [{id: a, workflow: {id: nobody}, catch: [{errors: ["*"], output: "${error.name}"}]}]',
        steps={"a": "succeeded"},
    ),
    Case(
        "a child that is not waited for gives its id",
        """
        steps:
        - {id: a, workflow: {id: child, wait: false}}
        - {id: b, after: [a], set: "${size(steps.a.output) > 0}"}
        """,
        others=["id: child\nsteps: [{id: x, wait: 1h}]"],
        output={"b": True},
        took=0,
    ),
    Case(
        "a child of a given version",
        'steps: [{id: a, workflow: {id: child, version: "1.0.0"}}, {id: b, workflow: {id: child}}]',
        others=["id: child\nsteps: [{id: x, set: one}]", "id: child\nversion: 1.1.0\nsteps: [{id: x, set: two}]"],
        output={"a": {"x": "one"}, "b": {"x": "two"}},
    ),
    Case(
        "a child is tried again as another run",
        """
        steps:
        - id: a
          workflow: {id: child}
          retry: {maxAttempts: 3, delay: 1s, backoff: fixed, jitter: none}
          catch: [{errors: ["*"], output: gone}]
        """,
        others=["id: child\nsteps: [{id: x, task: note_and_fail, with: {label: '${run.id}'}}]"],
        output={"a": "gone"},
        attempts={"a": 3},
        took=2,
    ),
    Case(
        "children of a list",
        'steps: [{id: a, forEach: "[1, 2, 3]", workflow: {id: child, input: "${item}"}}]',
        others=["id: child\nsteps: [{id: x, set: '${input + 10}'}]\noutput: '${steps.x.output}'"],
        output={"a": [11, 12, 13]},
    ),
    Case(
        "a child of a child",
        "steps: [{id: a, workflow: {id: child}}]",
        others=["id: grandchild\nsteps: [{id: x, wait: 5s, output: deep}]", "id: child\nsteps: [{id: y, workflow: {id: grandchild}}]"],
        output={"a": {"y": {"x": "deep"}}},
        took=5,
    ),
    Case(
        "a child whose input breaks its schema",
        """
        steps:
        - {id: a, workflow: {id: child, input: {n: text}}, catch: [{errors: [InputInvalid], output: refused}]}
        """,
        others=["id: child\ninput: {type: object, properties: {n: {type: integer}}}\nsteps: [{id: x, set: 1}]"],
        output={"a": "refused"},
    ),
    Case(
        "a step that waits for its child no longer than its timeout",
        "steps: [{id: a, workflow: {id: child}, timeout: 5s}]",
        others=["id: child\nsteps: [{id: x, wait: 1h}]"],
        status="failed",
        error="Timeout",
        took=5,
    ),
    # ------------------------------------------------------------------------------------------------ group
    Case(
        "a group gives the outputs of its last steps",
        "steps: [{id: g, group: {steps: [{id: a, set: 1}, {id: b, after: [a], set: 2}, {id: c, set: 3}]}}]",
        output={"g": {"b": 2, "c": 3}},
    ),
    Case(
        "a group's own output",
        'steps: [{id: g, group: {steps: [{id: a, set: 1}], output: "a is ${steps.a.output}"}}]',
        output={"g": "a is 1"},
    ),
    Case(
        "inner steps see outer ones",
        """
        steps:
        - {id: a, set: 1}
        - {id: g, after: [a], group: {steps: [{id: b, set: "${steps.a.output + input.n}"}]}}
        """,
        input={"n": 1},
        output={"g": {"b": 2}},
    ),
    Case(
        "groups in groups, eight deep",
        "steps: [" + "".join(f"{{id: g{n}, group: {{steps: [" for n in range(8)) + "{id: leaf, set: deep}" + "]}}" * 8 + "]",
        outputs={
            ".".join(f"g{n}" for n in range(8)) + ".leaf": "deep",
            "g0.g1": {"g2": {"g3": {"g4": {"g5": {"g6": {"g7": {"leaf": "deep"}}}}}}},
        },
    ),
    Case(
        "a group with dependencies of its own",
        """
        steps:
        - id: g
          group:
            steps:
            - {id: a, task: note, with: {label: a}}
            - {id: b, task: note, with: {label: b}}
            dependencies: {a: [b]}
        """,
        log=["b", "a"],
    ),
    Case(
        "a group that fails fails its step with the inner error",
        "steps: [{id: g, group: {steps: [{id: soon, wait: 1m}, {id: a, after: [soon], fail: {error: Inner}}, {id: b, wait: 1h}]}}]",
        status="failed",
        error="Inner",
        steps={"g": "failed", "g.b": "cancelled"},
        took=60,
    ),
    Case(
        "a group is tried again as a whole",
        """
        steps:
        - id: g
          retry: {maxAttempts: 3, delay: 2s, backoff: fixed, jitter: none}
          group: {steps: [{id: a, task: note, with: {label: a}}, {id: b, after: [a], task: nth, with: {key: k, fails: 2}}]}
        """,
        output={"g": {"b": 3}},
        log=["a", "a", "a"],
        attempts={"g": 3},
        took=4,
    ),
    Case(
        "a group does not take the default retry, its steps do",
        """
        errorHandling: {retry: {maxAttempts: 3, delay: 1s, backoff: fixed, jitter: none}}
        steps:
        - {id: g, group: {steps: [{id: a, task: nth, with: {key: k, fails: 9}}]}}
        """,
        status="failed",
        error="NotYet",
        attempts={"g": 1, "g.a": 3},
        took=2,
    ),
    Case(
        "a group times out",
        "steps: [{id: g, timeout: 7s, group: {steps: [{id: a, wait: 5s}, {id: b, after: [a], wait: 5s}]}}]",
        status="failed",
        error="Timeout",
        steps={"g.a": "succeeded", "g.b": "cancelled"},
        took=7,
    ),
    Case(
        "a group's failure is caught",
        """
        steps:
        - {id: g, group: {steps: [{id: a, fail: {error: Inner}}]}, catch: [{errors: [In*], then: h}]}
        - {id: h, set: "${steps.g.error.name}"}
        """,
        output={"h": "Inner"},
        steps={"g": "failed"},
    ),
    Case(
        "an output modifier on a group",
        'steps: [{id: g, group: {steps: [{id: a, set: 1}]}, output: {inner: "${result.a}"}}]',
        output={"g": {"inner": 1}},
    ),
    Case(
        "a group is bypassed as a whole",
        'steps: [{id: g, when: "false", group: {steps: [{id: a, task: note, with: {label: a}}]}}]',
        output={"g": None},
        log=[],
    ),
    Case(
        "a clean-up step within a group runs before the group fails",
        """
        steps:
        - id: g
          group: {steps: [{id: a, fail: {error: Boom}}, {id: t, join: done, after: [a], task: note, with: {label: tidy}}]}
          catch: [{errors: [Boom], then: h}]
        - {id: h, task: note, with: {label: handled}}
        """,
        log=["tidy", "handled"],
    ),
    Case(
        "no clean-up in a group that was cancelled",
        """
        steps:
        - id: g
          timeout: 2s
          group: {steps: [{id: a, wait: 1h}, {id: t, join: done, after: [a], task: note, with: {label: tidy}}]}
        """,
        status="failed",
        error="Timeout",
        log=[],
    ),
]


@each_way(ACTIONS)
def test_an_action(case: Case, way: Way) -> None:
    play(case, way)
