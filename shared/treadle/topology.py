"""What is deployed, as data: read by `infra/` (CDK) and by `local/` (moto) alike, so that they cannot differ.

Law of the times: function timeout < lease < queue visibility. A worker that lost its lease has then lost its invocation
as well, and a message comes back only when its claim may be taken over. A pool's workers that are no Lambdas hold a lease by
renewing it.

`QUEUES` and `FUNCTIONS` are what every deployment has; each pool beside the default one adds four lanes and, if it is of
Lambdas, a dispatcher (`queues`, `functions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from .core.resources import DEFAULT, DEFAULT_POOL, LAMBDA, Pool

FUNCTION_TIMEOUT_S = 120
LEASE_S = 130
VISIBILITY_S = 140
BEGIN_MARGIN_S = 5  # a step is begun only with its own timeout and this much left in the invocation
ATTEMPT_TIMEOUT_S = DEFAULT_POOL.attempt_s  # a step's `timeout` overrides it
MOST_FUNCTION_S = 900  # AWS lets no Lambda run longer
RENEWED_LEASE_S = 300  # of a worker that is no Lambda: it renews its leases at a third of them
MAX_DELAY_S = 900  # SQS: the longest delay of a message; longer waits lie in the `due` index
MAX_DEFER_S = 11 * 3600  # SQS lets a message be in hand for twelve hours; what is due later is looked at and put off again
MAX_RECEIVES = 30  # deliveries before a message is a dead letter: an hour of them, even if none can be put off for longer
OUTBOX_RECEIVES = 1000  # SQS's most: an event waits for the bus for days
DUE_SHARDS = 16
SWEEP_EVERY_S = 60
# Until a notification that could not be delivered is tried again: ten deliveries in 17 hours, then it is a dead letter.
NOTIFY_AGAIN_S = (10, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 6 * 3600)
LOG_RETENTION_DAYS = 30
CACHED_DAYS = (2, 8, 32, 100, 400)  # objects of cached results are removed after so many days: those below `cached/DAYS/`
ARCHIVE_DAYS = 30

LANES = ("critical", "high", "normal", "low")


@dataclass(frozen=True, slots=True)
class Index:
    """A sparse index: only items that have both key attributes are in it."""

    name: str
    hash_key: str
    hash_type: str  # S or N
    range_key: str
    range_type: str
    includes: tuple[str, ...] | None  # projected attributes beside the keys; None: keys only


DUE = Index("due", "due_shard", "N", "due", "N", None)
LIST = Index(
    "list", "list_pk", "S", "list_sk", "S", ("status", "workflow", "version", "started_at", "ended_at", "attributes", "tenant", "rev")
)
INDEXES = (DUE, LIST)


@dataclass(frozen=True, slots=True)
class Queue:
    """A standard queue with a dead-letter queue `NAME-dlq`. `consumer`: the function that its event source mapping feeds.
    `max_receives`: deliveries before a message is a dead letter."""

    name: str
    consumer: str
    batch_size: int = 1
    max_concurrency: int = 50  # of the event source mapping (2 to 1000)
    max_receives: int = MAX_RECEIVES
    visibility_s: int = VISIBILITY_S
    pool: str = DEFAULT  # whose lane it is


QUEUES = (
    Queue("lane-critical", "dispatcher", max_concurrency=400),
    Queue("lane-high", "dispatcher", max_concurrency=200),
    Queue("lane-normal", "dispatcher", max_concurrency=200),
    Queue("lane-low", "dispatcher", max_concurrency=50),
    Queue("completions", "completions", batch_size=10),
    Queue("errors", "errors", batch_size=10),
    Queue("submissions", "parser", batch_size=1),
    Queue("notifications", "notifier", batch_size=1, max_concurrency=10, max_receives=len(NOTIFY_AGAIN_S) + 1),
    # Events that the bus would not take. Empty, but for outages.
    Queue("outbox", "outbox", batch_size=10, max_concurrency=5, max_receives=OUTBOX_RECEIVES),
)
OUTBOX = "outbox"
# What was delivered too often, or could not be brought to its queue: written down in the table, and told (engine/letters.py).
DEAD = "-dlq"


def dead_letters_of(queue: Queue) -> Queue:
    return Queue(queue.name + DEAD, "deadletters", batch_size=10, max_concurrency=2)


DEAD_LETTERS = tuple(dead_letters_of(queue) for queue in QUEUES)
CONSUMED = (*QUEUES, *DEAD_LETTERS)


def lane(priority: str, pool: str = DEFAULT) -> str:
    """The queue of a priority, for the workers of a pool."""
    return f"lane-{priority}" if pool == DEFAULT else f"lane-{priority}-{pool}"


def cached(ttl_ms: int) -> str:
    """What the name of a cached result's object begins with; nothing, and it stays, for one that is to last for longer than any."""
    days = next((days for days in CACHED_DAYS if days * 86_400_000 > ttl_ms), None)
    return "" if days is None else f"cached/{days}/"


