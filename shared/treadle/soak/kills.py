"""Which deliveries die, and after how many AWS calls.

Law: what dies is a matter of the seed and of what is delivered (the run, the path, which time it comes), not of threads or time. So
the same seed kills the same deliveries, as far as the same messages are sent.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

MOST_CALLS = 8  # that an invocation makes before it dies; one that makes fewer lives
MOST_TIMES = 2  # that one and the same message loses its worker: after more losses the engine gives an attempt up (MAX_LOSSES)


class Kills:
    """`share` of all messages lose their worker. Called with the local stack's lock held."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._came: Counter[str] = Counter()  # doomed messages -> workers that they have lost
        self._sweeps = 0
        self.sentenced: Counter[str] = Counter()  # by function

    def __call__(self, function: str, bodies: list[str]) -> int | None:
        what = bodies[0] if bodies else self._next_sweep()
        drawn = int.from_bytes(blake2b(f"{self._seed} {function} {what}".encode(), digest_size=8).digest())
        if drawn % 1_000_000 >= self._share * 1_000_000:
            return None
        drawn //= 1_000_000
        times, calls = 1 + drawn % MOST_TIMES, (drawn // MOST_TIMES + self._came[what]) % MOST_CALLS
        if self._came[what] == times:
            return None
        self._came[what] += 1
        self.sentenced[function] += 1
        return calls

    def _next_sweep(self) -> str:
        self._sweeps += 1
        return f"sweep {self._sweeps}"

    def forget(self) -> None:
        """All runs have ended: nothing of them comes again."""
        self._came.clear()
