"""Counts what the engine asks of AWS, on the client's own events: what is billed, by AWS's published rules.

Law: it only looks. It stands below the adapters and above the wire (`before-call`, `after-call`), so that nothing of the engine
knows of it and no call gets past it. One thread at a time: it keeps a copy of the table to know what a write replaced.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..aws import Clients
from . import sizes
from .sizes import Item

RUNS = "runs"
APART = {"audit": "audit", "rate": "rateLimit", "sem": "semaphores"}  # by the first part of the partition key
POLLER = frozenset({"sqs.ReceiveMessage", "sqs.DeleteMessageBatch"})  # by Lambda's event source mapping, not by a function


@dataclass
class Tally:
    """What was used. `gb_s`: memory times time of all invocations, by the model."""

    calls: Counter[str] = field(default_factory=Counter)
    wru: float = 0
    rru: float = 0
    sqs_requests: int = 0
    events: int = 0
    bytes_written: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    gb_s: float = 0.0
    s3_puts: int = 0
    s3_gets: int = 0


@dataclass
class Largest:
    """Bytes of the largest of each kind."""

    sizes: dict[str, int] = field(default_factory=dict)

    def saw(self, kind: str, size: int) -> None:
        self.sizes[kind] = max(size, self.sizes.get(kind, 0))


class Meter:
    """`on_call(name)` is told of each call of a function before it is made. `phase`: what the calls that come are for."""

    def __init__(self, on_call: Callable[[str], None] = lambda call: None) -> None:
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.largest = Largest()
        self.phase = RUNS
        self._on_call = on_call
        self._table: dict[tuple[str, str], Item] = {}

    def attach(self, clients: Clients) -> None:
        for client in (clients.dynamodb, clients.sqs, clients.events, clients.s3):
            client.meta.events.register_first("before-call", self._before)
            client.meta.events.register("after-call", self._after)

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        outer, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = outer

    def reset(self) -> None:
        """Forget what was used; not what the table holds."""
        self.tallies.clear()
        self.largest = Largest()

    # ------------------------------------------------------------------------------------------------ the events

    def _before(self, model: Any, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        call = f"{model.service_model.service_name}.{model.name}"
        context["treadle_request"] = params["body"]
        if call not in POLLER:
            self._on_call(call)

    def _after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        service, operation = model.service_model.service_name, model.name
        body = context.pop("treadle_request")
        if service == "s3":
            self._s3(operation, body, parsed)
            return
        request = json.loads(body)
        count = {"dynamodb": self._dynamodb, "sqs": self._sqs, "events": self._events}[service]
        count(operation, request, parsed)

    def _tally(self, call: str, pk: str = "") -> Tally:
        tally = self.tallies[APART.get(pk.partition("#")[0], self.phase)]
        tally.calls[call] += 1
        return tally

    # ------------------------------------------------------------------------------------------------ DynamoDB

    def _dynamodb(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        match operation:
            case "GetItem":
                size = sizes.item_bytes(answer.get("Item", {}))
                tally = self._tally("dynamodb.GetItem", request["Key"]["pk"]["S"])
                tally.rru += sizes.read_units([size], consistent=request.get("ConsistentRead", False))
            case "BatchGetItem":
                self._batch(request, answer)
            case "Query":
                size = sum(map(sizes.item_bytes, answer["Items"]))
                self._tally("dynamodb.Query").rru += sizes.query_units(size, consistent=request.get("ConsistentRead", False))
            case "PutItem" | "UpdateItem" | "DeleteItem":
                self._write(operation, request, answer)
            case other:
                raise ValueError(f"no rule says what {other} costs")

    def _batch(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        ((table, wanted),) = request["RequestItems"].items()
        found = answer["Responses"].get(table, [])
        all_sizes = [*map(sizes.item_bytes, found), *[0] * (len(wanted["Keys"]) - len(found))]
        self._tally("dynamodb.BatchGetItem").rru += sizes.read_units(all_sizes, consistent=wanted.get("ConsistentRead", False))

    def _write(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        key = request["Item"] if operation == "PutItem" else request["Key"]
        pk, sk = key["pk"]["S"], key["sk"]["S"]
        old = self._table.get((pk, sk))
        tally = self._tally(f"dynamodb.{operation}", pk)
        if "Error" in answer:
            tally.wru += sizes.write_units(old, old)
            return
        new: Item | None = {"PutItem": request.get("Item"), "UpdateItem": answer.get("Attributes"), "DeleteItem": None}[operation]
        tally.wru += sizes.write_units(old, new) + sizes.index_units(old, new)
        if new is None:
            self._table.pop((pk, sk), None)
            return
        self._table[pk, sk] = new
        size = sizes.item_bytes(new)
        tally.bytes_written += size
        self.largest.saw(_kind_of(sk, new), size)

    # ------------------------------------------------------------------------------------------------ the others

    def _sqs(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """A request for each 64 KiB. Receiving nothing is not counted: how often Lambda's pollers ask in vain is up to them."""
        match operation:
            case "ReceiveMessage":
                bodies = [message["Body"] for message in answer.get("Messages", ())]
                if not bodies:
                    return
            case "SendMessageBatch":
                bodies = [entry["MessageBody"] for entry in request["Entries"]]
                for body in bodies:
                    self.largest.saw("message", len(body.encode()))
            case _:
                bodies = []
        self._tally(f"sqs.{operation}").sqs_requests += sizes.chunks(sum(len(body.encode()) for body in bodies))

    def routed(self, bodies: list[str]) -> None:
        """Events that a rule put into a queue: EventBridge's own requests to SQS."""
        self.tallies[self.phase].sqs_requests += sum(sizes.chunks(len(body.encode())) for body in bodies)

    def _events(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        tally = self._tally(f"events.{operation}")
        for entry in request["Entries"]:
            tally.events += sizes.chunks(sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail")))
            if entry["DetailType"] == "StepsCompleted":
                steps = json.loads(entry["Detail"])["data"]["steps"]
                self.largest.saw("completion", max(len(json.dumps(row, separators=(",", ":"))) + 1 for row in steps))

    def _s3(self, operation: str, body: Any, answer: dict[str, Any]) -> None:
        tally = self._tally(f"s3.{operation}")
        if operation == "PutObject":
            tally.s3_puts += 1
            tally.bytes_written += len(body if isinstance(body, bytes | str) else body.getvalue())
        else:
            tally.s3_gets += 1


def _kind_of(sk: str, item: Item) -> str:
    if sk == "!":
        return "control"
    if sk.startswith("s#"):
        return "fact" if item["state"]["S"] == "ended" else "claim"
    return sk.partition("#")[0]
