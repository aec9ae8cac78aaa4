"""What people do with dead letters: look at them, send them again, drop them. `engine/letters.py` writes them down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from . import acts, audit
from .core.errors import NotFound, WrongState
from .core.model import Json
from .core.moments import rfc3339
from .engine import letters
from .engine.control import open_run
from .engine.letters import Letter
from .engine.world import World

MOST = 500  # letters that one request sends again
PAGE = 100

Shown = dict[str, Json]


class DeadLetters:
    """All methods are for one tenant: another tenant's letters are not found."""

    def __init__(self, world: World) -> None:
        self._world = world

    def page(
        self, tenant: str, *, queue: str | None = None, run: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Shown], str | None]:
        """Newest first."""
        found: list[Shown] = []
        while True:
            page, cursor = letters.page(self._world, tenant, limit=limit - len(found), cursor=cursor)
            found += [self._shown(letter) for letter in page if _fits(letter, queue, run)]
            if cursor is None or len(found) >= limit:
                return found, cursor

    def show(self, tenant: str, letter: str) -> Shown:
        """With the message itself, and what would be lost by dropping it. Raises NotFound."""
        found, text = letters.find(self._world, tenant, letter)
        return self._shown(found) | {"body": text, "lost": letters.lost_by_dropping(self._world, found)}

    def redrive(
        self,
        tenant: str,
        *,
        only: list[str] | None = None,
        queue: str | None = None,
        run: str | None = None,
        cursor: str | None = None,
        by: str | None = None,
    ) -> Shown:
        """Send them again: those named, or all that fit. `kept` are those that could only come back, each with the reason;
        `next` is where a further request goes on."""
        sent: list[str] = []
        kept: list[Shown] = []
        told = {"queue": queue, "of": run, "letters": only}
        with audit.asked(self._world, tenant, "redrive", by, **told):
            chosen, after = self._chosen(tenant, only, queue, run, cursor)
            for letter in chosen:
                try:
                    with self._noted(tenant, letter, "redrive", by):
                        letters.redrive(self._world, tenant, letter.id)
                    sent.append(letter.id)
                except WrongState as refused:
                    kept.append({"id": letter.id, "why": refused.message})
        return {"redriven": sent, "kept": kept, "next": after}

    def _chosen(
        self, tenant: str, only: list[str] | None, queue: str | None, run: str | None, cursor: str | None
    ) -> tuple[list[Letter], str | None]:
        """Raises NotFound, before anything is sent."""
        if only is not None:
            return [letters.find(self._world, tenant, letter)[0] for letter in only], None
        chosen: list[Letter] = []
        while len(chosen) < MOST:
            page, cursor = letters.page(self._world, tenant, limit=PAGE, cursor=cursor)
            chosen += [letter for letter in page if _fits(letter, queue, run)]
            if cursor is None:
                break
        return chosen, cursor

    def drop(self, tenant: str, letter: str, *, by: str | None = None, reason: str | None = None) -> Shown:
        """For good; the letter as it was, and what was lost. Raises NotFound."""
        found, _ = letters.find(self._world, tenant, letter)
        lost = letters.lost_by_dropping(self._world, found)
        with (
            audit.asked(self._world, tenant, "drop", by, letter=letter, queue=found.queue, run=found.run, reason=reason),
            self._noted(tenant, found, "drop", by, reason=reason),
        ):
            letters.drop(self._world, tenant, letter)
        return self._shown(found) | {"lost": lost}

    @contextmanager
    def _noted(self, tenant: str, letter: Letter, verb: str, by: str | None, **told: Json) -> Iterator[None]:
        """In the history of the run that it belongs to, if that is still there."""
        with ExitStack() as noting:
            if letter.run:
                try:
                    run = open_run(self._world, letter.run, tenant)
                except NotFound:
                    pass
                else:
                    noting.enter_context(acts.noted(run, verb, by, path=letter.path, letter=letter.id, **told))
            yield

    def _shown(self, letter: Letter) -> Shown:
        age_s = max(0, self._world.clock.now() - letter.died_at) // 1000
        return {
            "id": letter.id,
            "queue": letter.queue,
            "kind": letter.kind,
            "what": letter.what,
            "why": letter.why,
            "receives": letter.receives,
            "sentAt": rfc3339(letter.sent_at),
            "diedAt": rfc3339(letter.died_at),
            "ageSeconds": age_s,
            "run": letter.run,
            "path": letter.path,
        }


def _fits(letter: Letter, queue: str | None, run: str | None) -> bool:
    return queue in (None, letter.queue) and run in (None, letter.run)


def told_to(world: World, run_id: str) -> list[dict[str, Any]]:
    """Of a run: the letters that nobody has seen to yet."""
    return [_of_note(note) for note in letters.notes_of(world, run_id) if note["state"] == "dead"]


def all_told_to(world: World, run_id: str) -> list[tuple[int, dict[str, Any]]]:
    """(when, what) of every letter that the run was ever told of."""
    return [(note["at"], _of_note(note)) for note in letters.notes_of(world, run_id)]


def _of_note(note: dict[str, Any]) -> dict[str, Any]:
    named = {name: note.get(name) for name in ("queue", "kind", "why", "path")}
    return {"id": letters.letter_of(note), "at": rfc3339(note["at"]), **named}
