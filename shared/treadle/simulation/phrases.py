"""The words of random definitions: durations, values, conditions, policies."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

Definition = dict[str, Any]

ERRORS = ("Red", "Blue", "Reddish", "Größe")
PATTERNS = (
    ["*"], ["Red"], ["Red*"], ["Blue", "Timeout"], ["Timeout"], ["LoopLimit", "Reddish"], ["ExpressionError"], ["Rejected"],
    ["Gr*", "HeartbeatTimeout"], ["ChildFailed", "Throttled"],
)  # fmt: skip
NAMES = ("Überweisung", "支払い", 'paid "in full"', "a.b[0] # c", "🎉")
NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 0.1, 1e300, -2.5)
VALUES: tuple[Any, ...] = ("text", "grüße ${input.n} 🎉", "$${input.n}", "", [], {}, {"ключ": ["${input.n}", None]}, '\u2028\n\t"')


@dataclass
class Phrases:
    """`spans` are durations already used, in minutes."""

    random: random.Random
    spans: set[int] = field(default_factory=set)

    def odds(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def _retry(self) -> Definition:
        policy: Definition = {
            "maxAttempts": self.random.randint(2, 3),
            "backoff": self.random.choice(["fixed", "linear", "exponential"]),
            "delay": self._duration(1, 40),
            "jitter": "none",
        }
        if self.odds(25):
            policy["on"] = self.random.choice([["Red"], ["Red*"], ["Blue", "Timeout"]])
        elif self.odds(20):
            policy["except"] = self.random.choice([["Red"], ["Timeout"]])
        if self.odds(15):
            policy["maxDelay"] = "3m"
        if policy["backoff"] == "exponential" and self.odds(30):
            policy["multiplier"] = self.random.choice([1, 1.5, 3])
        return policy

    def _value(self, step: Definition, sources: list[Definition]) -> Any:
        forms: list[Any] = [1, "text", "${input.n}", None, {"k": ["${input.n + 1}"]}]
        forms += ["${item}", "i${index}"] * ("forEach" in step) + ["${iteration}", "${previous == null ? 1 : 0}"] * ("repeat" in step)
        if sources and self.odds(60):
            return self._of_source(step, self.random.choice(sources))
        return self.random.choice([*VALUES, *NUMBERS] if self.odds(10) else forms)

    def _of_source(self, step: Definition, source: Definition) -> str:
        there = f"steps.{source['id']}"
        is_text_free = "emit" not in source and "workflow" not in source and "group" not in source
        form = self.random.choice([f"{there}.outcome", f"{there}.output" if is_text_free else f"{there}.outcome"])
        return f"${{{there} == null ? 'none' : {form}}}" if step.get("join") not in (None, "done") else f"${{{form}}}"

    def _condition(self, step: Definition, sources: list[Definition]) -> Any:
        if sources and step.get("join") in (None, "done") and self.odds(50):
            outcome = self.random.choice(["succeeded", "succeeded", "failed", "skipped"])
            return f"steps.{self.random.choice(sources)['id']}.outcome == '{outcome}'"
        if self.odds(3):
            return "input.n"  # no boolean
        return self.random.choice(["true", "false", True, False, "input.n > 1", "input.n < 2", "input.yes"])

    def _duration(self, least: int = 0, most: int = 0) -> str:
        minutes = self._minutes(least, most)
        return f"{minutes}m" if self.odds(90) else f"PT{minutes}M"

    def _minutes(self, least: int = 0, most: int = 0) -> int:
        """Most are used once; some short enough to be a message's delay, others for the due index."""
        low, high = (least, most) if most else self.random.choice([(1, 14), (16, 300)])
        minutes = self.random.randint(low, high)
        while minutes in self.spans and not self.odds(10):
            minutes = self.random.randint(low, high)
        self.spans.add(minutes)
        return minutes

    def _retries(self, definition: Definition, given: Definition) -> list[Definition]:
        """Of a run that has ended by then. What is kept inside groups and loops is not said, nor what was counted before."""
        steps, handling = definition["steps"], definition["errorHandling"]
        is_plain = not any({"group", "forEach", "repeat", "signal"} & step.keys() for step in steps)
        if not is_plain or {"thresholds", "errorThresholds"} & handling.keys():
            return []
        entries = []
        for at in sorted(self.random.sample(range(2000, 9000), self.random.randint(1, 2))):
            more: Definition = {"from": self.random.choice([*steps, {"id": "nowhere"}])["id"]} if self.odds(25) else {}
            more |= {"input": {**given, "n": self.random.randint(0, 3)}} if self.odds(30) else {}
            entries.append({"at": f"{at}m", "do": "retry", **more})
        return entries
