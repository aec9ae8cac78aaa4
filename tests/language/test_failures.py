"""Section 6: attempts, time limits, who catches what, and what a failure does to the run."""

from __future__ import annotations

from tests.language.cases import Case, Way, each_way, play

RETRIES = [
    Case(
        "without a policy there is one attempt",
        "steps: [{id: a, task: flaky, with: {fails: 1}}]",
        status="failed",
        error="Flaky",
        attempts={"a": 1},
    ),
    Case(
        "fixed: the delay each time",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 3}, retry: {maxAttempts: 4, backoff: fixed, delay: 10s, jitter: none}}
        """,
        output={"a": 4},
        took=30,
    ),
    Case(
        "linear: the delay times the attempt",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 3}, retry: {maxAttempts: 4, backoff: linear, delay: 10s, jitter: none}}
        """,
        took=60,
    ),
    Case(
        "exponential: doubled each time",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 4}, retry: {maxAttempts: 5, backoff: exponential, delay: 1s, jitter: none}}
        """,
        took=15,
    ),
    Case(
        "exponential with another multiplier",
        """
        steps:
        - id: a
          task: flaky
          with: {fails: 3}
          retry: {maxAttempts: 5, backoff: exponential, delay: 1s, multiplier: 3, jitter: none}
        """,
        took=13,
    ),
    Case(
        "never longer than maxDelay",
        """
        steps:
        - id: a
          task: flaky
          with: {fails: 4}
          retry: {maxAttempts: 5, backoff: exponential, delay: 10s, maxDelay: 15s, jitter: none}
        """,
        took=55,
    ),
    Case(
        "full jitter: between nothing and that",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 3}, retry: {maxAttempts: 4, backoff: fixed, delay: 10s, jitter: full}}
        """,
        took=(0, 30),
    ),
    Case(
        "a back-off of a day",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 1}, retry: {maxAttempts: 2, backoff: fixed, delay: 24h, jitter: none}}
        """,
        took=86_400,
    ),
    Case("no delay", "steps: [{id: a, task: flaky, with: {fails: 9}, retry: {maxAttempts: 10, delay: 0s}}]", attempts={"a": 10}, took=0),
    Case(
        "one attempt is no retry",
        "steps: [{id: a, task: flaky, with: {fails: 1}, retry: {maxAttempts: 1}}]",
        status="failed",
        error="Flaky",
        attempts={"a": 1},
    ),
    Case(
        "the last error is the step's",
        """
        steps:
        - id: a
          task: flaky
          with: {fails: 9}
          retry: {maxAttempts: 3, delay: 0s}
          catch: [{errors: ["*"], output: "${error.message}"}]
        """,
        output={"a": "attempt 3"},
    ),
    Case(
        "only errors in `on`",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 1, error: Other}, retry: {maxAttempts: 3, delay: 1s, on: [Flaky]}}
        """,
        status="failed",
        error="Other",
        attempts={"a": 1},
    ),
    Case(
        "`on` by the beginning of a name",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 1, error: CardBusy}, retry: {maxAttempts: 3, delay: 1s, on: [Card*]}}
        """,
        output={"a": 2},
    ),
    Case(
        "`except` wins over `on`",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 1}, retry: {maxAttempts: 3, delay: 1s, on: ["*"], except: [Fla*]}}
        """,
        status="failed",
        error="Flaky",
        attempts={"a": 1},
    ),
    Case(
        "a permanent error is not tried again",
        "steps: [{id: a, task: boom, with: {permanent: true}, retry: {maxAttempts: 3, delay: 1s}}]",
        status="failed",
        error="Boom",
        attempts={"a": 1},
    ),
    *(
        Case(
            f"a permanent error inside of a group is not tried again with it, {mode}",
            f"""
            errorHandling: {{onFailure: {mode}}}
            steps:
            - {{id: g, retry: {{maxAttempts: 3, delay: 1s}}, group: {{steps: [{{id: f, forEach: "[1]", task: decline}}]}}}}
            """,
            status="failed",
            error="CardDeclined",
            attempts={"g": 1},
        )
        for mode in ("stop", "continue")
    ),
    Case(
        "`*` does not name a permanent error",
        """
        steps:
        - {id: a, task: boom, with: {permanent: true}, retry: {maxAttempts: 3, delay: 1s, on: ["*"]}}
        """,
        status="failed",
        error="Boom",
        attempts={"a": 1},
    ),
    Case(
        "its name does",
        """
        steps:
        - {id: a, task: boom, with: {permanent: true}, retry: {maxAttempts: 3, delay: 1s, on: [Boom]}}
        """,
        status="failed",
        error="Boom",
        attempts={"a": 3},
    ),
    Case(
        "an error that the task declares permanent",
        "steps: [{id: a, task: decline, retry: {maxAttempts: 3, delay: 1s}}]",
        status="failed",
        error="CardDeclined",
        attempts={"a": 1},
    ),
    Case(
        "an expression is not tried again",
        'steps: [{id: a, task: echo, with: "${input.none}", retry: {maxAttempts: 3}}]',
        status="failed",
        error="ExpressionError",
        attempts={"a": 1},
    ),
    Case(
        "the default policy",
        """
        errorHandling: {retry: {maxAttempts: 3, backoff: fixed, delay: 5s, jitter: none}}
        steps:
        - {id: a, task: flaky, with: {fails: 2}}
        """,
        output={"a": 3},
        took=10,
    ),
    Case(
        "a default policy that says nothing is the usual one",
        """
        errorHandling: {retry: {}}
        steps:
        - {id: a, task: flaky, with: {fails: 2}}
        """,
        output={"a": 3},
    ),
    Case(
        "a step's own policy wins",
        """
        errorHandling: {retry: {maxAttempts: 9, delay: 5s}}
        steps:
        - {id: a, task: flaky, with: {fails: 2}, retry: {maxAttempts: 2, delay: 0s}}
        """,
        status="failed",
        error="Flaky",
        attempts={"a": 2},
    ),
    Case(
        "the founding names",
        """
        errorHandling: {retryAttempts: 2, backoffStrategy: fixed}
        steps:
        - {id: a, task: flaky, with: {fails: 2}}
        """,
        output={"a": 3},
    ),
    Case(
        "the attempts can be read later",
        """
        steps:
        - {id: a, task: flaky, with: {fails: 2}, retry: {maxAttempts: 3, delay: 0s}}
        - {id: b, after: [a], set: "${steps.a.attempts}"}
        """,
        output={"b": 3},
    ),
    Case(
        "`fail` is tried again as any action",
        """
        steps:
        - {id: a, fail: {error: X}, retry: {maxAttempts: 3, delay: 1s, backoff: fixed, jitter: none}}
        """,
        status="failed",
        error="X",
        attempts={"a": 3},
        took=2,
    ),
    Case(
        "the output modifier is part of the attempt, and permanent",
        'steps: [{id: a, set: 1, output: "${result.x}", retry: {maxAttempts: 3}}]',
        status="failed",
        error="ExpressionError",
        attempts={"a": 1},
    ),
]


