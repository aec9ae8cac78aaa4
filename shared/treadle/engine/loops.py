"""Loops: forEach over the items of a list, repeat over iterations.

The step as a whole has an OPEN item, its *header*. Items are steps of their own (`notify[3]`) with facts of their own; they
are counted in a join tree, and the header becomes the loop's fact when the tree is full. How items are handed out: in chunks
of the index range, or by lanes that take one after another where `maxConcurrency` bounds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Edging, Fact
from ..core.durations import parse_duration
from ..core.errors import ExpressionFault
from ..core.expressions import evaluate
from ..core.model import Json, Outcome, State, StepError
from ..core.plan import INSTANT, Step
from ..ports import Absent, Item, Key, Message
from . import ending, joins, outputs, suspects, tolerance
from .actions import boolean, expression_error
from .claims import Claim, claim_of, stands, write_state
from .items import cursor_key, encode, is_fact, step_key
from .names import names, tries
from .run import Gate, Run
from .schedule import wake

if TYPE_CHECKING:
    from .progress import Ready

MAX_ITEMS = 1_000_000
LIST_IN_HEADER = 4 * 1024  # bytes; a longer list lies in pages beside the items
ITEMS = "$items"  # the join of a loop's items
MAX_LANES = 64  # of one cursor item


@dataclass
class Progress:
    """What came of the items so far. `outputs`: from the first item of the chunk on. `open`: begun, and ending later by themselves.
    `generation`: of the run, when the loop was opened."""

    generation: int
    outputs: list[Json] = field(default_factory=list)
    members: dict[int, Edging] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    last: Fact | None = None
    stopped: bool = False
    begun: bool = False  # one of them was begun here

    def took(self, number: int, fact: Fact) -> None:
        self.outputs.append(fact.output)
        self.members[number] = Edging.FAILED if fact.outcome is Outcome.FAILED else Edging.LIVE
        self.last = fact

    def left_open(self, number: int) -> None:
        self.outputs.append(None)
        self.open.append(number)


def is_sync(step: Step) -> bool:
    """An item ends in the invocation that begins it (if its attempt succeeds)."""
    return step.action == "task" or step.action in INSTANT


def is_tried_anew(run: Run, header: Item) -> bool:
    """The run was retried, or a person had the loop, or one around it, tried again: some of its items may have ended before."""
    return run.generation > 1 or header.get("attempt", 1) > 1 or bool(tries(run, header["sk"][2:]))


# ------------------------------------------------------------------------------------------------ opening


def open_for_each(run: Run, claim: Claim, step: Step, ready: Ready) -> list[Json] | StepError:
    """Evaluate the list and open the loop. An empty list is for the caller to end. Raises ExpressionFault."""
    value = listed(evaluate(step.for_each, run.world.expressions, names(run, claim.key, seen=claim.saw)))
    if len(value) > MAX_ITEMS:
        return StepError("RunLimit", f"forEach over {len(value)} items: at most {MAX_ITEMS} are allowed", permanent=True)
    if value and write_header(run, claim, step, value):
        ready.messages += hand_out(run, claim.key, step, len(value))
    return value


def listed(value: Json) -> list[Json]:
    """What `forEach` gave, as the list that is gone through. Raises ExpressionFault."""
    if isinstance(value, dict):
        return [{"key": key, "value": value[key]} for key in sorted(value)]
    if not isinstance(value, list):
        raise ExpressionFault(f"forEach must give a list or a map, not {encode(value)[:100]}")
    return value


def write_header(run: Run, claim: Claim, step: Step, values: list[Json]) -> bool:
    lanes = step.max_concurrency if step.max_concurrency is not None and step.max_concurrency < len(values) else 0
    header: dict[str, Any] = {"n": len(values), "lanes": lanes}
    text = encode(values) if len(values) <= LIST_IN_HEADER else None  # of so many not even the commas fit
    if text is not None and len(text.encode()) <= LIST_IN_HEADER:
        header["list"] = text
    else:
        _write_pages(run, claim.key, values)
    if lanes:
        _write_cursors(run, claim, len(values), lanes)
    written = write_state(run, claim, State.OPEN, **header)
    if written.ok:
        run.headers[claim.key] = claim.item(run) | {"state": State.OPEN.value} | header
        first_page = values if "list" in header else values[: paths.PAGE]  # of a long list the rest is for others
        run.loop_items |= {paths.item(claim.key, number): value for number, value in enumerate(first_page)}
    return written.ok


def _write_pages(run: Run, loop: str, values: list[Json]) -> None:
    for page in range(0, len(values), paths.PAGE):
        kept = run.kept(values[page : page + paths.PAGE])
        item: Item = {"pk": f"{run.id}#{loop}#{page // paths.PAGE}", "sk": "list", "schema": 1, "list": encode(kept)}
        run.world.store.put(item | ({"expires": run.control["expires"]} if "expires" in run.control else {}))


def hand_out(run: Run, loop: str, step: Step, count: int) -> list[Message]:
    """One message per chunk of the index range, or one per lane."""
    header = run.headers[loop]
    if header["lanes"]:
        return [_message(run, "lane", loop, lane=lane) for lane in range(header["lanes"])]
    size = run.world.settings.chunk_size
    return [chunk_message(run, loop, low, min(low + size, count)) for low in range(0, count, size)]


def chunk_message(run: Run, loop: str, low: int, high: int) -> Message:
    return _message(run, "chunk", loop, low=low, high=high)


def _message(run: Run, kind: str, loop: str, **more: Any) -> Message:
    return run.message(kind, loop, plan=run.control["plan"], gen=run.generation, **more)


# ------------------------------------------------------------------------------------------------ lanes


def cursor_of(run: Run, loop: str, attempt: int, number: int) -> Key:
    return cursor_key(run.id, run.generation, paths.inside(loop, attempt), number)


def _write_cursors(run: Run, claim: Claim, count: int, lanes: int) -> None:
    """Each cursor serves up to 64 lanes from its own slice of the items: one item's writes are bounded."""
    for number in range(-(-lanes // MAX_LANES)):
        low, high, here = slice_of(number, count, lanes)
        pk, sk = cursor_of(run, claim.key, claim.attempt, number)
        cursor: Item = {"pk": pk, "sk": sk, "schema": 1, "next": low + here, "high": high}
        cursor |= {f"n_{lane}": low + lane for lane in range(here)} | {f"f_{lane}": 0 for lane in range(here)}
        run.world.store.put(cursor | ({"expires": run.control["expires"]} if "expires" in run.control else {}), Absent())


def slice_of(number: int, count: int, lanes: int) -> tuple[int, int, int]:
    """(first item, item behind the last, lanes) of cursor `number`."""
    cursors = -(-lanes // MAX_LANES)
    here = min(MAX_LANES, lanes - number * MAX_LANES)
    low = count * (number * MAX_LANES) // lanes
    high = count if number == cursors - 1 else count * ((number + 1) * MAX_LANES) // lanes
    return low, high, here


def lane_of(run: Run, header: Item, loop: str, index: int) -> int | None:
    """The lane that item `index` is in now."""
    count, lanes = header["n"], header["lanes"]
    for number in range(-(-lanes // MAX_LANES)):
        low, high, here = slice_of(number, count, lanes)
        if low <= index < high:
            cursor = run.world.store.get(cursor_of(run, loop, header["attempt"], number)) or {}
            return next((number * MAX_LANES + lane for lane in range(here) if cursor.get(f"n_{lane}") == index), None)
    return None


def set_aside(run: Run, key: str, seq: int) -> None:
    """A lane came to this item while the run was held: it begins by itself once that goes on, and its end moves the lane on."""
    if not write_state(run, Claim(key, run.world.new_fence(), 0, 1, run.now, run.now), State.RELEASED, Absent()).ok:
        return
    run.read_control(key)
    if run.gate(key) is Gate.OPEN:  # it went on in between
        run.send([_message(run, "step", key, seq=seq)])
    elif run.gate(key) is Gate.CLOSED:
        run.must_settle = True


# ------------------------------------------------------------------------------------------------ ends of items


def item_ended(run: Run, fact: Fact, ready: Ready) -> list[Fact]:
    """One item or iteration has ended."""
    loop, number = paths.whole(fact.key), paths.index(fact.key) or 0
    step = run.step(loop)
    if fact.outcome is Outcome.CANCELLED:
        return []
    if step.repeat is not None:
        return iteration_ended(run, loop, step, number, fact, ready)
    header = header_of(run, loop)
    if header is None:
        return ended_before(run, loop)
    if fact.outcome is Outcome.FAILED and not tolerance.is_tolerated(run, loop, step, header, number, fact.error):
        return []
    found = members_ended(run, loop, header, {number: Edging.FAILED if fact.outcome is Outcome.FAILED else Edging.LIVE}, fact)
    if header["lanes"] and not found:
        lane = lane_of(run, header, loop, number)
        if lane is not None:
            ready.messages.append(_message(run, "lane", loop, lane=lane))
    return found


def header_of(run: Run, loop: str) -> Item | None:
    """The header of an open loop, or None when it is open no more."""
    if loop not in run.headers:
        item = run.world.store.get(step_key(run.id, loop))
        if item is None or item["state"] != State.OPEN:
            return None
        run.headers[loop] = item
    header = run.headers[loop]
    return header if header.get("state") == State.OPEN else None  # who names an item keeps the loop's item whatever it is


def ended_before(run: Run, loop: str) -> list[Fact]:
    """The loop's fact, if it has one: whoever wrote it may have died before what follows from it."""
    return list(run.find_facts([loop]).values())


def members_ended(run: Run, loop: str, header: Item, members: dict[int, Edging], last: Fact | None) -> list[Fact]:
    """Count items; the loop's fact once all have ended."""
    if not members or not _are_all_in(run, loop, header, members):
        return []
    try:
        text = outputs.collect(run, loop, header, in_chunks=not header["lanes"] and is_sync(run.step(loop)))
    except outputs.TooLarge as fault:
        ending.fail_attempt(run, claim_of(header), StepError("PayloadTooLarge", str(fault), permanent=True), stands(header))
        return []
    return ending.complete(run, claim_of(header), run.keep(text), last, stands(header))


def _are_all_in(run: Run, loop: str, header: Item, members: dict[int, Edging]) -> bool:
    if not is_tried_anew(run, header):
        return joins.add(run, loop, ITEMS, header["n"], members) is not None
    return _have_all_facts(run, loop, header["n"], min(members))


def _have_all_facts(run: Run, loop: str, count: int, first: int) -> bool:
    """A retried run's trees are new: what ended before is read, page after page from that of item `first` on, until one is not full.
    Items are begun in order, so that this is mostly the first or the second. As in a tree a failure counts that is tolerated: by one
    too many the loop is stopped, which ends otherwise."""
    pages, failed = -(-count // paths.PAGE), 0
    for offset in range(pages):
        low = (first // paths.PAGE + offset) % pages * paths.PAGE
        keys = [step_key(run.id, paths.item(loop, number)) for number in range(low, min(low + paths.PAGE, count))]
        found = run.world.store.get_many(keys)
        ends = [found[key] for key in keys if is_fact(found.get(key))]
        failed += sum(Outcome(end["outcome"]) is Outcome.FAILED for end in ends)
        if len(ends) < len(keys) or not all(suspects.counts(run, end) for end in ends):
            return False
    return failed <= tolerance.most(run.step(loop), count)


# ------------------------------------------------------------------------------------------------ repeat


def goes_on(run: Run, key: str, step: Step, number: int, previous: Json) -> bool | StepError:
    """Whether iteration `number` is to run after one that gave `previous`. `key`: the loop's."""
    repeat = step.repeat or {}
    try:
        bound = names(run, key) | {"iteration": number, "previous": previous}
        if "until" in repeat and number > 0:
            bound["iteration"] = number - 1
            if boolean(evaluate(repeat["until"], run.world.expressions, bound), "until"):
                return False
        if "while" in repeat and not boolean(evaluate(repeat["while"], run.world.expressions, bound), "while"):
            return False
    except ExpressionFault as fault:
        return expression_error(fault)
    if number >= repeat["max"]:
        return StepError("LoopLimit", f"the loop did not end within {repeat['max']} iterations")
    return True


def iteration_ended(run: Run, loop: str, step: Step, number: int, fact: Fact, ready: Ready) -> list[Fact]:
    if fact.next is not None:
        return []
    header = header_of(run, loop)
    if header is None:
        return ended_before(run, loop)
    if fact.outcome is Outcome.FAILED:
        ending.fail_attempt(run, claim_of(header), fact.error or StepError("TaskFailed"), stands(header))
        return []
    output = run.output_of(fact)
    match goes_on(run, loop, step, number + 1, output):
        case True:
            start_iteration(run, loop, step, number + 1, fact.seq + 1, ready)
        case False:
            return ending.complete(run, claim_of(header), run.kept(output), fact, stands(header))
        case StepError() as error:
            ending.fail_attempt(run, claim_of(header), error, stands(header))
    return []


def start_iteration(run: Run, loop: str, step: Step, number: int, seq: int, ready: Ready) -> None:
    key = paths.item(loop, number)
    delay = parse_duration((step.repeat or {}).get("delay", "0s"))
    if number == 0 or not delay:
        ready.starts.append((key, seq))
        return
    ready.messages += wait_for_start(run, key, run.now + delay)


def wait_for_start(run: Run, key: str, until: int) -> list[Message]:
    """The iteration waits as a released item that nobody may take before `until`."""
    claim = Claim(key, run.world.new_fence(), 0, 1, run.now, run.now)
    write_state(run, claim, State.RELEASED, Absent(), until=until)
    return wake(run, key, until)
