"""What is changed in moto, and why: everything that is, in this one file.

moto is pinned, because these reach into its inside. `tests/local/test_same_as_moto.py` compares what callers see with
moto as it comes; the differences that are meant are listed there.

1. One lock around every request. moto's conditional writes lose updates between threads without it.
2. Time: within a request, moto's own clock is the local clock of the account that the request belongs to.
3. Queues that `queue.DeepQueue` adopted are written, read and changed in O(log n). `WaitTimeSeconds` does not wait: it would
   hold the lock.
4. PutEvents parses a detail once, not three times for each rule, and copies it only for rules that match. The default input is
   the event, not a template rendered through eight JSON paths.
5. Nothing is kept for ever for moto's dashboard (messages, items, and what was deleted from S3 would be).
6. A table that moto itself wrote to (a request that is not plain, see table.py) has its sparse indexes built again.
"""

from __future__ import annotations

import copy
import datetime
import json
import threading
import weakref
from typing import Any

import moto
import moto.core.utils
import moto.s3.notifications
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import EventBus, EventPattern, EventsBackend, Rule, events_backends
from moto.events.utils import _BASE_EVENT_MESSAGE, EventTemplateParser
from moto.sqs.models import Message, SQSBackend

from .clock import LocalClock
from .queue import DeepQueue
from .table import Fast

MOTO_VERSION = "5.2.5"
ACCOUNT_HEADER = "x-moto-account-id"

LOCK = threading.RLock()
_CLOCKS: dict[str, LocalClock] = {}  # account -> its clock
_TABLES: weakref.WeakKeyDictionary[Any, Fast] = weakref.WeakKeyDictionary()
_current: LocalClock | None = None  # of the request in hand; the lock makes one global enough


class _Mock:
    """moto switched on as long as anybody uses it. One for the process: moto's own nesting forgets the environment's
    credentials when two users leave in another order than they came in."""

    def __init__(self) -> None:
        self._users = 0
        self._mock = mock_aws()

    def enter(self) -> None:
        with LOCK:
            if self._users == 0:
                _check_version()
                _apply()
                self._mock.start(reset=False)  # a test's own mock_aws() may be there already
            self._users += 1  # only now: after a start that failed the next user tries again, and does not reach the network

    def leave(self) -> None:
        with LOCK:
            self._users -= 1
            if self._users == 0:
                self._mock.stop(remove_data=False)


MOCK = _Mock()


def _check_version() -> None:
    if moto.__version__ != MOTO_VERSION:
        raise RuntimeError(f"the local stack needs moto {MOTO_VERSION}, not {moto.__version__}: pip install moto=={MOTO_VERSION}")


def register(account: str, clock: LocalClock) -> None:
    _CLOCKS[account] = clock


def forget(account: str) -> None:
    """Throw away all that moto holds for the account."""
    from moto.core.base_backend import BackendDict

    with LOCK:
        _CLOCKS.pop(account, None)
        for backends in list(BackendDict._instances):  # type: ignore[misc]
            if account in backends:
                backends[account].reset()
                del backends[account]


class request_of:  # used as a function is
    """One request: alone, and at the account's time. A context manager."""

    __slots__ = ("_account", "_outer")

    def __init__(self, account: str) -> None:
        self._account = account
        self._outer: LocalClock | None = None

    def __enter__(self) -> None:
        global _current
        LOCK.acquire()
        self._outer, _current = _current, _CLOCKS.get(self._account)

    def __exit__(self, *_: object) -> None:
        global _current
        _current = self._outer
        LOCK.release()


def fast_table(account: str, region: str, name: str) -> Fast:
    """To be called within the lock. Raises KeyError if there is no such table (or it is not keyed as the engine's is)."""
    table = dynamodb_backends[account][region].tables[name]
    fast = _TABLES.get(table)
    if fast is None:
        if (table.hash_key_attr, table.hash_key_type, table.range_key_attr, table.range_key_type) != ("pk", "S", "sk", "S"):
            raise KeyError(name)
        if table.stream_shard is not None:  # a stream wants every change: moto records them
            raise KeyError(name)
        fast = _TABLES[table] = Fast(table)
    return fast


# ----------------------------------------------------------------------------------------------------- the replacements

_original_process = BotocoreStubber.process_request
_original_receive = SQSBackend.receive_message
_original_change = SQSBackend.change_message_visibility
_original_send = SQSBackend.send_message
_original_put_events = EventsBackend.put_events
_original_template = EventTemplateParser.parse


def _apply() -> None:
    """Idempotent. They stay: with no local stack open they change nothing but the lock."""
    for owner, name, replacement in (
        (BotocoreStubber, "process_request", _process_request),
        (moto.core.utils, "utcnow", _utcnow),
        (SQSBackend, "receive_message", _receive_message),
        (SQSBackend, "change_message_visibility", _change_message_visibility),
        (SQSBackend, "send_message", _send_message),
        (EventsBackend, "put_events", _put_events),
        (moto.s3.notifications, "_send_event_bridge_message", _tell_of_object),
        (EventTemplateParser, "parse", staticmethod(_from_template)),
        (BaseModel, "__new__", _untracked),
    ):
        setattr(owner, name, replacement)


def _untracked(cls: type[Any], *_: Any, **__: Any) -> Any:
    return object.__new__(cls)


def _utcnow() -> datetime.datetime:
    real = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return real + datetime.timedelta(milliseconds=_current.offset_ms) if _current else real


