"""Dead letters: messages that were delivered too often, or could not be brought to their queue.

Each becomes an item of the table (nothing that is in a queue lasts longer than two weeks), the run that it belongs to gets a note
of it, and the bus is told. A person looks at it, and sends it again or drops it.

dead#TENANT / SENT-DIGEST   the letter, with all of the message
RUN / dead#SENT-DIGEST      the note in the run's history, and what became of the letter
why#MESSAGE / why           why the last delivery failed, said by whoever failed; the letter takes it over
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..core import paths
from ..core.errors import NotFound, Rejected, WrongState
from ..core.model import SCHEMA, Json
from ..ports import Absent, Change, Event, Item, Key, Message, Present
from ..topology import MAX_RECEIVES, OUTBOX
from .items import INLINE_LIMIT, REF, decode, digest, encode, is_ref, run_key
from .world import World

WHY_KEPT_S: Final = 14 * 86_400  # no message is in a queue for longer
WHY_CHARACTERS: Final = 500
GONE = f"nobody said why: its worker was gone, or out of time, in each of {MAX_RECEIVES} deliveries"


@dataclass(frozen=True, slots=True)
class Dead:
    """What was found in a dead-letter queue. `queue`: the one that it was meant for. `why`: what EventBridge says, if it could not
    deliver it. Times in ms."""

    queue: str
    id: str
    body: str
    receives: int
    sent_at: int
    why: str | None = None

    @property
    def letter(self) -> str:
        return f"{self.sent_at:013d}-{digest(self.queue, self.id)}"


_LETTER = re.compile(r"\d{13}-[0-9a-z]{26}", re.ASCII)


@dataclass(frozen=True, slots=True)
class About:
    """What a message is: as far as it can be read. `path` is a step's, as users see it."""

    kind: str
    what: str
    run: str | None = None
    path: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    queue: str
    kind: str
    what: str
    why: str
    receives: int
    sent_at: int
    died_at: int
    run: str | None
    path: str | None


# ------------------------------------------------------------------------------------------------ what a message is


def about(queue: str, text: str) -> About:
    """Whatever it is, something can be said of it."""
    try:
        body = json.loads(text)
    except ValueError:
        return About("malformed", "it is not JSON")
    if not isinstance(body, dict):
        return About("malformed", "it is no JSON object")
    if isinstance(body.get("detail"), dict) or "detail-type" in body:
        return _of_bus(queue, body)
    kind = body["kind"] if isinstance(body.get("kind"), str) else "malformed"
    if kind == "event":
        told: Any = body.get("event") if isinstance(body.get("event"), dict) else {}
        return About(kind, f"the event {told.get('kind', '?')}, which waited for the bus", _text(told.get("run_id")))
    if kind == "schedule":
        return About(kind, f"the schedules of {body.get('workflow', '?')} are due", tenant=_text(body.get("tenant")))
    run, path = _text(body.get("run")), _text(body.get("path"))
    shown = paths.shown(path) if path else None
    return About(kind, _OF_LANE.get(kind, "no kind of message that is known here").format(shown), run, shown)


_OF_LANE = {
    "step": "step {} may begin",
    "chunk": "items of loop {} may begin",
    "lane": "items of loop {} may begin, one after another",
    "wake": "step {} may go on",
    "remove": "the time of the run's data is over: it is to be removed",
    "settle": "the run is to be looked at, and what is missing sent",
    "malformed": "it does not say what it is (kind)",
}


def _of_bus(queue: str, body: Mapping[str, Any]) -> About:
    kind, detail = str(body.get("detail-type", "?")), body.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    data: Any = detail.get("data") if isinstance(detail.get("data"), dict) else {}
    run = _text(data.get("run"))
    if queue == "errors":
        path = _text(data.get("path"))
        return About(kind, f"an attempt of step {path or '?'} failed", run, path)
    if queue == "completions":
        return About(kind, "steps ended, and what follows from it was to be found out", run)
    if queue == "notifications":
        return About(kind, f"somebody was to be told of {kind}", run or _text(body.get("run")))
    bucket, stored = detail.get("bucket"), detail.get("object")
    if isinstance(bucket, dict) and isinstance(stored, dict):
        return About(kind, f"the object {bucket.get('name')}/{stored.get('key')} was put")
    return About(kind, f"the event {kind} of {body.get('source', '?')}, which was to start a run or register a workflow")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# ------------------------------------------------------------------------------------------------ writing them down


def say_why(world: World, message_id: str, reason: Exception) -> None:
    """By a handler whose delivery was the last one. Should this fail as well, the letter says that nobody knows."""
    text = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
    pk, sk = _why_key(message_id)
    expires = world.clock.now() // 1000 + WHY_KEPT_S
    world.store.put({"pk": pk, "sk": sk, "schema": SCHEMA, "why": text[:WHY_CHARACTERS], "expires": expires})


def _why_key(message_id: str) -> Key:
    return f"why#{message_id}", "why"


