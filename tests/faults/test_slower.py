"""Who was slower: what he did before he lost his write does not stand, and he is told that he lost it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle import task
from treadle.core.errors import Rejected, Unavailable, WrongState
from treadle.engine.reading import Checked
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.faults import Crash

HEAD = "id: w\nname: W\nversion: 1.0.0\n"
REJECTS = "concurrency: {key: \"'k'\", limit: 1, overflow: reject}\n"
TWO_MINUTES_MS, AN_HOUR_MS = 120_000, 3_600_000


class StandsStill(BaseException):
    """Of a worker that goes on later than the test lasts."""


class Meeting:
    """The table, as one sees it whom another one meets: at the first call of this name and with such arguments `act` is done first
    (`then`: after it). `again`: the call is made once more by the AWS client, which has lost its answer."""

    def __init__(
        self, engine: MemoryEngine, name: str, which: Callable[..., bool], act: Callable[[], object], *, then: bool = False
    ) -> None:
        self.name, self.which, self.act, self.then = name, which, act, then
        self.table, self.happened, self.again = engine.cloud.store, False, False
        engine.world.store = Checked(self)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.table, name)
        return method if name != self.name or self.happened else lambda *args, **more: self._call(method, *args, **more)

    def _call(self, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if self.happened or not self.which(*args, **more):
            return method(*args, **more)
        self.happened = True
        if not self.then:
            self.act()
        result = method(*args, **more)
        if self.then:
            self.act()
        if self.again:
            self.table.is_repeating = True
            result = method(*args, **more)
            self.table.is_repeating = False
        return result


def put_of(sk: str, state: str | None = None) -> Callable[..., bool]:
    """Of a step's item in this state, or a run's of this status."""
    return lambda item, condition=None: item["sk"] == sk and item.get("state", item.get("status")) == state


def fails(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def items(engine: MemoryEngine, text: str) -> list[dict[str, Any]]:
    return [item for item in engine.cloud.store.items() if text in item["pk"] or text == item["sk"]]


def deliver(engine: MemoryEngine, run: str, kind: str, path: str) -> None:
    """A message comes twice: this is the second worker."""
    engine.engine.work({"schema": 1, "kind": kind, "run": run, "path": path}, engine.now() + TWO_MINUTES_MS)


# ------------------------------------------------------------------------------------------------ starts


SET = HEAD + "steps: [{id: a, set: '${input.x}'}]\n"


def test_a_start_that_died_does_not_give_its_input_to_another_one_of_the_same_key() -> None:
    engine = MemoryEngine()
    Meeting(engine, "put", put_of("!", "running"), fails(Unavailable("down")))
    with pytest.raises(Unavailable):
        engine.start(SET, {"x": 1}, key="k")
    run = engine.start(SET, {"x": 2}, key="k")
    assert engine.start(SET, {"x": 2}, key="k") == run
    assert engine.wait(run).steps["a"].output == 2
    with pytest.raises(Rejected, match="used with another request"):
        engine.start(SET, {"x": 1}, key="k")


@pytest.mark.parametrize("dies", [False, True])
def test_of_two_starts_of_one_key_that_meet_the_run_has_the_input_of_the_one_that_won(dies: bool) -> None:
    engine = MemoryEngine()
    won: list[str] = []

    def starts() -> None:
        if dies:  # when the run is there, and before it has its input
            is_given = lambda key, change, condition=None: "input" in change.copy  # noqa: E731
            Meeting(engine, "update", is_given, fails(Crash()))
            with pytest.raises(Crash):
                engine.start(SET, {"x": 2}, key="k")
        else:
            engine.start(SET, {"x": 2}, key="k")
        won.append(next(item["pk"] for item in items(engine, "!")))

    Meeting(engine, "put", put_of("!", "running"), starts)
    with pytest.raises(Rejected, match="used with another request"):
        engine.start(SET, {"x": 1}, key="k")
    assert engine.wait(won[0]).steps["a"].output == 2


def test_a_start_that_is_repeated_is_not_refused_for_want_of_a_place() -> None:
    engine = MemoryEngine()
    text = f"{HEAD}{REJECTS}steps: [{{id: a, approval: {{}}}}]\n"
    first = engine.start(text, key="first")
    engine.wait(first, "waiting")
    engine.approve(first, "a", by="ann")
    engine.wait(first)
    engine.start(text, key="second")
    assert engine.start(text, key="first") == first
    with pytest.raises(Rejected, match="no more are allowed"):
        engine.start(text, key="third")


def test_a_child_that_ended_as_its_parent_looked_was_not_refused_a_place() -> None:
    engine = MemoryEngine()
    engine.register(f"id: c\nname: C\nversion: 1.0.0\n{REJECTS}steps: [{{id: a, approval: {{}}}}]\n")
    run = engine.start(HEAD + "steps: [{id: p, workflow: {id: c}}]\n")
    engine.advance(engine.now())
    child = engine.runs("c")[0].id

    def ends() -> None:
        engine.approve(child, "a", by="ann")
        engine.wait(child)
        engine.operations.start(TENANT, "c", {})

    meeting = Meeting(engine, "get", lambda key, **more: key == (child, "!"), ends, then=True)
    deliver(engine, run, "wake", "p")
    assert meeting.happened
    assert engine.wait(run).status == "succeeded"


# ------------------------------------------------------------------------------------------------ people


def waiting(step: str, handling: str = "") -> tuple[MemoryEngine, str]:
    engine = MemoryEngine()
    run = engine.start(f"{HEAD}{handling}steps: [{{id: p, {step}}}]\n")
    engine.wait(run, "waiting")
    return engine, run


def test_who_rejects_what_was_approved_meanwhile_is_told_so() -> None:
    engine, run = waiting("approval: {}")
    Meeting(engine, "put", put_of("s#p", "retry"), lambda: engine.approve(run, "p", by="ann"))
    with pytest.raises(WrongState, match="decided by somebody else"):
        engine.reject(run, "p", by="bob")
    assert engine.wait(run).status == "succeeded"
    assert "bob" not in str(engine.history(run))


def test_who_cancels_a_step_that_was_approved_meanwhile_is_told_so() -> None:
    engine, run = waiting("approval: {}")
    Meeting(engine, "put", put_of("s#p", "retry"), lambda: engine.approve(run, "p", by="ann"))
    with pytest.raises(WrongState, match="has gone on meanwhile"):
        engine.operations.cancel_step(TENANT, run, "p")


@pytest.mark.parametrize(("choice", "other"), [("skip", "fail"), ("fail", "skip")])
def test_who_decides_what_was_decided_otherwise_meanwhile_is_told_so(choice: Any, other: Any) -> None:
    engine, run = waiting("fail: {error: X}", "errorHandling: {onFailure: wait}\n")
    Meeting(engine, "put", put_of("s#p", "ended"), lambda: engine.decide(run, "p", other))
    with pytest.raises(WrongState, match="decided by somebody else"):
        engine.decide(run, "p", choice)


def test_a_retry_that_is_refused_leaves_the_run_its_input() -> None:
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: s, signal: {name: go}}, {id: a, after: [s], set: '${input.x}'}]\n", {"x": 1})
    engine.wait(run, "waiting")
    with pytest.raises(WrongState):
        engine.operations.retry(TENANT, run, input={"x": 2})
    assert not any(name.startswith("given_") for item in items(engine, "body") for name in item)
    engine.signal(run, "go")
    assert engine.wait(run).steps["a"].output == 1


def test_of_two_retries_that_meet_the_input_is_that_of_the_one_that_won() -> None:
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: a, set: '${input.x}'}, {id: b, after: [a], fail: {error: X}}]\n", {"x": 1})
    engine.wait(run)
    engine.operations.retry(TENANT, run, from_step="a", input={"x": 2})
    assert engine.wait(run).steps["a"].output == 2
    is_retry = lambda key, change, condition=None: change.set.get("status") == "retrying"  # noqa: E731
    Meeting(engine, "update", is_retry, lambda: engine.operations.retry(TENANT, run, from_step="a"))
    with pytest.raises(WrongState):
        engine.operations.retry(TENANT, run, from_step="a", input={"x": 3})
    assert engine.wait(run).steps["a"].output == 2


def test_a_cancel_whose_answer_was_lost_is_not_refused() -> None:
    engine, run = waiting("approval: {}")
    is_stop = lambda key, change, condition=None: change.set.get("stop") == "cancel"  # noqa: E731
    meeting = Meeting(engine, "update", is_stop, lambda: None)
    meeting.again = True
    engine.cancel(run)
    assert meeting.happened
    assert engine.wait(run).status == "cancelled"


@pytest.mark.parametrize("sets", ["hold", "plan"])
def test_an_amendment_whose_answer_was_lost_is_not_refused(sets: str) -> None:
    engine, run = waiting("approval: {}")
    meeting = Meeting(engine, "update", lambda key, change, condition=None: key[1] == "!" and sets in change.set, lambda: None)
    meeting.again = True
    engine.operations.amend(TENANT, run, f"{HEAD}steps: [{{id: p, approval: {{}}}}, {{id: q, after: [p], set: 1}}]\n")
    assert meeting.happened
    engine.approve(run, "p", by="ann")
    assert engine.wait(run).steps["q"].output == 1


def test_a_patch_whose_answer_was_lost_is_not_refused() -> None:
    engine, run = waiting("approval: {}")
    meeting = Meeting(engine, "update", lambda key, change, condition=None: "attributes" in change.set, lambda: None)
    meeting.again = True
    engine.operations.update(TENANT, run, {"attributes": {"x": 1}})
    assert engine.show(run).attributes == {"x": 1}


def test_a_signal_whose_answer_was_lost_is_given_to_one_step_though_it_was_taken_before_it_was_written_again() -> None:
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: r, signal: {name: go}}, {id: s, after: [r], signal: {name: go}}]\n")
    engine.wait(run, "waiting")
    meeting = Meeting(engine, "put", put_of("signal#go"), lambda: deliver(engine, run, "wake", "r"), then=True)
    meeting.again = True
    engine.signal(run, "go", 1)
    engine.rest()
    assert {name: step.status for name, step in engine.show(run).steps.items()} == {"r": "succeeded", "s": "waiting"}


@pytest.mark.parametrize("comes_twice", [False, True])
def test_a_signal_over_which_an_expression_failed_is_not_the_next_steps(comes_twice: bool) -> None:
    engine = MemoryEngine()
    first = "{id: r, signal: {name: go}, output: '${result.x.y}', catch: [{errors: ['*'], output: late}]}"
    run = engine.start(f"{HEAD}steps: [{first}, {{id: s, after: [r], signal: {{name: go}}}}]\n")
    engine.wait(run, "waiting")
    if comes_twice:
        meeting = Meeting(engine, "put", put_of("s#r", "retry"), lambda: deliver(engine, run, "wake", "r"))
    engine.signal(run, "go", {"x": 1})
    engine.wait(run, "waiting")
    deliver(engine, run, "wake", "r")
    engine.rest()
    assert not comes_twice or meeting.happened
    assert {name: step.status for name, step in engine.show(run).steps.items()} == {"r": "succeeded", "s": "waiting"}


# ------------------------------------------------------------------------------------------------ workers


def test_a_lease_that_is_over_takes_no_place_from_whoever_took_the_step_over() -> None:
    at_work: list[str] = []

    @task
    def works(given: str) -> None:
        at_work.append(given)
        raise StandsStill

    engine = MemoryEngine([works])
    text = HEAD + "steps: [{id: a, task: works, with: '${input.x}', concurrency: {key: \"'k'\", limit: 1}}]\n"
    run = engine.start(text, {"x": "first"})

    def taken_over() -> None:
        engine.cloud.clock.advance_to(engine.now() + AN_HOUR_MS)
        with pytest.raises(StandsStill):
            deliver(engine, run, "step", "a")

    Meeting(engine, "get", lambda key, **more: key[1] == "semaphore", taken_over)
    deliver(engine, run, "step", "a")
    engine.start(text, {"x": "second"})
    for _ in range(20):
        engine.step(engine.now())
    assert at_work == ["first"]


def test_the_place_of_a_run_that_was_retried_is_not_given_back_for_its_first_end() -> None:
    engine = MemoryEngine()
    text = f"{HEAD}concurrency: {{key: \"'k'\", limit: 1}}\nsteps: [{{id: a, approval: {{}}}}]\n"
    run = engine.start(text)
    engine.wait(run, "waiting")
    engine.cancel(run)
    engine.wait(run)

    def retried() -> None:
        engine.operations.retry(TENANT, run)
        engine.wait(run, "waiting")

    meeting = Meeting(engine, "get", lambda key, **more: key[1] == "semaphore", retried)
    deliver(engine, run, "settle", "")  # a second time: the run is over, and gives its place back
    assert meeting.happened
    other = engine.start(text)
    engine.pass_time("10m")
    assert (engine.show(run).status, engine.show(other).status) == ("waiting", "pending")


@pytest.mark.parametrize("lanes", [pytest.param("maxConcurrency: 1, ", id="lane"), pytest.param("", id="chunk")])
def test_an_item_that_was_cancelled_in_its_workers_place_is_no_result(lanes: str) -> None:
    @task
    def works(given: Any) -> Any:
        return given

    engine = MemoryEngine([works])
    count = 2 if lanes else 1  # lanes are for more items than there are lanes
    run = engine.start(f"{HEAD}steps: [{{id: f, forEach: {[*range(count)]}, {lanes}task: works, with: '${{item}}'}}]\n")

    def cancelled() -> None:
        """By somebody who stands still when the item has ended, and the worker's lane or chunk has not."""
        engine.cloud.clock.advance_to(engine.now() + AN_HOUR_MS)
        if lanes:
            Meeting(engine, "update", lambda key, change, condition=None: "#cursor#" in key[0], fails(StandsStill()))
        else:
            Meeting(engine, "delete", lambda key, condition=None: key[1].startswith("c#"), fails(StandsStill()))
        with pytest.raises(StandsStill):
            engine.cancel(run)

    Meeting(engine, "put", put_of(f"s#f[{count - 1}]", "ended"), cancelled)
    engine.rest()
    assert engine.show(run).status == "cancelled"
    assert engine.show(run).steps["f"].status == "cancelled"
    engine.operations.retry(TENANT, run)
    assert engine.wait(run).output == {"f": [*range(count)]}