@each_way(RETRIES)
def test_attempts(case: Case, way: Way) -> None:
    play(case, way)


TIMES = [
    Case("a task that takes too long", "steps: [{id: a, task: stuck, timeout: 10ms}]", status="failed", error="Timeout"),
    Case(
        "Timeout is tried again",
        "steps: [{id: a, task: stuck, timeout: 5ms, retry: {maxAttempts: 2, delay: 0s}}]",
        status="failed",
        error="Timeout",
        attempts={"a": 2},
    ),
    Case("a silent task with a heartbeat", "steps: [{id: a, task: stuck, heartbeat: 10ms}]", status="failed", error="HeartbeatTimeout"),
    Case(
        "the run's timeout",
        """
        timeout: 1h
        steps:
        - {id: a, wait: 2h}
        """,
        status="timedOut",
        error="Timeout",
        steps={"a": "cancelled"},
        took=3600,
    ),
    Case(
        "a run that ends before",
        """
        timeout: 1h
        steps:
        - {id: a, wait: 30m}
        """,
        took=1800,
    ),
    Case(
        "the run's timeout and a step that waits for a person",
        """
        timeout: 1h
        steps:
        - {id: a, approval: {}}
        - {id: b, after: [a], set: 1}
        """,
        status="timedOut",
        error="Timeout",
        steps={"a": "cancelled", "b": "skipped"},
        took=3600,
    ),
    Case(
        "the run's timeout during a back-off",
        """
        timeout: 10s
        steps:
        - {id: a, task: boom, retry: {maxAttempts: 5, delay: 1h, jitter: none}}
        """,
        status="timedOut",
        error="Timeout",
        took=10,
    ),
    Case(
        "no clean-up after the run's timeout",
        """
        timeout: 10s
        steps:
        - {id: a, wait: 1h}
        - {id: t, join: done, after: [a], task: note, with: {label: t}}
        """,
        status="timedOut",
        error="Timeout",
        steps={"t": "skipped"},
        log=[],
    ),
    Case(
        "the run's timeout ends the clean-up of a run that failed",
        """
        timeout: 10s
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: tidy, after: [a], join: done, wait: 1h}
        - {id: more, after: [tidy], join: done, task: note, with: {label: more}}
        """,
        status="timedOut",
        error="Timeout",
        steps={"a": "failed", "tidy": "cancelled", "more": "skipped"},
        log=[],
        took=10,
    ),
    Case(
        "no compensation after the run's timeout",
        """
        timeout: 10s
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: 1, compensate: {task: note, with: {label: undo}}}
        - {id: b, after: [a], wait: 1h}
        """,
        status="timedOut",
        error="Timeout",
        log=[],
    ),
    Case(
        "the run's timeout takes its children with it",
        """
        timeout: 10s
        steps:
        - {id: a, workflow: {id: child}}
        """,
        others=["id: child\nsteps: [{id: x, wait: 1h}]"],
        status="timedOut",
        error="Timeout",
        took=10,
    ),
    Case(
        "a timeout of the whole loop is each item's",
        'steps: [{id: a, forEach: "[1, 2]", wait: 1h, timeout: 5s, tolerate: {failures: 2}}]',
        output={"a": [None, None]},
        took=5,
    ),
    Case("the timeout of an iteration", 'steps: [{id: a, repeat: {until: "iteration == 1", max: 5}, wait: 4s, timeout: 5s}]', took=8),
]


