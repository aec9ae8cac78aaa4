"""Callbacks: an attempt that somebody outside ends, who was given a token for it.

Rule 1: the TOKEN row is written before anybody can know the token.
Rule 2: of an attempt there is one ANSWER, written once. Whoever answers writes it, then looks at the step; a step writes that it
waits, then looks for the answer. One of the two always sees the other.

A token is 256 random bits. The table knows its SHA-256 only: half of it finds the row, all of it is compared.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from hmac import compare_digest
from typing import Any

from ..core.errors import NotFound, Rejected, Unavailable
from ..core.model import SCHEMA, Json, State
from ..core.plan import Step
from ..ports import Absent, Item, Key
from ..tasks.later import Answered, Callback
from .claims import Claim, claim_of, stands, write_state
from .items import decode, encode, step_key
from .names import tries
from .results import Waits
from .run import Run
from .semaphores import Place
from .world import World

MAX_WAIT_MS = 30 * 86_400_000  # for an answer, where the step has no `timeout`
KEPT_S = 7 * 86_400  # after its time a token is still known, to say that it is too late


@dataclass(eq=False)
class Tokens:
    """What a task asks for a token; and then how long its step waits."""

    run: Run
    step: Step
    claim: Claim
    is_issued: bool = False

    def __call__(self) -> Callback:
        """Raises Answered."""
        run, answer = self.run, self._answer
        self.is_issued = True
        if run.world.store.get(answer) is not None:
            raise Answered("this attempt has its answer")
        token = secrets.token_urlsafe(32)
        key, whole = _token_key(token)
        row: Item = {"pk": key[0], "sk": key[1], "schema": SCHEMA, "hash": whole, "tenant": run.tenant, "run": run.id}
        row |= {"key": self.claim.key, "gen": run.generation, "attempt": self.claim.attempt, "answer": list(answer)}
        row |= {"until": self._ends_at, "expires": self._ends_at // 1000 + KEPT_S}
        if not run.world.store.put(row, Absent()).ok:
            raise Unavailable("a token that was given before")
        url = run.world.url
        return Callback(token, url and f"{url}/v1/callbacks/{token}")

    @cached_property
    def _answer(self) -> Key:
        pk, _ = step_key(self.run.id, self.claim.key)
        of = ".".join(filter(None, [str(self.claim.attempt), tries(self.run, self.claim.key)]))
        return pk, f"answer#{self.run.generation}#{of}#{self.claim.key}"

    @property
    def _ends_at(self) -> int:
        return self.claim.attempt_at + (self.step.timeout if self.step.timeout is not None else MAX_WAIT_MS)

    def waits(self, place: Place | None) -> Waits:
        """The task has gone, its result is to come. `place`: what it holds meanwhile."""
        wait: dict[str, Any] = {"for": "callback", "answer": list(self._answer), "ends": self._ends_at}
        if place is not None:
            wait["place"] = [*place]
        if self.step.heartbeat is None:
            return Waits(wait, self._ends_at)
        wait["heartbeat"] = self.step.heartbeat
        return Waits(wait, min(self._ends_at, self.run.now + self.step.heartbeat))


def answer_to(run: Run, item: Item) -> dict[str, Json] | None:
    """`{"output": ...}` or `{"error": {...}}`: what came for a step that waits."""
    pk, sk = item["wait"]["answer"]
    found = run.world.store.get((pk, sk))
    return run.world.load(decode(found["told"])) if found is not None else None


# ------------------------------------------------------------------------------------------------ whoever has the token


def find(world: World, token: str) -> Item:
    """The TOKEN row. Raises NotFound."""
    key, whole = _token_key(token)
    row = world.store.get(key)
    if row is None or not compare_digest(str(row["hash"]), whole):
        raise NotFound("callback", "with this token")
    return row


def answer(world: World, token: str, told: dict[str, Json]) -> None:
    """`told` as `answer_to` gives it. The same answer again is as good as the first.

    Raises NotFound, Rejected: already-used (409), too-late (410).
    """
    row = find(world, token)
    run = _run_of(world, row)
    pk, sk = row["answer"]
    whole = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    standing = world.store.get((pk, sk))
    if standing is None:
        if not _is_awaited(run, row):
            raise _too_late()
        item: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "hash": whole, "told": encode(run.kept(told)), "expires": row["expires"]}
        written = world.store.put(item, Absent())
        standing = item if written.ok else written.item or {}
    if standing["hash"] != whole:
        raise Rejected("already-used", "this callback was answered before, and otherwise", status=409)
    _tell(run, row)


def beat(world: World, token: str) -> None:
    """Whoever has the token is alive: the step waits for another `heartbeat`. Raises NotFound, Rejected: too-late (410)."""
    row = find(world, token)
    run = _run_of(world, row)
    if not _is_awaited(run, row):
        raise _too_late()
    item = _item_of(run, row)
    if item is None or item["state"] != State.WAITING or "heartbeat" not in item["wait"]:
        return
    until = min(item["wait"]["ends"], run.now + item["wait"]["heartbeat"])
    if not write_state(run, claim_of(item), State.WAITING, stands(item), wait=item["wait"], until=until).ok:
        raise _too_late()


def _token_key(token: str) -> tuple[Key, str]:
    whole = hashlib.sha256(token.encode()).hexdigest()
    return (f"token#{whole[:32]}", "token"), whole


def _run_of(world: World, row: Item) -> Run:
    run = Run(world, row["run"])
    try:
        run.read_control()
    except NotFound:
        raise _too_late() from None
    return run


def _item_of(run: Run, row: Item) -> Item | None:
    return run.world.store.get(step_key(run.id, row["key"]))


def _is_awaited(run: Run, row: Item) -> bool:
    """The attempt is still under way. Without an item of its own it is in the hands of a worker: fused, or in a chunk."""
    if run.status.is_final or run.now >= row["until"]:
        return False
    item = _item_of(run, row)
    if item is None:
        return bool(run.generation == row["gen"])
    if item["state"] == State.WAITING:
        return bool(item["wait"].get("answer") == row["answer"])
    return item["state"] in (State.CLAIMED, State.RELEASED) and bool(item["attempt"] == row["attempt"])


def _tell(run: Run, row: Item) -> None:
    """A step that has not begun to wait looks for its answer itself."""
    item = _item_of(run, row)
    if item is not None and item["state"] == State.WAITING and item["wait"].get("answer") == row["answer"]:
        run.send([run.message("wake", row["key"], plan=run.control["plan"], gen=run.generation)])


def _too_late() -> Rejected:
    return Rejected("too-late", "nobody waits for this callback any more", status=410)
