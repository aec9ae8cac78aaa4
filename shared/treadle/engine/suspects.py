"""Items that are lost with their workers, in a chunk or a lane: they have no claims of their own that could count how often.

Items are begun one after another, so the one that was under way is the first that left nothing behind. Whoever takes the chunk, or the
lane, from a lost worker writes down which one that is, and how many times in a row; after that many losses that a step's claim
survives the item has failed with `Interrupted`, and the others go on.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..core import paths
from ..core.advance import Fact
from ..core.errors import Newer, Unavailable
from ..core.model import Outcome
from ..core.plan import Step
from ..core.retry import MAX_LOSSES
from ..ports import Change, Condition, Equals, Item, Key
from .outgrown import is_at_most_once
from .run import Gate, Run

ITEM, LOSSES = "suspect", "losses"  # on the chunk
GIVEN_BACK = "back"  # on a chunk: its worker was not lost, but an AWS service was away


@contextmanager
def given_back(run: Run, key: Key, change: Change, is_mine: Condition) -> Iterator[None]:
    """Around what is done under the claim on a chunk or a lane: where an AWS service is missing, or something is of a newer version, it is
    given back, by `change`. An outage is longer than three leases, and no item is to blame for it."""
    try:
        yield
    except (Unavailable, Newer):
        with suppress(Unavailable):
            run.world.store.update(key, change, is_mine)
        raise


def remember(run: Run, chunk: Item, lost: Item, keys: Sequence[str], left: Container[str]) -> Item | None:
    """My claim on a chunk, with who is to blame that its worker was lost (`lost`: that one's claim; `left`: what it has left behind).
    None: it is mine no more."""
    if GIVEN_BACK in lost:
        return chunk
    number = next((chunk["low"] + at for at, key in enumerate(keys) if key not in left), None)
    if number is None:
        return chunk
    before = lost.get(LOSSES, 0) if lost.get(ITEM) == number else 0
    told = {**chunk, ITEM: number, LOSSES: before + 1}
    return told if run.world.store.put(told, Equals("fence", chunk["fence"])).ok else None


def was_cancelled(run: Run, fact: Fact) -> bool:
    """Whoever stopped the loop has ended the item in place of its worker, whom he took for lost: it has no result that could be counted."""
    if fact.outcome is not Outcome.CANCELLED:
        return False
    run.read_control(fact.key)
    run.must_settle = True
    return True


def is_given_up(run: Run, step: Step, losses: int) -> bool:
    """An item that was lost so often is not begun again."""
    if run.world.settings.recovery == "none" or is_at_most_once(step):
        return losses > 0
    return losses > MAX_LOSSES


# ------------------------------------------------------------------------------------------------ who comes late

# Items of chunks and lanes have no claims of their own, and an iteration may be held by the one before it: their facts are written where
# there is no item. Whoever was taken for lost may do that after the run was retried, and so may whoever ends an item in his place. All
# that a retry leaves has succeeded: so a failure of an earlier generation is late, and so is a cancel in a loop that goes on.


def counts(run: Run, fact: Item) -> bool:
    """Of an item or iteration of a loop that goes on."""
    outcome = Outcome(fact["outcome"])
    return outcome is not Outcome.CANCELLED and (outcome is not Outcome.FAILED or fact.get("gen", 1) == run.generation)


def is_dropped(run: Run, fact: Item) -> bool:
    """Whether it was late, and is there no more: the item is to be run."""
    if counts(run, fact):
        return False
    key, generation = fact["sk"][2:], run.generation
    run.read_control(key)
    if run.generation != generation or run.gate(key) is Gate.CLOSED or run.is_stopped_around(key):
        return False  # who is late himself does not know; what stops was cancelled for that
    run.world.store.delete((fact["pk"], fact["sk"]), Equals("fence", fact["fence"]))
    return True


def is_sent_again(run: Run, fact: Item) -> bool:
    """Of any step's fact: whether it was late, and its item's message is on its way."""
    key = fact["sk"][2:]
    if paths.index(key) is None or not is_dropped(run, fact):
        return False
    run.send([run.message("step", key, plan=run.control["plan"], gen=run.generation, seq=fact.get("seq", 0))])
    return True
