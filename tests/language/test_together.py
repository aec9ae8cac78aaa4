"""Parts of the language in one another: loops in groups in attempts, failures inside of loops, people in the midst of it."""

from __future__ import annotations

from tests.language.cases import Case, Way, each_way, play

NESTED = [
    Case(
        "a forEach in a group that is tried again begins anew",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 1s, backoff: fixed, jitter: none}
          group:
            steps:
            - {id: f, forEach: "[1, 2, 3]", task: note, with: {label: "${item}"}}
            - {id: z, after: [f], task: nth, with: {key: k, fails: 1}}
        """,
        logged=[1, 2, 3, 1, 2, 3],
        output={"g": {"z": 2}},
        outputs={"g.f": [1, 2, 3]},
    ),
    Case(
        "lanes in a group that is tried again",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 1s, backoff: fixed, jitter: none}
          group:
            steps:
            - {id: f, forEach: "[1, 2, 3, 4]", maxConcurrency: 2, wait: 10s, output: "${item}"}
            - {id: z, after: [f], task: nth, with: {key: k, fails: 1}}
            output: "${steps.f.output}"
        """,
        output={"g": [1, 2, 3, 4]},
        took=41,
    ),
    Case(
        "a repeat in a group that is tried again",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: r, repeat: {while: "iteration < 2", max: 5}, task: note, with: {label: "${iteration}"}}
            - {id: z, after: [r], task: nth, with: {key: k, fails: 1}}
        """,
        log=[0, 1, 0, 1],
    ),
    Case(
        "a signal in a group that is tried again is asked for again",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: s, signal: {name: go}}
            - {id: z, after: [s], task: nth, with: {key: k, fails: 1}}
            output: "${steps.s.output}"
        """,
        acts=[("waiting", "signal", "go", 1), ("waiting", "signal", "go", 2)],
        output={"g": 2},
    ),
    Case(
        "an approval in a group that is tried again",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: s, approval: {}}
            - {id: z, after: [s], task: nth, with: {key: k, fails: 1}}
            output: "${steps.s.output.by}"
        """,
        acts=[("waiting", "approve", "g.s", "ann"), ("waiting", "approve", "g.s", "bob")],
        output={"g": "bob"},
    ),
    Case(
        "a group in a group, both tried again",
        """
        steps:
        - id: o
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: i, retry: {maxAttempts: 2, delay: 0s}, group: {steps: [{id: z, task: nth, with: {key: k, fails: 3}}]}}
        """,
        output={"o": {"i": {"z": 4}}},
        attempts={"o": 2, "o.i": 2},
    ),
    Case(
        "the timeout of a group is each attempt's",
        """
        steps:
        - id: g
          timeout: 5s
          retry: {maxAttempts: 3, delay: 1s, backoff: fixed, jitter: none, on: [Timeout]}
          group: {steps: [{id: n, task: nth, with: {key: k}}, {id: w, after: [n], when: "steps.n.output < 3", wait: 1h}]}
        """,
        steps={"g": "succeeded"},
        attempts={"g": 3},
        took=12,
    ),
    Case(
        "a group times out while a step in it waits for its next attempt",
        """
        steps:
        - id: g
          timeout: 5s
          group: {steps: [{id: a, task: boom, retry: {maxAttempts: 3, delay: 1h, jitter: none}}]}
          catch: [{errors: [Timeout], output: late}]
        """,
        output={"g": "late"},
        took=5,
    ),
    Case(
        "a group times out while a forEach in it runs",
        """
        steps:
        - id: g
          timeout: 5s
          group:
            steps:
            - {id: f, forEach: "[1, 2]", maxConcurrency: 1, wait: 3s}
            - {id: t, after: [f], task: note, with: {label: t}}
          catch: [{errors: [Timeout], output: late}]
        """,
        output={"g": "late"},
        steps={"g.f[0]": "succeeded", "g.f[1]": "cancelled"},
        log=[],
        took=5,
    ),
    Case(
        "a group times out while its child runs",
        """
        steps:
        - {id: g, timeout: 5s, group: {steps: [{id: c, workflow: {id: child}}]}, catch: [{errors: [Timeout], output: late}]}
        - {id: w, wait: 1m}
        """,
        others=["id: child\nsteps: [{id: x, wait: 10s}, {id: y, after: [x], task: note, with: {label: y}}]"],
        outputs={"g": "late"},
        log=[],
    ),
    Case(
        "a group in a repeat that is tried again",
        """
        steps:
        - id: r
          repeat: {while: "iteration < 2", max: 5}
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: n, task: note, with: {label: "${iteration}"}}
            - {id: z, after: [n], task: nth, with: {key: "${string(iteration)}", fails: 1}}
        """,
        log=[0, 0, 1, 1],
        attempts={"r[0]": 2, "r[1]": 2},
    ),
    Case(
        "a group of an item that is tried again",
        """
        steps:
        - id: f
          forEach: "[7, 8]"
          maxConcurrency: 1
          retry: {maxAttempts: 2, delay: 5s, backoff: fixed, jitter: none}
          group: {steps: [{id: z, task: nth, with: {key: "${string(item)}", fails: 1}}], output: "${item}"}
        """,
        output={"f": [7, 8]},
        attempts={"f[0]": 2, "f[1]": 2},
        took=10,
    ),
    Case(
        "forEach in forEach in forEach",
        """
        steps:
        - id: a
          forEach: "[1, 2]"
          group:
            steps:
            - {id: ka, set: "${item}"}
            - id: b
              after: [ka]
              forEach: "[10, 20]"
              group:
                steps:
                - {id: kb, set: "${item}"}
                - {id: c, after: [kb], forEach: "[100, 200]", set: "${item + steps.ka.output + steps.kb.output}"}
                output: "${steps.c.output}"
            output: "${steps.b.output}"
        """,
        output={"a": [[[111, 211], [121, 221]], [[112, 212], [122, 222]]]},
    ),
    Case(
        "lanes in lanes",
        """
        steps:
        - id: a
          forEach: "[1, 2]"
          maxConcurrency: 1
          group: {steps: [{id: b, forEach: "[1, 2, 3]", maxConcurrency: 2, wait: 10s}]}
        """,
        took=40,
    ),
    Case(
        "a join of any within each item",
        """
        steps:
        - id: f
          forEach: "[1, 2]"
          group:
            steps:
            - {id: a, wait: 1s}
            - {id: b, wait: 5s}
            - {id: m, join: any, after: [a, b], set: "${steps.b == null ? item : 0}"}
            output: "${steps.m.output}"
        """,
        output={"f": [1, 2]},
    ),
    Case(
        "a handler within each item",
        """
        steps:
        - id: f
          forEach: "[1, 0]"
          group:
            steps:
            - {id: d, set: "${6 / item}", catch: [{errors: ["*"], then: h}]}
            - {id: h, set: "${item - 1}"}
            - {id: m, after: [d, h], set: "${steps.d.outcome}"}
            output: "${steps.m.output}"
        """,
        output={"f": ["succeeded", "failed"]},
    ),
    Case(
        "clean-up within each item, and the failure of one",
        """
        steps:
        - id: f
          forEach: "[1, 0]"
          tolerate: {failures: 1}
          group:
            steps:
            - {id: d, set: "${6 / item}"}
            - {id: t, join: done, after: [d], task: note, with: {label: "tidy ${item}"}}
        """,
        logged=["tidy 1", "tidy 0"],
        steps={"f[0]": "succeeded", "f[1]": "failed"},
    ),
    Case(
        "a switch that chooses a group and a loop",
        """
        steps:
        - {id: s, switch: [{when: input.loop, then: l}, {else: g}]}
        - {id: l, forEach: "[1, 2]", set: "${item}"}
        - {id: g, group: {steps: [{id: a, set: 1}]}}
        - {id: m, after: [l, g], set: "${steps.l.output}"}
        """,
        input={"loop": True},
        output={"m": [1, 2]},
        steps={"g": "skipped"},
        absent=["g.a"],
    ),
    Case(
        "emit in each item gives each its own id",
        """
        steps:
        - {id: f, forEach: "[1, 2, 3]", emit: {type: Done, detail: {n: "${item}"}}}
        - {id: m, after: [f], set: "${steps.f.output.filter(a, steps.f.output.filter(b, a == b).size() == 1).size()}"}
        """,
        output={"m": 3},
    ),
    Case(
        "a name in a group hides nothing outside",
        """
        steps:
        - {id: x, set: 1}
        - {id: g, after: [x], group: {steps: [{id: y, set: "${steps.x.output}"}]}}
        - {id: z, after: [g], set: "${steps.g.output.y + steps.x.output}"}
        """,
        output={"z": 2},
    ),
    Case(
        "the item of a group's own forEach in its step's output",
        """
        steps:
        - {id: f, forEach: "[1, 2]", group: {steps: [{id: a, set: "${item}"}]}, output: "${result.a + item + index}"}
        """,
        output={"f": [2, 5]},
    ),
    Case(
        "children in lanes of which one fails",
        """
        steps:
        - {id: f, forEach: "[1, 0, 2]", maxConcurrency: 1, tolerate: {failures: 1}, workflow: {id: child, input: "${item}"}}
        """,
        others=["id: child\nsteps: [{id: x, set: '${6 / input}'}]\noutput: '${steps.x.output}'"],
        output={"f": [6, None, 3]},
    ),
]


@each_way(NESTED)
def test_nested(case: Case, way: Way) -> None:
    play(case, way)


FAILING = [
    Case(
        "a group that fails under continue lets its other branch end",
        """
        errorHandling: {onFailure: continue}
        steps:
        - id: f
          forEach: "[1, 0]"
          group:
            steps:
            - {id: d, set: "${1 / item}"}
            - {id: w, wait: 5s}
            - {id: n, after: [w], task: note, with: {label: "${item}"}}
        """,
        status="failed",
        error="ExpressionError",
    ),
    Case(
        "wait in each item",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: f, forEach: "[1, 0]", group: {steps: [{id: d, set: "${1 / item}"}], output: "${steps.d.output}"}}
        """,
        acts=[("waiting", "decide", "f[1].d", "skip", {"output": 9})],
        output={"f": [1, 9]},
    ),
    Case(
        "wait in an iteration",
        """
        errorHandling: {onFailure: wait}
        steps:
        - id: r
          repeat: {while: "iteration < 2", max: 5}
          group: {steps: [{id: d, task: nth, with: {key: "${string(iteration)}", fails: 1}}], output: "${steps.d.output}"}
        """,
        acts=[("waiting", "decide", "r[0].d", "retry"), ("waiting", "decide", "r[1].d", "retry")],
        output={"r": 2},
    ),
    Case(
        "wait, then cancel",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, after: [a], set: 1}
        """,
        acts=[("waiting", "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "b": "skipped"},
    ),
    Case(
        "wait, and the run's timeout",
        """
        timeout: 1h
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        """,
        status="timedOut",
        error="Timeout",
        took=3600,
    ),
    Case(
        "wait, pause and decide",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, after: [a], set: "${steps.a.output}"}
        """,
        acts=[("waiting", "pause"), (None, "decide", "a", "skip", {"output": 5}), (None, "resume")],
        output={"b": 5},
    ),
    Case(
        "wait, retry into a longer back-off",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: nth, with: {key: k, fails: 3}, retry: {maxAttempts: 2, delay: 10s, backoff: fixed, jitter: none}}
        """,
        acts=[("waiting", "decide", "a", "retry")],  # which gives it all its attempts again
        output={"a": 4},
        attempts={"a": 2},
    ),
    Case(
        "too many failed steps: the run is paused",
        """
        errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 1, action: pause}}
        steps:
        - {id: a, fail: {error: A}}
        - {id: b, wait: 1s}
        - {id: c, after: [b], fail: {error: C}}
        - {id: w, wait: 10s}
        - {id: d, after: [w], task: note, with: {label: d}}
        """,
        status="paused",
        log=[],
    ),
    Case(
        "one failed step may be too many",
        """
        errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 0, action: cancel}}
        steps:
        - {id: a, fail: {error: A}}
        - {id: w, wait: 10s}
        - {id: d, after: [w], task: note, with: {label: d}}
        """,
        status="cancelled",
        error="A",
        log=[],
    ),
    Case(
        "too many failed steps: the run is cancelled",
        """
        errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 1, action: cancel}}
        steps:
        - {id: a, fail: {error: A}}
        - {id: b, after: [{step: a, on: failed}], fail: {error: B}}
        - {id: w, wait: 10s}
        - {id: d, after: [w], task: note, with: {label: d}}
        """,
        status="cancelled",
        error="B",
        log=[],
    ),
    Case(
        "too many failed steps: a clean-up step that fails as well, and is not too many, ends the run at once",
        """
        errorHandling: {onFailure: continue, thresholds: {failureRate: 0.4, action: fail}}
        steps:
        - {id: soon, wait: 1s}
        - {id: a, after: [soon], fail: {error: A}}
        - {id: w1, wait: 1h}
        - {id: w2, wait: 1h}
        - {id: tidy, join: done, task: boom, retry: {maxAttempts: 2, delay: 5s, backoff: fixed, jitter: none}}
        """,
        status="failed",
        error="A",
        steps={"tidy": "failed", "w1": "cancelled", "w2": "cancelled"},
        took=5,
    ),
    Case(
        "too many failed steps: the run fails",
        """
        errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 1, action: fail}}
        steps:
        - {id: a, fail: {error: A}}
        - {id: b, wait: 1s}
        - {id: c, after: [b], fail: {error: C}}
        - {id: w, wait: 10s}
        - {id: d, after: [w], task: note, with: {label: d}}
        """,
        status="failed",
        error="A",
        log=[],
        took=1,
    ),
    Case(
        "the ladder gives up",
        """
        errorHandling: {onFailure: wait, escalation: [{afterFailure: 10m, notify: boss}, {afterFailure: 1h, action: fail}]}
        steps:
        - {id: a, task: boom}
        """,
        status="failed",
        error="Boom",
        took=3600,
    ),
    Case(
        "the ladder cancels",
        """
        errorHandling: {onFailure: wait, escalation: [{afterFailure: 1h, action: cancel}]}
        steps:
        - {id: a, task: boom}
        """,
        status="cancelled",
        error="Boom",
        took=3600,
    ),
    Case(
        "somebody decides before the ladder gives up",
        """
        errorHandling: {onFailure: wait, escalation: [{afterFailure: 1h, action: fail}]}
        steps:
        - {id: a, task: boom}
        - {id: b, after: [a], wait: 2h}
        """,
        acts=[(600, "decide", "a", "skip")],
        took=7800,
    ),
    Case(
        "the ladder makes an attempt the last one",
        """
        errorHandling: {escalation: [{afterAttempts: 2, action: fail}]}
        steps:
        - {id: a, task: boom, retry: {maxAttempts: 5, backoff: fixed, delay: 1m, jitter: none}, catch: [{errors: [Boom], output: given up}]}
        """,
        output={"a": "given up"},
        attempts={"a": 2},
        took=60,
    ),
    Case(
        "the ladder counts the attempts of each item",
        """
        errorHandling: {escalation: [{afterAttempts: 1, action: fail}]}
        steps:
        - {id: a, forEach: "[0, 1]", tolerate: {failures: 1}, task: flaky, with: {fails: "${item}"}, retry: {maxAttempts: 3}}
        """,
        output={"a": [1, None]},
    ),
    Case(
        "the ladder pauses after an attempt",
        """
        errorHandling: {escalation: [{afterAttempts: 1, action: pause}]}
        steps:
        - {id: a, task: flaky, with: {fails: 1}, retry: {maxAttempts: 2, backoff: fixed, delay: 1m, jitter: none}}
        """,
        acts=[(600, "resume")],
        output={"a": 2},
        took=600,
    ),
    Case(
        "the ladder cancels after an attempt",
        """
        errorHandling: {escalation: [{afterAttempts: 2, action: cancel}]}
        steps:
        - {id: a, task: boom, retry: {maxAttempts: 5, backoff: fixed, delay: 1m, jitter: none}}
        - {id: b, wait: 1h}
        """,
        status="cancelled",
        error="Boom",
        steps={"b": "cancelled"},
        took=60,
    ),
    Case(
        "a child that there is no place for may be tried again",
        """
        steps:
        - {id: a, workflow: {id: one}}
        - {id: w, wait: 1s}
        - {id: b, after: [w], workflow: {id: one}, retry: {maxAttempts: 3, backoff: fixed, delay: 20s, jitter: none, on: [Throttled]}}
        """,
        others=["id: one\nconcurrency: {key: '1', limit: 1, overflow: reject}\nsteps: [{id: w, wait: 30s}]"],
        attempts={"b": 3},
        took=71,
    ),
    Case(
        "compensation of many levels",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          group:
            steps:
            - id: f
              forEach: "[1, 2]"
              maxConcurrency: 1
              group:
                steps:
                - id: r
                  repeat: {while: "iteration < 2", max: 2}
                  group: {steps: [{id: a, wait: 1s, output: "${iteration}", compensate: {task: note, with: {label: "${output}"}}}]}
        - {id: z, after: [g], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=[1, 0, 1, 0],
    ),
    Case(
        "compensation sees the item of its step",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: f
          forEach: "[7, 8]"
          maxConcurrency: 1
          group: {steps: [{id: a, set: x, compensate: {task: note, with: {label: "${item}"}}}]}
        - {id: z, after: [f], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=[8, 7],
    ),
    Case(
        "only the items that succeeded are undone",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: f
          forEach: "[1, 2, 0]"
          maxConcurrency: 1
          group: {steps: [{id: a, set: "${6 / item}", compensate: {task: note, with: {label: "${item}"}}}]}
        """,
        status="failed",
        error="ExpressionError",
        compensated=True,
        log=[2, 1],
    ),
    Case(
        "what a tolerated item left is undone as well",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: f
          forEach: "[1, 0]"
          maxConcurrency: 1
          tolerate: {failures: 1}
          group:
            steps:
            - {id: k, set: "${item}", compensate: {task: note, with: {label: "${output}"}}}
            - {id: a, after: [k], set: "${6 / item}"}
        - {id: z, after: [f], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
        log=[0, 1],
    ),
    Case(
        "the last attempt of a group is undone, the ones before were undone by nobody",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 0s}
          group:
            steps:
            - {id: a, task: nth, with: {key: a}, compensate: {task: note, with: {label: "${output}"}}}
            - {id: b, after: [a], task: nth, with: {key: b, fails: 1}}
        - {id: z, after: [g], fail: {error: Boom}}
        """,
        status="failed",
        error="Boom",
        compensated=True,
    ),
    Case(
        "a child's own compensation",
        "steps: [{id: c, workflow: {id: child}, catch: [{errors: [Boom], output: undone}]}]",
        others=[
            """
            id: child
            errorHandling: {onFailure: compensate}
            steps:
            - {id: a, set: a, compensate: {task: note, with: {label: "undo ${output}"}}}
            - {id: z, after: [a], fail: {error: Boom}}
            """
        ],
        output={"c": "undone"},
        log=["undo a"],
    ),
    Case(
        "a child that somebody cancels in the midst of a wide parent",
        """
        steps:
        - {id: f, forEach: "[1, 2]", workflow: {id: child, input: "${item}"}, timeout: 5s, tolerate: {failures: 2}}
        """,
        others=["id: child\nsteps: [{id: x, wait: 1h}]"],
        output={"f": [None, None]},
        took=5,
    ),
]


@each_way(FAILING)
def test_failing(case: Case, way: Way) -> None:
    play(case, way)


AGAIN = [
    Case(
        "from a step before a choice, which is made anew",
        """
        steps:
        - {id: n, task: nth, with: {key: k}}
        - {id: s, after: [n], switch: [{when: "steps.n.output == 1", then: bad}, {else: good}]}
        - {id: bad, fail: {error: Boom}}
        - {id: good, task: note, with: {label: good}}
        """,
        acts=[("failed", "retry", "n")],
        log=["good"],
        steps={"bad": "skipped"},
    ),
    Case(
        "from a step beside the one that failed",
        """
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, after: [a], task: note, with: {label: b}}
        - {id: z, after: [b], task: nth, with: {key: k, fails: 1}}
        - {id: m, after: [b, z], task: note, with: {label: m}}
        """,
        acts=[("failed", "retry", "b")],
        log=["a", "b", "b", "m"],
    ),
    Case(
        "from a forEach that succeeded",
        """
        steps:
        - {id: f, forEach: "[1, 2]", maxConcurrency: 1, task: note, with: {label: "${item}"}}
        - {id: z, after: [f], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry", "f")],
        log=[1, 2, 1, 2],
    ),
    Case(
        "from a group that succeeded",
        """
        steps:
        - {id: g, group: {steps: [{id: a, task: note, with: {label: a}}]}}
        - {id: z, after: [g], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry", "g")],
        log=["a", "a"],
    ),
    Case(
        "a group in its second attempt",
        """
        steps:
        - id: g
          retry: {maxAttempts: 2, delay: 0s}
          group: {steps: [{id: a, task: note, with: {label: a}}, {id: z, after: [a], task: nth, with: {key: k, fails: 2}}]}
        """,
        acts=[("failed", "retry")],
        output={"g": {"z": 3}},
    ),
    Case(
        "a forEach of groups of which one failed inside",
        """
        steps:
        - id: f
          forEach: "[1, 2, 3]"
          group:
            steps:
            - {id: a, task: note, with: {label: "${item}"}}
            - {id: z, after: [a], task: nth, with: {key: "${string(item)}", fails: "${item == 2 ? 1 : 0}"}}
            output: "${steps.z.output}"
        """,
        acts=[("failed", "retry")],
        output={"f": [1, 2, 1]},
    ),
    Case(
        "an item of which something was undone runs again, though it had succeeded",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - id: f
          forEach: "[1, 2]"
          maxConcurrency: 1
          group:
            steps:
            - {id: x, task: note, with: {label: "${item}"}, compensate: {task: note, with: {label: "undo ${item}"}}}
            - {id: y, after: [x], task: nth, with: {key: "${string(item)}", fails: "${item - 1}"}}
        """,
        acts=[("failed", "retry")],
        log=[1, 2, "undo 2", "undo 1", 1, 2],
    ),
    *(
        Case(
            f"attempts inside of {what} are made again as well",
            f"""
            steps:
            - {{id: f, {around} {{id: x, task: nth, with: {{key: k, fails: 3}}, retry: {{maxAttempts: 2, delay: 1s, jitter: none}}}}]}}}}
            """,
            acts=[("failed", "retry")],
            attempts={path: 2},
            outputs={path: 4},
        )
        for what, around, path in (
            ("a group", "group: {steps: [", "f.x"),
            ("an item", "forEach: [1], group: {steps: [", "f[0].x"),
            ("an iteration", "repeat: {until: 'true', max: 1}, group: {steps: [", "f[0].x"),
        )
    ),
    *(
        Case(
            f"an item that fails again fails the loop again, {how}",
            f'steps: [{{id: f, forEach: "[1, 2]", {how} task: nth, with: {{key: "${{string(item)}}", fails: "${{item == 2 ? 2 : 0}}"}}}}]',
            acts=[("failed", "retry")],
            status="failed",
            error="NotYet",
            outputs={"f[0]": 1},
            errors={"f[1]": "NotYet"},
        )
        for how in ("", "maxConcurrency: 1,")
    ),
    Case(
        "as many items that fail again as are tolerated",
        """
        steps:
        - {id: f, forEach: "[1, 2, 3]", tolerate: {failures: 1}, task: nth, with: {key: "${string(item)}", fails: "${[0, 1, 2][index]}"}}
        """,
        acts=[("failed", "retry")],
        output={"f": [1, 2, None]},
    ),
    Case(
        "a join of two of three after a retry",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, task: nth, with: {key: k, fails: 1}}
        - {id: c, after: [b], set: 3}
        - {id: m, join: 2, after: [a, b, c], task: note, with: {label: m}}
        """,
        acts=[("failed", "retry")],
        log=["m"],
    ),
    Case(
        "a join of any that had started stays",
        """
        steps:
        - {id: a, set: 1}
        - {id: b, wait: 5s}
        - {id: m, join: any, after: [a, b], task: note, with: {label: m}}
        - {id: w, wait: 1s}
        - {id: z, after: [w], task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("failed", "retry")],
        log=["m"],
    ),
    Case(
        "a retry that is cancelled, and retried",
        """
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}}
        - {id: w, after: [a], wait: 10s}
        - {id: n, after: [w], task: note, with: {label: n}}
        """,
        acts=[("failed", "retry"), (None, "cancel"), ("cancelled", "retry")],
        log=["n"],
    ),
    Case(
        "a retry that is paused",
        """
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}}
        - {id: w, after: [a], wait: 10s}
        - {id: n, after: [w], task: note, with: {label: n}}
        """,
        acts=[("failed", "retry"), (None, "pause"), (None, "resume")],
        log=["n"],
    ),
    Case(
        "a loop past its limit",
        'steps: [{id: r, repeat: {until: "previous >= 3", max: 2}, task: nth, with: {key: k}}]',
        acts=[("failed", "retry")],
        status="failed",
        error="LoopLimit",
    ),
    Case(
        "a child that waits for a signal is asked again",
        'steps: [{id: c, workflow: {id: child, input: "${input}"}, timeout: 5s}]',
        others=['id: child\nsteps: [{id: w, wait: {until: "timestamp(run.startedAt) + duration(input.for)"}}]'],
        input={"for": "10s"},
        acts=[("failed", "retry", None, {"for": "1s"})],
        steps={"c": "succeeded"},
    ),
    Case(
        "clean-up that failed itself",
        """
        steps:
        - {id: a, task: nth, with: {key: a, fails: 1}}
        - {id: t, join: done, after: [a], task: nth, with: {key: t, fails: 1}}
        """,
        acts=[("failed", "retry")],
        outputs={"a": 2, "t": 2},
    ),
    Case(
        "many steps under continue",
        """
        errorHandling: {onFailure: continue}
        steps:
        - {id: a, task: nth, with: {key: a, fails: 1}}
        - {id: b, task: nth, with: {key: b, fails: 1}}
        - {id: c, task: note, with: {label: c}}
        - {id: m, after: [a, b, c], task: note, with: {label: m}}
        """,
        acts=[("failed", "retry")],
        log=["c", "m"],
    ),
]


@each_way(AGAIN)
def test_again(case: Case, way: Way) -> None:
    play(case, way)