@dataclass(frozen=True, slots=True)
class Rule:
    """An EventBridge rule with one target, a queue (EventBridge's own retries end in that queue's dead-letter queue).
    `bus`: `engine` (treadle's own) or `default` (where S3 and AWS services put theirs)."""

    name: str
    pattern: Mapping[str, Any]
    to: str
    bus: str = "engine"


EVENT_SOURCE = "treadle"
_OURS = {"source": [EVENT_SOURCE]}
SUBMISSIONS = ("WorkflowSubmitted", "RunRequested")
# What the engine says of every run, or of what it refused: no trigger hears it, for each run would cost an invocation more, and
# a refusal that is refused would never end.
_UNHEARD = ("StepsCompleted", "StepFailed", "RunStarted", "RunSucceeded", "SubmissionRejected", "MessageGivenUp")

RULES = (
    Rule("completions", {"source": [EVENT_SOURCE], "detail-type": ["StepsCompleted"], "detail": {"advance": [True]}}, to="completions"),
    Rule("errors", {"source": [EVENT_SOURCE], "detail-type": ["StepFailed"]}, to="errors"),
    # Anything but the engine's own events may ask for these; who may put events on the bus is IAM's to say.
    Rule("submissions", {"detail-type": list(SUBMISSIONS)}, to="submissions"),
    # What triggers listen to. Which of them hear an event is the parser's to find out.
    Rule("events", {"detail-type": [{"anything-but": [*SUBMISSIONS, *_UNHEARD]}]}, to="submissions"),
    # `inbox` stands for the inbox bucket's name, filled in by whoever renders this.
    Rule(
        "inbox",
        {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": ["{inbox}"]}}},
        to="submissions",
        bus="default",
    ),
    Rule(
        "objects", {"source": ["aws.s3"], "detail": {"bucket": {"name": [{"anything-but": ["{inbox}"]}]}}}, to="submissions", bus="default"
    ),
    # Calls that CloudTrail logs are left out: the engine's own are among them, and would be heard for ever.
    Rule(
        "services",
        {
            "source": [{"anything-but": ["aws.s3", EVENT_SOURCE]}],
            "detail-type": [{"anything-but": [*SUBMISSIONS, "AWS API Call via CloudTrail"]}],
        },
        to="submissions",
        bus="default",
    ),
)


def notifying(named: Sequence[str], kinds: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of a deployment that tells somebody. `named`: targets that rungs of the escalation ladder name; `kinds`: events of
    runs that targets have subscribed to. Nothing else wakes the notifier, and without targets there is none."""
    told = Rule("escalations", {**_OURS, "detail-type": ["EscalationRaised"], "detail": {"data": {"notify": [*named]}}}, to="notifications")
    heard = Rule("subscriptions", {**_OURS, "detail-type": [*kinds]}, to="notifications")
    return (*([told] if named else ()), *([heard] if kinds else ()))


_LANES = (*(lane(priority) for priority in LANES), OUTBOX)


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda. `uses`: the resources that its role may touch, by port: the least that works (tests compare it with the calls recorded).
    `sends_to`: the queues that its `queues` may send to. Those that are no lanes are fed by rules; whoever takes messages from one
    may send one anew that waits for a newer version. `notifies`: there is one, with its queue, only where the configuration names
    somebody to be told."""

    name: str
    memory_mb: int = 256
    storage_mb: int = 512
    timeout_s: int = FUNCTION_TIMEOUT_S
    pool: str = DEFAULT  # of a dispatcher
    schedule_s: int | None = None  # runs on a schedule
    http: bool = False  # behind the HTTP API
    notifies: bool = False
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sends_to: tuple[str, ...] = _LANES

    @property
    def code(self) -> str:
        """Which of functions/ it runs: every pool's dispatcher is the same."""
        return "dispatcher" if self.name.startswith("dispatcher") else self.name


_TABLE_HOT = ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
_ENGINE = {"table": _TABLE_HOT, "queues": ("SendMessage",), "bus": ("PutEvents",), "blobs": ("GetObject", "PutObject", "DeleteObject")}
_REMOVES = ("GetObject", "PutObject", "DeleteObject", "ListBucket")  # whoever removes runs lists what is theirs
_CONSUMER = {**_ENGINE, "queues": ("SendMessage", "ChangeMessageVisibility")}  # what cannot be done with now is put off

FUNCTIONS = (
    Function("parser", memory_mb=512, timeout_s=60, uses={**_CONSUMER, "inbox": ("GetObject",)}, sends_to=(*_LANES, "submissions")),
    Function("dispatcher", memory_mb=DEFAULT_POOL.memory_mb, uses={**_CONSUMER, "blobs": _REMOVES, "secrets": ("GetSecretValue",)}),
    Function("completions", uses=_CONSUMER, sends_to=(*_LANES, "completions")),
    Function("errors", uses=_CONSUMER, sends_to=(*_LANES, "errors")),
    Function(
        "outbox",
        timeout_s=60,
        uses={"table": ("PutItem",), "bus": ("PutEvents",), "queues": ("SendMessage", "ChangeMessageVisibility")},
        sends_to=(OUTBOX,),
    ),
    Function(
        "deadletters",
        timeout_s=60,
        uses={
            "table": ("GetItem", "PutItem", "UpdateItem"),
            "bus": ("PutEvents",),
            "queues": ("SendMessage", "ChangeMessageVisibility"),
            "blobs": ("PutObject",),
        },
        sends_to=(OUTBOX,),
    ),
    Function(
        "sweeper",
        timeout_s=55,
        schedule_s=SWEEP_EVERY_S,
        uses={"table": ("PutItem",), "index": ("Query",), "queues": ("SendMessage",)},
        sends_to=(lane("normal"), "submissions"),
    ),
    Function(
        "notifier",
        timeout_s=30,
        notifies=True,
        uses={
            "table": ("GetItem", "PutItem"),
            "queues": ("SendMessage", "ChangeMessageVisibility"),
            "bus": ("PutEvents",),
            "topics": ("Publish",),
            "secrets": ("GetSecretValue",),
        },
        sends_to=("notifications", OUTBOX),
    ),
    Function(
        "api",
        memory_mb=512,
        timeout_s=29,
        http=True,
        uses={**_ENGINE, "index": ("Query",)},
        sends_to=tuple(queue.name for queue in QUEUES),  # dead letters may be sent again to each of them
    ),
)


# ------------------------------------------------------------------------------------------------ pools

_SHARES = {"critical": 8, "high": 4, "normal": 4, "low": 1}  # of a pool's workers; a lane has its own, so low work is never starved
_WORKERS = sum(queue.max_concurrency for queue in QUEUES if queue.consumer == "dispatcher")


@dataclass(frozen=True, slots=True)
class Times:
    """Of one pool: how long an invocation may take (None: it has no end), a claim holds, and a message is in hand."""

    function_s: int | None
    lease_s: int
    visibility_s: int


def times_of(pool: Pool) -> Times:
    """Two attempts fit into an invocation, as far as AWS allows."""
    if pool.kind != LAMBDA:
        return Times(None, RENEWED_LEASE_S, RENEWED_LEASE_S + 20)
    function_s = min(MOST_FUNCTION_S, max(FUNCTION_TIMEOUT_S, 2 * pool.attempt_s))
    return Times(function_s, function_s + LEASE_S - FUNCTION_TIMEOUT_S, function_s + VISIBILITY_S - FUNCTION_TIMEOUT_S)


def dispatcher(pool: str) -> str:
    """The function (or, for workers that are no Lambdas, the service) that serves a pool's lanes."""
    return "dispatcher" if pool == DEFAULT else f"dispatcher-{pool}"


def workers_of(pool: Pool, priority: str) -> int:
    """The most at a time in one lane of the pool; AWS takes no less than two."""
    return max(2, (pool.workers or _WORKERS) * _SHARES[priority] // sum(_SHARES.values()))


@lru_cache(maxsize=32)
def queues(pools: tuple[Pool, ...] = (DEFAULT_POOL,)) -> tuple[Queue, ...]:
    """Of a deployment with these pools."""
    found = []
    for pool in pools:
        visibility_s, consumer = times_of(pool).visibility_s, dispatcher(pool.name)
        found += [
            Queue(
                lane(priority, pool.name), consumer, max_concurrency=workers_of(pool, priority), visibility_s=visibility_s, pool=pool.name
            )
            for priority in LANES
        ]
    found[len(LANES) : len(LANES)] = [queue for queue in QUEUES if queue.consumer != "dispatcher"]
    return tuple(found)


@lru_cache(maxsize=32)
def consumed(pools: tuple[Pool, ...] = (DEFAULT_POOL,)) -> tuple[Queue, ...]:
    """With the dead letters of each."""
    declared = queues(pools)
    return (*declared, *(dead_letters_of(queue) for queue in declared))


@lru_cache(maxsize=32)
def functions(pools: tuple[Pool, ...] = (DEFAULT_POOL,), *, containers: bool = False) -> tuple[Function, ...]:
    """Of a deployment with these pools. Whoever may send to lanes may send to all of them. `containers`: as if those pools whose
    workers are no Lambdas were of Lambdas that may run for as long as they want; so it is on a developer's machine."""
    lanes = tuple(queue.name for queue in queues(pools) if queue.consumer.startswith("dispatcher"))
    usual = {lane(priority) for priority in LANES}
    found = [
        replace(it, sends_to=(*lanes, *(queue for queue in it.sends_to if queue not in usual))) if usual <= set(it.sends_to) else it
        for it in FUNCTIONS
    ]
    at = next(number for number, it in enumerate(found) if it.name == "dispatcher")
    found[at : at + 1] = [_dispatcher(found[at], pool) for pool in pools if containers or pool.kind == LAMBDA]
    return tuple(found)


def _dispatcher(usual: Function, pool: Pool) -> Function:
    timeout_s = times_of(pool).function_s or 2 * pool.attempt_s
    size = {"memory_mb": pool.memory_mb, "storage_mb": max(pool.storage_mb, usual.storage_mb), "timeout_s": timeout_s}
    return replace(usual, name=dispatcher(pool.name), pool=pool.name, **size)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Names:
    """The physical names and addresses that a deployment gives to the topology: how the adapters find their resources.
    In a Lambda they come from the environment (`ENVIRONMENT` says under which names)."""

    table: str
    bus: str
    blobs: str  # bucket of large payloads and plans
    inbox: str  # bucket that users drop definitions and inputs into
    queue_urls: Mapping[str, str]  # logical queue name -> URL
    secrets: str = "treadle"  # `secrets.NAME` is SECRETS/TENANT/NAME in Secrets Manager


ENVIRONMENT = {
    "table": "TREADLE_TABLE",
    "bus": "TREADLE_BUS",
    "blobs": "TREADLE_BLOBS",
    "inbox": "TREADLE_INBOX",
    "secrets": "TREADLE_SECRETS",
    "queue_urls": "TREADLE_QUEUE_URLS",
}
# TREADLE_QUEUE_URLS is one URL prefix: the URL of queue Q is the prefix + Q (account, region and stack name are in the prefix).
