"""A loop that failed and waits for a person, who has it tried anew: in the same generation of its run, since everything else goes on.

What is inside of it begins with a first attempt once more. Whatever goes by generations and attempts has to know of which try of the
loop it is (`names.tries`): what begins there gets other ids, and joins of which some edges were counted before are read instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core import paths
from ..ports import Change, Equals, Item, Key, all_of
from . import loops, retrying, tolerance
from .items import run_key
from .names import ANEW
from .run import Run


def begin(run: Run, standing: Item) -> None:
    """Open again what did not succeed inside of the loop; `standing`: its item. Safe to repeat.

    The run says so before: whoever begins something of it reads that.
    """
    said = Change(set={ANEW: True}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), said, Equals("gen", run.generation))
    run.control = written.item or run.control
    inside = retrying.LoopAnew(run, standing)
    counts = run.world.store.get_many(list(_counts(run, inside)))
    if _is_waiting(run, standing):
        for key, item in counts.items():
            run.world.store.delete(key, all_of(*(Equals(name, value) for name, value in item.items() if name not in ("pk", "sk"))))
        inside.work()


def _is_waiting(run: Run, standing: Item) -> bool:
    """Still, after all of it was read. Else somebody else has the loop tried anew already: nothing of that is taken back."""
    item = run.world.store.get((standing["pk"], standing["sk"])) or {}
    return bool((item.get("state"), item.get("fence")) == (standing["state"], standing["fence"]))


def _counts(run: Run, inside: retrying.LoopAnew) -> Iterator[Key]:
    """Of loops inside: where their lanes have come to, and how many of their items have failed."""
    for key, item in inside.items.items():
        step = run.step(key)
        if key.startswith(f"{inside.key}[") and step.for_each is not None and paths.index(key) is None and "n" in item:
            lanes = min(step.max_concurrency or 0, item["n"])
            yield from (loops.cursor_of(run, key, item["attempt"], number) for number in range(-(-lanes // loops.MAX_LANES)))
            yield from tolerance.keys_of(run, key, item["n"])
