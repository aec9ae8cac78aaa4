"""The control-flow patterns of van der Aalst, Russell and ter Hofstede that the language can say, under their names and numbers.

What the language cannot say, and why:

- WCP-8 multiple merge, WCP-41 thread merge, WCP-42 thread split: a step runs once in its scope, for one thread of control.
- WCP-10 arbitrary cycles, WCP-38 general synchronising merge (which is about these): loops are `repeat`, with one way in and out.
- WCP-18 milestone: no edge lasts only as long as something else has not happened.
- WCP-35 cancelling and WCP-36 dynamic partial join for multiple instances: a `forEach` ends with all of its items; how many may fail is
  said, not how many are enough.
"""

from __future__ import annotations

from tests.language.cases import Case, Way, each_way, play

CASES = [
    Case(
        "WCP-1 sequence",
        """
        steps:
        - {id: a, task: note, with: {label: a}}
        - {id: b, after: [a], task: note, with: {label: b}}
        - {id: c, after: [b], task: note, with: {label: c}}
        """,
        log=["a", "b", "c"],
    ),
    Case(
        "WCP-2 parallel split",
        "steps: [{id: a, set: 1}, {id: b, after: [a], wait: 3s}, {id: c, after: [a], wait: 4s}]",
        output={"b": None, "c": None},
        took=4,
    ),
    Case(
        "WCP-3 synchronisation",
        "steps: [{id: a, wait: 1s}, {id: b, wait: 2s}, {id: c, after: [a, b], task: note, with: {label: c}}]",
        log=["c"],
        took=2,
    ),
    Case(
        "WCP-4 exclusive choice",
        """
        steps:
        - {id: s, switch: [{when: "input.n > 10", then: big}, {when: "input.n > 5", then: middle}, {else: small}]}
        - {id: big, set: B}
        - {id: middle, set: M}
        - {id: small, set: S}
        """,
        input={"n": 7},
        output={"big": None, "middle": "M", "small": None},
    ),
    Case(
        "WCP-5 simple merge",
        """
        steps:
        - {id: s, switch: [{when: input.left, then: a}, {else: b}]}
        - {id: a, task: note, with: {label: a}}
        - {id: b, task: note, with: {label: b}}
        - {id: m, after: [a, b], task: note, with: {label: m}}
        """,
        input={"left": False},
        log=["b", "m"],
    ),
    Case(
        "WCP-6 multi-choice, WCP-7 structured synchronising merge",
        """
        steps:
        - {id: order, set: 1}
        - {id: a, after: [order], when: "input.n > 1", wait: 1s}
        - {id: b, after: [order], when: "input.n > 2", wait: 2s}
        - {id: c, after: [order], when: "input.n > 3", wait: 9s}
        - {id: m, after: [a, b, c], set: ["${steps.a.outcome}", "${steps.b.outcome}", "${steps.c.outcome}"]}
        """,
        input={"n": 3},
        output={"m": ["succeeded", "succeeded", "skipped"]},
        took=2,
    ),
    Case(
        "WCP-9 structured discriminator: once, at the first",
        """
        steps:
        - {id: a, wait: 1s}
        - {id: b, wait: 2s}
        - {id: c, wait: 3s}
        - {id: m, join: any, after: [a, b, c], task: note, with: {label: m}}
        """,
        log=["m"],
        took=3,
    ),
    Case(
        "WCP-11 implicit termination",
        "steps: [{id: a, set: 1}, {id: b, wait: 5s}, {id: c, after: [a], set: 2}]",
        output={"b": None, "c": 2},
        took=5,
    ),
    Case(
        "WCP-12 multiple instances without synchronisation",
        """
        steps:
        - {id: a, forEach: "[1, 2, 3]", workflow: {id: child, input: {n: "${item}"}, wait: false}}
        - {id: b, after: [a], set: gone on}
        """,
        others=["id: child\nsteps: [{id: w, wait: 1h}]"],
        output={"b": "gone on"},
        took=(0, 1),
    ),
    Case(
        "WCP-13 multiple instances known when the workflow is written",
        'steps: [{id: a, forEach: [1, 2, 3], set: "${item * 10}"}]',
        output={"a": [10, 20, 30]},
    ),
    Case(
        "WCP-14 multiple instances known when the run gets there",
        """
        steps:
        - {id: n, set: "${input.words}"}
        - {id: a, after: [n], forEach: steps.n.output, set: "${size(item)}"}
        """,
        input={"words": ["a", "bb", "ccc"]},
        output={"a": [1, 2, 3]},
    ),
    Case(
        "WCP-15 multiple instances not known beforehand",
        """
        steps:
        - {id: a, repeat: {while: "iteration == 0 || previous.more", max: 10}, group: {steps: [
            {id: n, task: nth, with: {key: page}}, {id: r, after: [n], set: {page: "${steps.n.output}", more: "${steps.n.output < 4}"}}],
            output: "${steps.r.output}"}}
        """,
        output={"a": {"page": 4, "more": False}},
    ),
    Case(
        "WCP-16 deferred choice: what happens first decides",
        """
        steps:
        - {id: paid, signal: {name: paid}}
        - {id: late, wait: 1d}
        - {id: first, join: any, after: [paid, late], set: "${steps.paid == null ? 'late' : 'paid'}"}
        - {id: end, after: [first], set: "${steps.first.output}"}
        """.replace("1d", "2s"),
        acts=[(5, "signal", "paid", {})],
        output={"end": "late"},
    ),
    Case(
        "WCP-19 cancel task: one activity is given up and the rest goes on",
        """
        steps:
        - {id: a, wait: 1h, timeout: 10s, catch: [{errors: [Timeout], output: given up}]}
        - {id: b, after: [a], set: "${steps.a.output}"}
        """,
        output={"b": "given up"},
        took=10,
    ),
    Case(
        "WCP-20 cancel case",
        "steps: [{id: a, wait: 1h}, {id: b, after: [a], task: note, with: {label: b}}]",
        acts=[(60, "cancel")],
        status="cancelled",
        error="Cancelled",
        steps={"a": "cancelled", "b": "skipped"},
        log=[],
        took=60,
    ),
    Case(
        "WCP-21 structured loop, tested before",
        'steps: [{id: a, repeat: {while: "iteration < 3", max: 10}, set: "${iteration}"}]',
        output={"a": 2},
        absent=["a[3]"],
    ),
    Case(
        "WCP-21 structured loop, tested after",
        'steps: [{id: a, repeat: {until: "previous >= 1", max: 10}, set: "${iteration}"}]',
        output={"a": 1},
    ),
    Case(
        "WCP-22 recursion: a workflow that calls itself",
        """
        id: countdown
        steps:
        - {id: deeper, when: input.n > 0, workflow: {id: countdown, input: {n: "${input.n - 1}"}}}
        - {id: total, after: [deeper], set: "${input.n + (steps.deeper.outcome == 'skipped' ? 0 : steps.deeper.output.total)}"}
        output: {total: "${steps.total.output}"}
        """,
        input={"n": 4},
        others=[
            """
            id: countdown
            steps:
            - {id: deeper, when: input.n > 0, workflow: {id: countdown, input: {n: "${input.n - 1}"}}}
            - {id: total, after: [deeper], set: "${input.n + (steps.deeper.outcome == 'skipped' ? 0 : steps.deeper.output.total)}"}
            output: {total: "${steps.total.output}"}
            """
        ],
        output={"total": 10},
    ),
    Case(
        "WCP-23 transient trigger: nobody waits, and the run ends without it",
        "steps: [{id: a, signal: {name: go, timeout: 1s}, catch: [{errors: [Timeout], output: missed}]}]",
        output={"a": "missed"},
    ),
    Case(
        "WCP-24 persistent trigger: a signal is kept until its step is reached",
        "steps: [{id: w, wait: 1h}, {id: a, after: [w], signal: {name: go}}]",
        acts=[(1, "signal", "go", {"n": 1})],
        output={"a": {"n": 1}},
        took=3600,
    ),
    Case(
        "WCP-25 cancel region: a group is given up with all that runs in it",
        """
        steps:
        - id: region
          timeout: 5s
          catch: [{errors: [Timeout], output: region given up}]
          group:
            steps: [{id: a, wait: 1h}, {id: b, wait: 2s}, {id: c, after: [b], wait: 1h}, {id: d, after: [c], task: note, with: {label: d}}]
        - {id: beside, wait: 7s}
        - {id: end, after: [region, beside], set: "${steps.region.output}"}
        """,
        output={"end": "region given up"},
        steps={"region.a": "cancelled", "region.b": "succeeded", "region.c": "cancelled", "region.d": "skipped"},
        log=[],
        took=7,
    ),
    Case(
        "WCP-26 cancel multiple instance activity",
        """
        steps:
        - id: many
          forEach: "[1, 60, 60]"
          timeout: 3s
          group: {steps: [{id: w, wait: {until: "timestamp(run.startedAt) + duration(string(item) + 's')"}}]}
          catch: [{errors: [Timeout], output: given up}]
        - {id: end, after: [many], set: "${steps.many.output}"}
        """,
        output={"end": "given up"},
        steps={"many[0]": "succeeded"},
        took=3,
    ),
    Case(
        "WCP-27 complete multiple instance activity: the rest is withdrawn, and what comes after goes on",
        """
        steps:
        - id: asked
          group:
            steps:
            - {id: each, forEach: "[1, 2, 3600]", wait: {until: "timestamp(run.startedAt) + duration(string(item) + 's')"}}
            - {id: enough, signal: {name: enough}}
            - {id: stop, after: [enough], fail: {error: Enough}}
          catch: [{errors: [Enough], output: enough}]
        - {id: next, after: [asked], set: "${steps.asked.output}"}
        """,
        acts=[(10, "signal", "enough", None)],
        output={"next": "enough"},
        steps={"asked.each[1]": "succeeded", "asked.each[2]": "cancelled"},
        took=10,
    ),
    Case(
        "WCP-28 blocking discriminator: once for each round, and the next round begins when the branches of this one have ended",
        """
        steps:
        - id: round
          repeat: {while: "iteration < 2", max: 5}
          group:
            steps:
            - {id: a, wait: 1s}
            - {id: b, wait: 5s}
            - {id: first, join: any, after: [a, b], task: note, with: {label: first}}
        """,
        log=["first", "first"],
        took=10,
    ),
    Case(
        "WCP-29 cancelling discriminator",
        """
        steps:
        - id: race
          group:
            steps:
            - {id: a, wait: 1s}
            - {id: b, wait: 1h}
            - {id: won, join: any, after: [a, b], fail: {error: Won}}
          catch: [{errors: [Won], output: "a"}]
        """,
        output={"race": "a"},
        steps={"race.b": "cancelled"},
        took=1,
    ),
    Case(
        "WCP-30 structured partial join",
        """
        steps:
        - {id: a, wait: 1s}
        - {id: b, wait: 2s}
        - {id: c, wait: 3s}
        - {id: m, join: 2, after: [a, b, c], set: "${steps.c}"}
        """,
        output={"m": None},
    ),
    Case(
        "WCP-31 blocking partial join",
        """
        steps:
        - id: round
          repeat: {while: "iteration < 2", max: 5}
          group:
            steps:
            - {id: a, wait: 1s}
            - {id: b, wait: 2s}
            - {id: c, wait: 5s}
            - {id: two, join: 2, after: [a, b, c], task: note, with: {label: "${steps.c == null ? 'two' : 'three'}"}}
        """,
        log=["two", "two"],
        took=10,
    ),
    Case(
        "WCP-32 cancelling partial join",
        """
        steps:
        - id: race
          group:
            steps:
            - {id: a, wait: 1s}
            - {id: b, wait: 2s}
            - {id: c, wait: 1h}
            - {id: won, join: 2, after: [a, b, c], fail: {error: Won}}
          catch: [{errors: [Won], output: two}]
        """,
        output={"race": "two"},
        steps={"race.a": "succeeded", "race.b": "succeeded", "race.c": "cancelled"},
        took=2,
    ),
    Case(
        "WCP-33 generalised AND-join with dead branches",
        """
        steps:
        - {id: s, switch: [{when: "true", then: [a, b]}, {else: c}]}
        - {id: a, set: 1}
        - {id: b, set: 2}
        - {id: c, set: 3}
        - {id: m, after: [a, b, c], set: "${steps.a.output + steps.b.output}"}
        """,
        output={"m": 3},
    ),
    Case(
        "WCP-34 static partial join for multiple instances",
        """
        steps:
        - {id: a, forEach: "[1, 0, 2]", tolerate: {failures: 1}, set: "${10 / item}"}
        - {id: m, after: [a], set: "${steps.a.output}"}
        """,
        output={"m": [10, None, 5]},
    ),
    Case(
        "WCP-37 local synchronising merge over paths of different length",
        """
        steps:
        - {id: s, switch: [{when: "true", then: a1}, {else: b1}]}
        - {id: a1, set: 1}
        - {id: a2, after: [a1], wait: 5s}
        - {id: b1, set: 1}
        - {id: c1, wait: 1s}
        - {id: m, after: [a2, b1, c1], task: note, with: {label: m}}
        """,
        log=["m"],
        took=5,
    ),
    Case(
        "WCP-39 critical section, WCP-17 and WCP-40 interleaved routing: one at a time, in any order but that of the edges",
        """
        steps:
        - {id: a, workflow: {id: section}}
        - {id: b, workflow: {id: section}}
        - {id: c, after: [b], workflow: {id: section}}
        """,
        others=[
            """
            id: section
            concurrency: {key: "'one'", limit: 1}
            steps:
            - {id: w, task: note, with: {label: "in"}}
            - {id: x, after: [w], wait: 3s}
            - {id: y, after: [x], task: note, with: {label: "out"}}
            """
        ],
        log=["in", "out", "in", "out", "in", "out"],
        took=9,
    ),
    Case(
        "WCP-43 explicit termination",
        "steps: [{id: a, wait: 1s}, {id: stop, after: [a], fail: {error: Enough}}, {id: b, wait: 1h}]",
        status="failed",
        error="Enough",
        steps={"b": "cancelled"},
        took=1,
    ),
]


@each_way(CASES)
def test_a_pattern(case: Case, way: Way) -> None:
    play(case, way)