def record(world: World, tenant: str, dead: Dead) -> None:
    """The same again changes nothing. `tenant`: whose it is where no run says so. Raises Unavailable: it stays in its queue."""
    it, now = about(dead.queue, dead.body), world.clock.now()
    control = world.raw.get(run_key(it.run)) if it.run else None
    said = world.store.get(_why_key(dead.id))
    why = dead.why or (str(said["why"]) if said and "why" in said else GONE)
    owner = str(control["tenant"]) if control and "tenant" in control else it.tenant or tenant
    told = {"queue": dead.queue, "kind": it.kind, "why": why} | _given(run=it.run, path=it.path)
    letter = {"what": it.what, "receives": dead.receives, "sent_at": dead.sent_at, "died_at": now, **told}
    kept = encode(world.keep(encode(dead.body), INLINE_LIMIT, owner=_blobs_of(dead.letter)))
    world.store.put({"pk": _owner(owner), "sk": dead.letter, "schema": SCHEMA, "body": kept, **letter}, Absent())
    if it.run and control:
        expires = _given(expires=control.get("expires"))
        world.store.put({"pk": it.run, "sk": _note(dead.letter), "schema": SCHEMA, "at": now, "state": "dead", **told, **expires}, Absent())
        world.raw.update(run_key(it.run), Change(set={"dead": 1}), Present())
    data = {"letter": dead.letter, "tenant": owner, "what": it.what, **told}
    world.tell([Event("MessageGivenUp", digest("dead", dead.queue, dead.id), it.run or "", now, data)])


def _given(**values: Json) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}


def _owner(tenant: str) -> str:
    return f"dead#{tenant}"


def _blobs_of(letter: str) -> str:
    """What the name of its message begins with, where that is too large for an item: no other letter's."""
    return f"dead/{digest(letter)}/"


def _note(letter: str) -> str:
    return f"dead#{letter}"


# ------------------------------------------------------------------------------------------------ looking at them


def page(world: World, tenant: str, *, limit: int, cursor: str | None) -> tuple[list[Letter], str | None]:
    """Newest first. Raises Rejected("bad-value") for a cursor that is none."""
    if cursor is not None and not _LETTER.fullmatch(cursor):
        raise Rejected("bad-value", f"this is no cursor of this list: {cursor[:100]}")
    after = (_owner(tenant), cursor) if cursor else None
    found = world.store.query(_owner(tenant), after=after, limit=limit, ascending=False)
    return [_letter(item) for item in found.items], found.after[1] if found.after else None


def find(world: World, tenant: str, letter: str) -> tuple[Letter, str]:
    """(the letter, the message's text). Raises NotFound."""
    item = world.store.get((_owner(tenant), letter))
    if item is None:
        raise NotFound("dead letter", letter)
    return _letter(item), str(world.load(decode(item["body"])))


def _letter(item: Item) -> Letter:
    named = {name: item[name] for name in ("queue", "kind", "what", "why", "receives", "sent_at", "died_at")}
    return Letter(item["sk"], **named, run=item.get("run"), path=item.get("path"))


def notes_of(world: World, run_id: str) -> list[Item]:
    """What the run was told: `at`, `queue`, `kind`, `why`, perhaps `path`; `state` is `dead`, `redriven` or `dropped`."""
    found: list[Item] = []
    after = None
    while True:
        part = world.store.query(run_id, prefix=_note(""), after=after)
        found += part.items
        after = part.after
        if after is None:
            return found


def letter_of(note: Item) -> str:
    return str(note["sk"]).partition("#")[2]


# ------------------------------------------------------------------------------------------------ what becomes of them


def redrive(world: World, tenant: str, letter: str) -> Letter:
    """Send it again: to its own queue, as it was; then it is no dead letter any more. Twice does no harm, as with any message.

    Raises NotFound, WrongState: it could only come back.
    """
    found, text = find(world, tenant, letter)
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise WrongState(f"dead letter {letter} is no JSON object: sent again it would only come back; drop it")
    world.lanes.send([Message(found.queue, body)])
    _end(world, tenant, found, "redriven")
    return found


def drop(world: World, tenant: str, letter: str) -> Letter:
    """For good. Raises NotFound."""
    found, _ = find(world, tenant, letter)
    _end(world, tenant, found, "dropped")
    return found


def _end(world: World, tenant: str, letter: Letter, state: str) -> None:
    if letter.run:
        world.store.update((letter.run, _note(letter.id)), Change(set={"state": state}), Present())
    item = world.store.get((_owner(tenant), letter.id))
    world.store.delete((_owner(tenant), letter.id))
    body: Any = decode(item["body"]) if item is not None else None
    if is_ref(body) and (name := body[REF].removeprefix("blob:")).startswith(_blobs_of(letter.id)):
        world.blobs.remove(name)


def lost_by_dropping(world: World, letter: Letter) -> str:
    """In a sentence."""
    if letter.queue == "submissions":
        return "what it asked for is not done: no run is started and no workflow registered by it"
    if letter.queue == "notifications":
        return "whoever was to be notified is not"
    if letter.queue == OUTBOX:
        return "whoever listens to the bus never hears of this event; the run itself has it in its history"
    if letter.run is None:
        return "nobody can tell whose it is"
    control = world.raw.get(run_key(letter.run))
    if control is None:
        return "nothing: the run is not there any more"
    if control.get("ended_at"):
        return f"nothing: the run is {control['status']}"
    return "nothing for good: the run is under way, and the sweeper sends again what it is still owed; that may take a quarter of an hour"
