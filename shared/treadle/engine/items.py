"""The items of the table: their keys, and how facts and payloads are written in them.

run / !                  RUN: the control item, at most 1 KB
run / body               BODY: the run's input and what else is only read now and then
run[#loop#page] / key    STEP: absent -> claim -> fact
run / stop#gen#container STOP: this loop or group starts nothing more
run#join#.. / join       JOIN: which edges of a wide join have come to what
run#failed#.. / failed   which items of a loop that tolerates many have failed, or how many
run / tally#gen          how many failures were counted for `thresholds`, and up to how many nobody need look
run / signal#name        MAILBOX
plan#hash / plan         PLAN
workflow#tenant#id / version: what is registered
workflows#tenant / id    the newest version, and its triggers
run / act#TIME#..        what somebody did to it
checkpoint#id / checkpoint, and run / checkpoint#TIME#id
audit#tenant / NUMBER    a record of the audit trail; audit#tenant#head / head: the last one
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from ..core import paths
from ..core.advance import Fact
from ..core.model import SCHEMA, Json, Outcome, State, StepError
from ..ports import Item, Key
from ..topology import DUE_SHARDS

INLINE_LIMIT = 8 * 1024  # bytes; a write unit per KB costs more than an object in S3 above it
REF = "$ref"


def run_key(run_id: str) -> Key:
    return run_id, "!"


def body_key(run_id: str) -> Key:
    return run_id, "body"


def output_key(run_id: str) -> Key:
    return run_id, "output"


def plan_key(plan: str) -> Key:
    return f"plan#{plan}", "plan"


def step_key(run_id: str, key: str) -> Key:
    return run_id + paths.page(key), f"s#{key}"


def stop_key(run_id: str, generation: int, container: str) -> Key:
    return run_id, f"stop#{generation}#{container}"


def tally_key(run_id: str, generation: int) -> Key:
    return run_id, f"tally#{generation}"


def mailbox_key(run_id: str, name: str) -> Key:
    return run_id, f"signal#{name}"


def cursor_key(run_id: str, generation: int, loop: str, number: int) -> Key:
    return f"{run_id}#cursor#{generation}#{loop}#{number}", "cursor"


def chunk_key(run_id: str, loop: str, low: int) -> Key:
    return f"{run_id}#{loop}#{low // paths.PAGE}", f"c#{low:07d}"


def join_key(run_id: str, generation: int, container: str, name: str, level: int, node: int) -> Key:
    return f"{run_id}#join#{generation}#{container}#{name}#{level}.{node}", "join"


def cache_key(tenant: str, task: str, key: str) -> Key:
    return f"cache#{tenant}#{task}#{digest(key)}", "cache"


def step_of_sk(sk: str) -> str:
    return sk[2:]


def shard_of(run_id: str) -> int:
    """Which of the due index's shards has a run and all of its steps."""
    return int(run_id[-1], 36) % DUE_SHARDS


_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")  # no letter looks like a digit


def digest(*parts: str) -> str:
    """A name of 26 characters (130 bits) for whatever the parts name together."""
    hashed = hashlib.sha256("\x00".join(parts).encode()).digest()
    return base64.b32encode(hashed[:17])[:26].translate(_CROCKFORD).decode()


def child_of(run_id: str, key: str, attempt: int, generation: int, tries: str = "") -> str:
    """The run that an attempt of a `workflow` step starts: made of its own, so that starting it again starts the same one. `tries`: of
    the loops around it."""
    return digest("child", run_id, key, str(attempt), str(generation), *filter(None, [tries]))


def encode(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Json:
    return json.loads(text)


def is_ref(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(REF), str) and value[REF].startswith("blob:")


# ------------------------------------------------------------------------------------------------ facts


def fact_item(
    run_id: str, fact: Fact, *, fence: int, lease: int = 0, generation: int = 1, expires: int | None = None, kept: Item | None = None
) -> Item:
    """`fact.output` is small by now, or a reference. `kept`: attributes of the claim that the fact keeps (`saw`)."""
    pk, sk = step_key(run_id, fact.key)
    item: Item = {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "state": State.ENDED.value,
        "outcome": fact.outcome.value,
        "ended_at": fact.ended_at,
        "fence": fence,
        "gen": generation,
        "seq": fact.seq,
    }
    if fact.output is not None:
        item["output"] = encode(fact.output)
    if fact.error is not None:
        item["error"] = error_text(fact.error)
    if fact.started_at is not None:
        item["started_at"] = fact.started_at
        item["attempt"] = fact.attempts + ((kept or {}).get("base") or 0)
    if fact.next is not None:
        item["next"] = fact.next
        item["lease"] = lease
    optional = {"chosen": list(fact.chosen), "why": fact.why, "expires": expires, **(kept or {})}
    return item | {name: value for name, value in optional.items() if value}


def fact_of(item: Item) -> Fact:
    return Fact(
        key=step_of_sk(item["sk"]),
        outcome=Outcome(item["outcome"]),
        output=decode(item["output"]) if "output" in item else None,
        error=error_of(item.get("error")),
        attempts=item.get("attempt", 0) - item.get("base", 0),
        started_at=item.get("started_at"),
        ended_at=item["ended_at"],
        chosen=tuple(item.get("chosen", ())),
        why=item.get("why"),
        next=item.get("next"),
        seq=item.get("seq", 0),
    )


def is_fact(item: Item | None) -> bool:
    return item is not None and item.get("state") == State.ENDED


def error_text(error: StepError) -> str:
    shown = error.to_json()
    return encode(shown | {"permanent": True} if error.permanent else shown)


def told_error(control: Item) -> dict[str, Json] | None:
    """A run's error as it is shown: whether it is permanent is only for who may try it again."""
    error = control.get("error")
    return None if error is None else {name: value for name, value in error.items() if name != "permanent"}


def error_of(text: str | None) -> StepError | None:
    if text is None:
        return None
    read: dict[str, Any] = decode(text)
    return StepError(read["name"], read.get("message", ""), read.get("details"), read.get("permanent", False))