def test_a_compensation_that_ended_well_does_not_time_out_afterwards() -> None:
    engine = MemoryEngine()
    engine.register("id: undo\nname: U\nversion: 1.0.0\nsteps: [{id: s, signal: {name: go}}]\n")
    undone = "compensate: {workflow: {id: undo}, timeout: 1m}"
    steps = f"steps: [{{id: a, set: 1, {undone}}}, {{id: b, after: [a], fail: {{error: X}}}}]\n"
    engine.start(f"{HEAD}errorHandling: {{onFailure: compensate}}\n{steps}")
    while not (found := items(engine, "#undo#")) or "child" not in found[0]:
        assert engine.step()
    child = found[0]["child"]

    def ends_well() -> None:
        engine.signal(child, "go")
        while items(engine, "#undo#")[0]["state"] != "ended":
            assert engine.step()

    is_late = lambda key, change, condition=None: key == (child, "!") and change.set.get("stop") == "cancel"  # noqa: E731
    Meeting(engine, "update", is_late, ends_well)
    engine.rest()
    assert items(engine, "#undo#")[0]["outcome"] == "succeeded"


def test_a_look_at_a_run_does_not_send_the_sweeper_away_whom_a_decision_has_called_meanwhile() -> None:
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: a, set: 1}]\n")
    engine.pause(run)

    def resumed() -> None:
        """By somebody who dies before he sends anything."""
        engine.cloud.listen(lambda name, when: fails(Crash())() if name == "lanes.send" else None)
        with pytest.raises(Crash):
            engine.resume(run)
        engine.cloud.listen(None)

    meeting = Meeting(engine, "update", lambda key, change, condition=None: "due" in change.remove, resumed)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).status == "succeeded"


