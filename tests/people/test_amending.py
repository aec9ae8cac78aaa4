"""A plan that is changed while its run goes on counts from then on: also for what was at work, or decided, when it was changed."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.core.errors import Rejected
from treadle.simulation.driver import TENANT, MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\nsteps:\n"
SEEDS = [None, 1, 2, 3]


class Stand:
    """Task `do` notes that it ran. While it does for `step`, the plan is changed to `plan`."""

    def __init__(self, seed: int | None = None) -> None:
        self.ran: list[str] = []
        self.amends: tuple[str, str] | None = None

        @task(name="do")
        def do(given: Any, context: TaskContext) -> Any:
            self.ran.append(context.step_id)
            if self.amends is not None and self.amends[0] == context.step_id:
                (_, plan), self.amends = self.amends, None
                self.amend(plan)
            return context.step_id

        self.engine = MemoryEngine([do], seed=seed)

    def start(self, steps: str) -> None:
        self.run = self.engine.start(HEAD + steps)

    def amend(self, steps: str) -> dict[str, list[str]]:
        return self.engine.operations.amend(TENANT, self.run, HEAD + steps)

    def statuses(self) -> dict[str, str]:
        return {path: str(step.status) for path, step in self.engine.show(self.run).steps.items()}


C = "- {id: c, signal: {name: c}}\n"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("at", "before", "after", "ran"),
    [
        pytest.param("a", "- {id: a, task: do}\n- {id: j, after: [a], task: do}", "- {id: a, task: do}\n- {id: j, after: [a, c], task: do}",
                     ["a", "|", "j"], id="one more to wait for"),
        pytest.param("a", "- {id: a, task: do}\n- {id: j, after: [a], task: do}\n- {id: k, after: [a], set: 1}",
                     "- {id: a, task: do}\n- {id: j, after: [a, c], task: do}\n- {id: k, after: [a], set: 1}",
                     ["a", "|", "j"], id="one more to wait for, of two that follow"),
        pytest.param("a", "- {id: a, task: do}\n- {id: j, after: [a, c], task: do}", "- {id: a, task: do}\n- {id: j, after: [a], task: do}",
                     ["a", "j", "|"], id="one less"),
        pytest.param("a", "- {id: a, task: do}\n- {id: j, after: [a], task: do}", "- {id: a, task: do}\n- {id: j, after: [c], task: do}",
                     ["a", "|", "j"], id="another one"),
        pytest.param("a", "- {id: a, task: do}\n- {id: k, after: [a], task: do}",
                     "- {id: a, task: do}\n- {id: j, after: [a], task: do}\n- {id: k, after: [j], task: do}",
                     ["a", "j", "k", "|"], id="put in between"),
        pytest.param("a", "- {id: a, task: do}", "- {id: a, task: do}\n- {id: j, after: [a], task: do}",
                     ["a", "j", "|"], id="put behind"),
        pytest.param("a", "- {id: a, task: do}\n- {id: j, after: [a, c], join: any, task: do}",
                     "- {id: a, task: do}\n- {id: j, after: [a, c], task: do}", ["a", "|", "j"], id="all instead of any"),
        pytest.param("g.a", "- {id: g, group: {steps: [{id: a, task: do}]}}\n- {id: z, after: [g], task: do}",
                     "- {id: g, group: {steps: [{id: a, task: do}, {id: j, after: [a], task: do}]}}\n- {id: z, after: [g], task: do}",
                     ["g.a", "g.j", "z", "|"], id="put behind in a group"),
        pytest.param("g[0].a", "- {id: g, forEach: [1], group: {steps: [{id: a, task: do}]}}\n- {id: z, after: [g], task: do}",
                     "- {id: g, forEach: [1], group: {steps: [{id: a, task: do}, {id: j, after: [a], task: do}]}}\n"
                     "- {id: z, after: [g], task: do}", ["g[0].a", "g[0].j", "z", "|"], id="put behind in a loop"),
        pytest.param("f[1]", "- {id: f, forEach: [1, 2], task: do}\n- {id: j, after: [f], task: do}",
                     "- {id: f, forEach: [1, 2], task: do}\n- {id: j, after: [f, c], task: do}",
                     ["f[0]", "f[1]", "|", "j"], id="one more to wait for, behind a loop"),
    ],
)  # fmt: skip
def test_what_follows_a_task_that_ran_meanwhile_is_decided_by_the_new_plan(
    at: str, before: str, after: str, ran: list[str], seed: int | None
) -> None:
    stand = Stand(seed)
    stand.amends = (at, C + after)
    stand.start(C + before)
    stand.engine.rest()
    stand.ran.append("|")
    assert stand.engine.show(stand.run).status == "waiting"
    stand.engine.signal(stand.run, "c")
    assert stand.engine.wait(stand.run).status == "succeeded"
    assert stand.ran == ran


def test_the_last_step_of_a_run_is_not_its_end_where_another_was_put_behind_it() -> None:
    stand = Stand()
    stand.amends = ("a", "- {id: a, task: do}\n- {id: b, after: [a], task: do}")
    stand.start("- {id: a, task: do}")
    assert (stand.engine.wait(stand.run).output, stand.ran) == ({"b": "b"}, ["a", "b"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_that_was_sent_for_by_the_old_plan_waits_as_the_new_one_says(seed: int | None) -> None:
    stand = Stand(seed)
    stand.start(C + "- {id: a, task: do, priority: high}\n- {id: j, after: [a], task: do, priority: low}")
    while "a" not in stand.ran:
        stand.engine.step()
    stand.amend(C + "- {id: a, task: do, priority: high}\n- {id: j, after: [a, c], task: do, priority: low}")
    stand.engine.rest()
    assert stand.ran == ["a"]
    stand.engine.signal(stand.run, "c")
    stand.engine.wait(stand.run)
    assert stand.ran == ["a", "j"]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_skipped_after_a_step_that_comes_alive_is_decided_again(seed: int | None) -> None:
    chosen = "- {id: r, switch: [{when: 'false', then: y}, {else: x}]}\n- {id: x, set: 1}\n- {id: z, after: [y], task: do}\n" + C
    stand = Stand(seed)
    stand.start(chosen + "- {id: y, set: 2}\n- {id: q, after: [{step: y, on: failed}], set: 3}")
    stand.engine.rest()
    assert stand.statuses()["z"] == "skipped"
    stand.amend(chosen + "- {id: y, after: [c], set: 2}\n- {id: q, after: [{step: y, on: failed}], set: 3}")
    stand.engine.signal(stand.run, "c")
    stand.engine.wait(stand.run)
    assert (stand.ran, stand.statuses()["q"]) == (["z"], "skipped")


def test_nothing_is_put_into_a_group_that_has_ended() -> None:
    stand = Stand()
    stand.start(C + "- {id: g, group: {steps: [{id: a, set: 1}]}}")
    stand.engine.rest()
    with pytest.raises(Rejected, match="the group around j has ended") as refusal:
        stand.amend(C + "- {id: g, group: {steps: [{id: a, set: 1}, {id: j, set: 2}]}}")
    assert refusal.value.code == "step-locked"


def test_a_signal_for_which_a_removed_step_once_waited_is_the_next_ones() -> None:
    stand = Stand()
    waits = "- {id: s, signal: {name: go}}\n- {id: t, signal: {name: go}}"
    stand.start(waits)
    stand.engine.rest()
    stand.engine.cancel(stand.run)
    stand.engine.wait(stand.run)
    stand.engine.operations.retry(TENANT, stand.run)
    stand.engine.pause(stand.run)
    stand.amend("- {id: t, signal: {name: go}}")
    stand.engine.resume(stand.run)
    stand.engine.signal(stand.run, "go", 7)
    assert stand.engine.wait(stand.run).output == {"t": 7}