@each_way(TIMES)
def test_time_limits(case: Case, way: Way) -> None:
    play(case, way)


CATCHES = [
    Case(
        "by the exact name",
        "steps: [{id: a, task: boom, catch: [{errors: [Boom], output: caught}]}]",
        output={"a": "caught"},
        steps={"a": "succeeded"},
    ),
    Case(
        "by the beginning of the name",
        """
        steps:
        - {id: a, task: boom, with: {error: CardDeclined}, catch: [{errors: [Card*], output: caught}]}
        """,
        output={"a": "caught"},
    ),
    Case("any", 'steps: [{id: a, task: boom, catch: [{errors: ["*"], output: caught}]}]', output={"a": "caught"}),
    Case(
        "a name is no beginning",
        "steps: [{id: a, task: boom, with: {error: Boomer}, catch: [{errors: [Boom], output: caught}]}]",
        status="failed",
        error="Boomer",
    ),
    Case("one of several names", "steps: [{id: a, task: boom, catch: [{errors: [Foo, Boom], output: caught}]}]", output={"a": "caught"}),
    Case(
        "the first that matches",
        """
        steps:
        - {id: a, task: boom, catch: [{errors: [B*], output: first}, {errors: [Boom], output: second}]}
        """,
        output={"a": "first"},
    ),
    Case(
        "after the last attempt",
        """
        steps:
        - id: a
          task: note_and_fail
          with: {label: x}
          retry: {maxAttempts: 2, delay: 0s}
          catch: [{errors: ["*"], output: caught}]
        """,
        output={"a": "caught"},
        log=["x", "x"],
        attempts={"a": 2},
    ),
    Case(
        "output sees the error",
        """
        steps:
        - id: a
          task: boom
          with: {message: m}
          catch: [{errors: ["*"], output: "${error.name} ${error.message} ${error.step}"}]
        """,
        output={"a": "Boom m a"},
    ),
    Case(
        "output sees other steps",
        """
        steps:
        - {id: z, set: 5}
        - {id: a, after: [z], task: boom, catch: [{errors: ["*"], output: "${steps.z.output + input.n}"}]}
        """,
        input={"n": 1},
        output={"a": 6},
    ),
    Case(
        "an output that fails",
        'steps: [{id: a, task: boom, catch: [{errors: ["*"], output: "${1 / 0}"}]}]',
        status="failed",
        error="ExpressionError",
    ),
    Case(
        "output null",
        """
        steps:
        - {id: a, task: boom, catch: [{errors: ["*"], output: null}]}
        - {id: b, after: [a], set: "${steps.a.outcome}"}
        """,
        output={"b": "succeeded"},
    ),
    Case(
        "then sees the error",
        """
        steps:
        - {id: a, task: boom, catch: [{errors: ["*"], then: h}]}
        - {id: h, set: "${steps.a.error.name} ${steps.a.outcome}"}
        """,
        output={"h": "Boom failed"},
    ),
    Case(
        "what comes after the handler goes on",
        """
        steps:
        - {id: a, task: boom, catch: [{errors: ["*"], then: h}]}
        - {id: h, set: 1}
        - {id: b, after: [a], set: 2}
        - {id: m, after: [h, b], set: "${steps.h.output}"}
        """,
        output={"m": 1},
        steps={"b": "skipped"},
    ),
    Case(
        "a handler that fails",
        'steps: [{id: a, task: boom, catch: [{errors: ["*"], then: h}]}, {id: h, fail: {error: Second}}]',
        status="failed",
        error="Second",
    ),
    Case(
        "a handler of two steps",
        """
        steps:
        - {id: a, task: boom, with: {error: A}, catch: [{errors: ["*"], then: h}]}
        - {id: b, set: 1, catch: [{errors: ["*"], then: h}]}
        - {id: h, task: note, with: {label: once}}
        """,
        log=["once"],
    ),
    Case(
        "a when that fails is caught",
        "steps: [{id: a, when: input.none, set: 1, catch: [{errors: [ExpressionError], output: caught}]}]",
        output={"a": "caught"},
    ),
    Case("a when that gives no boolean", 'steps: [{id: a, when: "1", set: 1}]', status="failed", error="ExpressionError"),
    Case(
        "a forEach that fails is caught",
        'steps: [{id: a, forEach: input.none, set: 1, catch: [{errors: ["*"], output: caught}]}]',
        output={"a": "caught"},
    ),
    Case(
        "a timer's timeout is caught by then",
        "steps: [{id: a, wait: 1h, timeout: 1s, catch: [{errors: [Timeout], then: h}]}, {id: h, set: late}]",
        output={"h": "late"},
    ),
    Case(
        "within a group only the group's failure is caught outside",
        """
        steps:
        - id: g
          group: {steps: [{id: a, task: boom, catch: [{errors: [Other], output: x}]}]}
          catch: [{errors: [Boom], output: outside}]
        """,
        output={"g": "outside"},
    ),
    Case(
        "an edge on failed sees the failure of a group",
        """
        steps:
        - {id: g, group: {steps: [{id: a, task: boom}]}}
        - {id: h, after: [{step: g, on: failed}], set: "${steps.g.error.name}"}
        """,
        output={"h": "Boom"},
    ),
    Case(
        "a message that is no text",
        """
        steps:
        - {id: a, task: boom, with: {message: 17}, catch: [{errors: [Boom], output: "${error.message}"}]}
        """,
        output={"a": "17"},
    ),
]


