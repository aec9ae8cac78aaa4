"""The reference interpreter, beside the scopes: what a run gets from outside, and what it does about itself when too much fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.durations import parse_duration
from .processes import Future, Kernel
from .reference_values import Choices, Definition, Failure, Json, Record

if TYPE_CHECKING:
    from .reference import RunOf

LONGEST_WAIT = "30d"  # for an answer, where the step has no timeout


class Signals:
    """What arrives is kept until somebody waits for it, first in first out. Of several who wait any may take it."""

    def __init__(self, kernel: Kernel, choices: Choices | None) -> None:
        self._kernel, self._choices = kernel, choices
        self._kept: dict[str, list[Json]] = {}
        self._waiting: list[tuple[str, str, Future[Json]]] = []

    def wait_for(self, name: str, label: str) -> Future[Json]:
        future: Future[Json] = Future(self._kernel)
        if self._kept.get(name):
            future.succeed(self._kept[name].pop(0))
        else:
            self._waiting.append((name, label, future))
        return future

    def give_up(self, future: Future[Json]) -> None:
        self._waiting = [entry for entry in self._waiting if entry[2] is not future]

    def arrive(self, name: str, payload: Json) -> None:
        found = [(label, future) for wanted, label, future in self._waiting if wanted == name and not future.is_done]
        if not found:
            self._kept.setdefault(name, []).append(payload)
            return
        choices, now = self._choices, self._kernel.now
        _, first = min(found, key=lambda entry: choices.turn(entry[0], True, now)) if choices else found[0]
        first.succeed(payload)


class Answers:
    """Of tasks that end later."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._awaited: dict[str, tuple[Future[Json], Future[None]]] = {}
        self._told: dict[str, Json] = {}  # to the latest attempt

    async def wait_for(self, path: str, step: Definition) -> Json:
        answer: Future[Json] = Future(self._kernel)
        self._told.pop(path, None)
        limit = [] if "timeout" in step else [self._kernel.sleep(parse_duration(LONGEST_WAIT))]
        try:
            while True:
                beat: Future[None] = Future(self._kernel)
                self._awaited[path] = answer, beat
                silence = [self._kernel.sleep(parse_duration(step["heartbeat"]))] if "heartbeat" in step else []
                winner = await self._kernel.first(answer, beat, *silence, *limit)
                if winner is answer:
                    return answer.result()
                if winner is not beat:
                    raise Failure("HeartbeatTimeout" if winner in silence else "Timeout")
        finally:
            del self._awaited[path]

    def take(self, entry: Mapping[str, Json]) -> bool:
        """`answer` or `beat`. False: nobody waits for it."""
        path, told = entry["step"], [entry["do"], entry.get("error"), entry.get("output")]
        answer, beat = self._awaited.get(path, (None, None))
        if answer is None or beat is None or answer.is_done:
            return self._told.get(path) == told  # the same answer again is as good as the first
        if entry["do"] == "beat":
            beat.succeed(None)
            return True
        self._told[path] = told
        if "error" in entry:
            answer.fail(Failure(entry["error"], entry["error"].lower()))
        else:
            answer.succeed(entry["output"])
        return True


@dataclass
class Places:
    """At most so many runs of a workflow at once for each key; who is first in line goes first, of one instant any."""

    kernel: Kernel
    holders: dict[str, list[RunOf]] = field(default_factory=dict)
    line: dict[str, list[tuple[int, RunOf, Future[None]]]] = field(default_factory=dict)

    def take(self, run: RunOf, key: str, limit: int) -> Future[None] | None:
        """None: it has one. Else what to wait for, before it asks again."""
        if self.take_at_once(run, key, limit):
            return None
        line = self.line.setdefault(key, [])
        ahead = [entry for entry in line if entry[1] is not run]
        since = next((entry[0] for entry in line if entry[1] is run), self.kernel.now)
        if len(self.holders.setdefault(key, [])) < limit and all(entry[0] >= since for entry in ahead):
            self.holders[key].append(run)
            self.line[key] = ahead
            return None
        free: Future[None] = Future(self.kernel)
        self.line[key] = sorted([*ahead, (since, run, free)], key=lambda entry: entry[0])
        return free

    def take_at_once(self, run: RunOf, key: str, limit: int) -> bool:
        """Without waiting, and past nobody who does."""
        holders = self.holders.setdefault(key, [])
        if run not in holders and len(holders) < limit and not self.line.get(key):
            holders.append(run)
        return run in holders

    def make_room(self, run: RunOf, key: str, limit: int) -> None:
        """So many of the oldest go that it has a place."""
        everybody = [*self.holders[key], *(entry[1] for entry in self.line[key])]
        alive = [one for one in everybody[: everybody.index(run)] if not one.cancelled.is_done]
        for one in alive[: max(0, len(alive) + 1 - limit)]:
            one.cancelled.succeed(None)

    def leave(self, run: RunOf, key: str) -> None:
        self.holders[key] = [holder for holder in self.holders.get(key, []) if holder is not run]
        self.line[key] = [entry for entry in self.line.get(key, []) if entry[1] is not run]
        for _, _, free in self.line[key]:
            free.succeed(None)


@dataclass
class Limits:
    """`errorHandling.thresholds`. What failed and what ended counts for ever, replaced attempts of groups included."""

    rule: Definition | None
    ended: list[tuple[int, bool]] = field(default_factory=list)  # when, and whether it failed

    def count(self, record: Record, now: int) -> None:
        if record.status != "skipped":
            self.ended.append((now, record.status == "failed"))

    def exceeded_by(self, record: Record, now: int) -> str | None:
        """The action that the end of a step calls for."""
        self.count(record, now)
        if self.rule is None or record.status != "failed":
            return None
        failed = [when for when, is_failure in self.ended if is_failure]
        is_exceeded = "maxFailedSteps" in self.rule and len(failed) > self.rule["maxFailedSteps"]
        if "failureRate" in self.rule:
            since = now - parse_duration(self.rule.get("window", "5m"))
            lately = [is_failure for when, is_failure in self.ended if when >= since]
            is_exceeded = is_exceeded or sum(lately) / len(lately) > self.rule["failureRate"]
        return str(self.rule.get("action", "pause")) if is_exceeded else None


def modern(handling: Definition) -> Definition:
    """`errorHandling` without the founding spec's names."""
    said = dict(handling)
    retry = dict(said.get("retry", {}))
    if "retryAttempts" in said:
        retry.setdefault("maxAttempts", said["retryAttempts"] + 1)
    if "backoffStrategy" in said:
        retry.setdefault("backoff", said["backoffStrategy"])
    if retry:
        said["retry"] = retry
    if isinstance(said.get("escalationPolicy"), list):
        said.setdefault("escalation", said["escalationPolicy"])
    if "errorThresholds" in said:
        said.setdefault("thresholds", said["errorThresholds"])
    return said


async def decided(run: RunOf, future: Future[tuple[str, Json]], kernel: Kernel, act: Callable[[str], None]) -> tuple[str, Json]:
    """By a person, or by the ladder: its rungs in order, each once its time has come."""
    failed_at = kernel.now
    for rung in timed(run.ladder):
        timer = kernel.sleep(max(0, failed_at + parse_duration(rung["afterFailure"]) - kernel.now))
        if await kernel.first(future, timer) is future:
            break
        match rung.get("action"):
            case "fail":
                return "fail", None
            case "pause" | "cancel" as action:
                act(action)
    return await future


def timed(ladder: Sequence[Definition]) -> Iterator[Definition]:
    return (rung for rung in ladder if "afterFailure" in rung)
