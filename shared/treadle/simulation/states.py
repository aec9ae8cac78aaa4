"""When two states of a simulation are the same one: the ground on which an exploration looks at each only once.

Law: equal digests mean that whatever can happen from here on, and whatever the invariants will say of it, is the same. So all of this
is in it: the table, the queues, the time, the requests to come, what each worker was answered since it began (its code is a function
of that), what the invariants remember, and which faults are left.

What is left out makes no difference: the numbers of events, receipts and messages, and the order of what was told on the bus.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ..ports import Item, Key
from .choices import Scoped
from .footprints import text_of
from .invariants import Watch


class Digests:
    """Of the states of one simulation. An item is never changed in place: its text is made once."""

    def __init__(self, simulation: Scoped, watch: Watch) -> None:
        self.simulation = simulation
        self.watch = watch
        self._texts: dict[Key, tuple[Item, str]] = {}

    def digest(self) -> bytes:
        hashed = sha256()
        for part in self._parts():
            hashed.update(part.encode())
            hashed.update(b"\n")
        return hashed.digest()

    def _parts(self) -> Iterator[str]:
        yield from self._table()
        yield from self._messages()
        yield from self._workers()
        yield from self._people()
        yield from self._remembered()

    def _table(self) -> Iterator[str]:
        texts = []
        for item in self.simulation.cloud.store.peek_all():
            key = (item["pk"], item["sk"])
            known = self._texts.get(key)
            if known is None or known[0] is not item:
                known = self._texts[key] = (item, _text(item))
            texts.append(known[1])
        yield from sorted(texts)
        yield " ".join(self.simulation.cloud.blobs.names())

    def _messages(self) -> Iterator[str]:
        simulation = self.simulation
        holders = {message.receipt: simulation.names[worker.number] for worker in simulation.workers for message in worker.messages}
        told = []
        for held in simulation.cloud.lanes.held():
            body, holder = simulation.told(held.id, held.body), holders.get(held.receipt or "")
            told.append(f"{held.queue} {body} {held.visible_at} {held.group} {held.receives} {holder}")
        yield from sorted(told)
        yield from sorted({f"{event['detail-type']} {event['detail'].get('subject')}" for event in simulation.cloud.bus.events})

    def _workers(self) -> Iterator[str]:
        simulation = self.simulation
        told = []
        for worker in simulation.workers:
            name = simulation.names[worker.number]
            times = f"{worker.deadline} {worker.wakes_at} {worker.outlives} {worker.stands}"
            told.append(f"{name} {simulation.past[name]} {simulation.touched[name].call} {times}")
        yield from sorted(told)

    def _people(self) -> Iterator[str]:
        simulation = self.simulation
        yield f"{simulation.now} {simulation.swept_at} {simulation.disturbed_at} {simulation.asks_again_at} {simulation.has_asked_again}"
        yield " ".join(f"{act.verb} {dict(act.arguments)}" for act in simulation.acts)
        yield text_of(dict(simulation.spent))
        yield simulation.window.state(simulation.happened)
        yield f"{sorted(simulation.faults.fired)} {len(simulation.tokens)} {simulation.bus_again_at}"

    def _remembered(self) -> Iterator[str]:
        return self.watch.memory({worker.number: self.simulation.names[worker.number] for worker in self.simulation.workers})


def _text(item: Item) -> str:
    """A token is random, and what it is makes no difference."""
    told: dict[str, Any] = {**item, "pk": "", "hash": ""} if item["sk"] == "token" else item
    return text_of(told)