def test_a_failure_too_many_counts_though_its_worker_died_before_he_counted() -> None:
    engine = MemoryEngine()
    handling = "errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 0, action: cancel}}\n"
    run = engine.start(f"{HEAD}{handling}steps: [{{id: a, fail: {{error: X}}}}, {{id: b, wait: 1h}}]\n")
    Meeting(engine, "put", put_of("s#a", "ended"), fails(Crash()), then=True)
    with pytest.raises(Crash):
        engine.wait(run)
    assert engine.wait(run).status == "cancelled"


def test_an_undoing_child_that_ended_before_its_worker_waited_for_it_is_not_waited_for() -> None:
    engine = MemoryEngine()
    engine.register("id: undo\nname: U\nversion: 1.0.0\nsteps: [{id: x, set: 1}]\n")
    undone = "{id: a, set: 1, compensate: {workflow: {id: undo}}}, {id: z, after: [a], fail: {error: Boom}}"
    run, began = engine.start(f"{HEAD}errorHandling: {{onFailure: compensate}}\nsteps: [{undone}]\n"), engine.now()

    def child_ends() -> None:
        """And whoever it tells finds the step claimed."""
        while engine.step(engine.now()):
            pass

    waits = lambda item, condition=None: item["sk"].startswith("undo#") and item["state"] == "waiting"  # noqa: E731
    meeting = Meeting(engine, "put", waits, child_ends)
    assert engine.wait(run).compensated
    assert meeting.happened
    assert engine.now() - began < TWO_MINUTES_MS