@each_way(CATCHES)
def test_catching(case: Case, way: Way) -> None:
    play(case, way)


MODES = [
    Case(
        "stop cancels what runs and skips the rest",
        "steps: [{id: soon, wait: 1m}, {id: a, after: [soon], fail: {error: Boom}}, {id: b, wait: 1h}, {id: c, after: [b], set: 1}]",
        status="failed",
        error="Boom",
        steps={"b": "cancelled", "c": "skipped"},
        took=60,
    ),
    Case(
        "stop fails with the first error",
        """
        steps:
        - {id: a, wait: 2s}
        - {id: a2, after: [a], fail: {error: Late}}
        - {id: b, wait: 1s}
        - {id: b2, after: [b], fail: {error: Early}}
        """,
        status="failed",
        error="Early",
        took=1,
    ),
    Case(
        "continue goes on with what does not depend on it",
        """
        errorHandling: {onFailure: continue}
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: a2, after: [a], task: note, with: {label: a2}}
        - {id: b, wait: 5s}
        - {id: b2, after: [b], task: note, with: {label: b2}}
        """,
        status="failed",
        error="Boom",
        log=["b2"],
        steps={"a2": "skipped", "b2": "succeeded"},
        took=5,
    ),
    Case(
        "continue, and a join below the failure",
        """
        errorHandling: {onFailure: continue}
        steps:
        - {id: a, fail: {error: Boom}}
        - {id: b, wait: 5s}
        - {id: m, after: [a, b], set: 1}
        - {id: any, join: any, after: [a, b], task: note, with: {label: any}}
        """,
        status="failed",
        error="Boom",
        log=["any"],
        steps={"m": "skipped"},
    ),
    Case(
        "continue within a group",
        """
        errorHandling: {onFailure: continue}
        steps:
        - id: g
          group: {steps: [{id: a, fail: {error: Boom}}, {id: b, wait: 5s}, {id: c, after: [b], task: note, with: {label: c}}]}
        - {id: after, after: [g], set: 1}
        """,
        status="failed",
        error="Boom",
        log=["c"],
        steps={"g": "failed", "after": "skipped"},
        took=5,
    ),
    Case(
        "continue, and the first of two errors",
        """
        errorHandling: {onFailure: continue}
        steps:
        - {id: a, wait: 2s}
        - {id: a2, after: [a], fail: {error: Late}}
        - {id: b, wait: 1s}
        - {id: b2, after: [b], fail: {error: Early}}
        """,
        status="failed",
        error="Early",
        took=2,
    ),
    Case(
        "wait: the run waits for a person",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, wait: 5s}
        """,
        status="waiting",
        error=None,
        steps={"a": "waiting", "b": "succeeded"},
    ),
    Case(
        "wait and skip",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, after: [a], set: "${steps.a.output}"}
        """,
        acts=[("waiting", "decide", "a", "skip", {"output": {"by": "hand"}})],
        output={"b": {"by": "hand"}},
        steps={"a": "succeeded"},
    ),
    Case(
        "wait and skip without output",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        """,
        acts=[("waiting", "decide", "a", "skip")],
        output={"a": None},
    ),
    Case(
        "wait and fail",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, after: [a], set: 1}
        """,
        acts=[("waiting", "decide", "a", "fail")],
        status="failed",
        error="Boom",
        steps={"b": "skipped"},
    ),
    Case(
        "wait and retry",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: nth, with: {key: k, fails: 1}}
        """,
        acts=[("waiting", "decide", "a", "retry")],
        output={"a": 2},
    ),
    Case(
        "wait and retry with edited input",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: nth, with: {key: k, fails: 5}}
        """,
        acts=[("waiting", "decide", "a", "retry", {"input": {"key": "other"}})],
        output={"a": 1},
    ),
    Case(
        "wait, retry, and again",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: nth, with: {key: k, fails: 2}}
        """,
        acts=[("waiting", "decide", "a", "retry"), ("waiting", "decide", "a", "retry")],
        output={"a": 3},
    ),
    Case(
        "wait within a group",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: g, group: {steps: [{id: a, task: boom}, {id: b, after: [a], set: "${steps.a.output}"}]}}
        """,
        acts=[("waiting", "decide", "g.a", "skip", {"output": 7})],
        output={"g": {"b": 7}},
    ),
    Case(
        "two wait",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: b, task: boom}
        """,
        acts=[("waiting", "decide", "b", "skip", {"output": 2}), ("waiting", "decide", "a", "skip", {"output": 1})],
        output={"a": 1, "b": 2},
    ),
    Case(
        "wait asks nobody for what is handled",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: boom}
        - {id: h, after: [{step: a, on: failed}], set: 1}
        """,
        output={"h": 1},
    ),
    Case(
        "wait comes after the attempts",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, task: note_and_fail, with: {label: x}, retry: {maxAttempts: 3, delay: 0s}}
        """,
        status="waiting",
        steps={"a": "waiting"},
        log=["x", "x", "x"],
    ),
    Case(
        "wait and a forEach",
        """
        errorHandling: {onFailure: wait}
        steps:
        - {id: a, forEach: "[1, 0, 2]", set: "${2 / item}"}
        """,
        acts=[("waiting", "decide", "a", "skip", {"output": "by hand"})],
        output={"a": "by hand"},
    ),
]


@each_way(MODES)
def test_what_a_failure_does_to_the_run(case: Case, way: Way) -> None:
    play(case, way)