_READS = ("Get", "Query", "Scan", "BatchGet", "Describe", "List")


def _process_request(stubber: BotocoreStubber, request: Any) -> Any:
    account = request.headers.get(ACCOUNT_HEADER, DEFAULT_ACCOUNT_ID)
    if isinstance(account, bytes):
        account = account.decode()
    with request_of(account):
        answer = _original_process(stubber, request)
        target = request.headers.get("X-Amz-Target", "")
        target = target.decode() if isinstance(target, bytes) else target
        if target.startswith("DynamoDB_") and not target.partition(".")[2].startswith(_READS):
            wrote_itself(account)
        return answer


def wrote_itself(account: str) -> None:
    if account in dynamodb_backends:
        for backend in dynamodb_backends[account].values():
            for table in backend.tables.values():
                if table in _TABLES:
                    _TABLES[table].is_stale = True


def _receive_message(
    backend: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, visibility_timeout: int, names: list[str] | None = None
) -> list[Message]:
    queue = backend.get_queue(queue_name)
    if isinstance(queue, DeepQueue):
        return queue.receive(count, visibility_timeout)
    return _original_receive(backend, queue_name, count, 0, visibility_timeout, names)


def _change_message_visibility(backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
    queue = backend.get_queue(queue_name)
    if isinstance(queue, DeepQueue):
        queue.change_visibility(receipt_handle, int(visibility_timeout))
    else:
        _original_change(backend, queue_name, receipt_handle, visibility_timeout)


def _send_message(backend: SQSBackend, queue_name: str, message_body: str, *arguments: Any, **more: Any) -> Message:
    queue = backend.get_queue(queue_name)
    if arguments or not isinstance(queue, DeepQueue) or not more.keys() <= {"group_id", "delay_seconds"}:
        return _original_send(backend, queue_name, message_body, *arguments, **more)
    return queue.send(message_body, more.get("delay_seconds"), more.get("group_id"))


def _from_template(input_template: str | None, input_paths_map: dict[str, Any] | None, event: Any) -> dict[str, Any]:
    """The default template is the event itself; moto renders it through eight parsed JSON paths, and leaves out the account."""
    if input_template or input_paths_map:
        return _original_template(input_template, input_paths_map, event)  # type: ignore[arg-type]
    return {name: value for name, value in event.items() if name != "ingestion-time"}


def _put_events(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(events) > 10:
        return _original_put_events(backend, events)  # moto says what is wrong with it
    return [_put_event(backend, entry) for entry in events]


def _put_event(backend: EventsBackend, entry: dict[str, Any]) -> dict[str, Any]:
    detail = _detail_of(entry)
    if detail is None:
        return _original_put_events(backend, [entry])[0]
    event_id = str(moto.moto_api._internal.mock_random.uuid4())
    now = moto.core.utils.unix_time()
    event: dict[str, Any] = {
        **_BASE_EVENT_MESSAGE,
        "id": event_id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": backend.account_id,
        "time": entry.get("Time", now),
        "region": backend.region_name,
        "resources": entry.get("Resources", []),
        "detail": detail,
        "ingestion-time": now,
    }
    _send_by_rules(backend.describe_event_bus(backend._normalize_event_bus_arn(entry.get("EventBusName"))), event)
    return {"EventId": event_id}


def _send_by_rules(bus: EventBus, event: dict[str, Any]) -> None:
    flat: dict[str, Any] | None = None
    for rule in bus.rules.values():
        pattern = rule.event_pattern
        if pattern._pattern:
            flat = EventPattern._flatten_dict(event) if flat is None else flat
            if not pattern._does_event_match(flat, pattern._pattern):
                continue
        _send(rule, copy.deepcopy(event))


def _tell_of_object(account: str, bucket: Any, event_name: str, key: Any) -> None:
    """On the default bus, as S3 does; moto tells all buses, and gives each write the same `sequencer`, each object a `version-id`."""
    about = {
        "key": key.name,
        "size": key.size,
        "etag": key.etag.strip('"'),
        "sequencer": f"{int(key.last_modified.timestamp() * 1e6):016X}",
    }
    if key.version_id != "null":
        about["version-id"] = key.version_id
    detail = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": about,
        "requester": account,
        "reason": event_name.partition(":")[2],
    }
    event = {
        **_BASE_EVENT_MESSAGE,
        "id": str(moto.moto_api._internal.mock_random.uuid4()),
        "detail-type": moto.s3.notifications._detail_type(event_name),
        "source": "aws.s3",
        "account": account,
        "time": moto.core.utils.unix_time(),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": detail,
    }
    _send_by_rules(events_backends[account][bucket.region_name].event_buses["default"], event)


def _detail_of(entry: dict[str, Any]) -> dict[str, Any] | None:
    """None: there is something about the entry that moto should judge."""
    try:
        detail = json.loads(entry["Detail"])
    except (KeyError, ValueError):
        return None
    is_plain = isinstance(detail, dict) and entry.get("Source") and entry.get("DetailType")
    return detail if is_plain else None


def _send(rule: Rule, event: Any) -> None:
    """To the targets of a rule that is known to match."""
    pattern, rule.event_pattern = rule.event_pattern, _ANYTHING
    try:
        rule.send_to_targets(event)
    finally:
        rule.event_pattern = pattern


_ANYTHING = EventPattern(None, {})
