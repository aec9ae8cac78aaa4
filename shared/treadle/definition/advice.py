"""Warnings: what is allowed and cannot have been meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ..core.durations import parse_duration
from ..core.model import Outcome
from ..core.retry import Retry
from .diagnostics import Code, Fault, Path
from .graph import CHOSEN, PLAIN, Edge, Graph, Node, as_list, as_map
from .spelling import Speller

_LIVE, _DEAD, _FAILED = "live", "dead", "failed"

# What an edge becomes by the outcome of its source (language page, section 3); an outcome that is not named leaves it dead.
_EDGE: dict[str, dict[Outcome, str]] = {
    PLAIN: {Outcome.SUCCEEDED: _LIVE, Outcome.BYPASSED: _LIVE, Outcome.FAILED: _FAILED, Outcome.BLOCKED: _FAILED},
    CHOSEN: {Outcome.SUCCEEDED: _LIVE, Outcome.CAUGHT: _LIVE, Outcome.FAILED: _FAILED, Outcome.BLOCKED: _FAILED},
    "succeeded": {Outcome.SUCCEEDED: _LIVE},
    "failed": {Outcome.FAILED: _LIVE, Outcome.CAUGHT: _LIVE},
    "skipped": {Outcome.BYPASSED: _LIVE, Outcome.DEAD: _LIVE, Outcome.BLOCKED: _LIVE},
    "done": dict.fromkeys((Outcome.SUCCEEDED, Outcome.FAILED, Outcome.BYPASSED, Outcome.BLOCKED, Outcome.CAUGHT), _LIVE),
}


def warnings(document: dict[str, Any], graph: Graph, order: Iterable[Node], targets: Collection[str] | None) -> Iterator[Fault]:
    """`targets`: whom the engine's configuration can have told; None: any name is as good as another."""
    yield from _unreachable(order)
    handling = as_map(document.get("errorHandling"))
    if targets is not None:
        yield from _unknown_targets(handling, targets)
    yield from _long_retries(document, handling, graph)
    if "steps" in as_map(document.get("checkpoint")):
        told = "each result is kept at once, whatever this permits: nothing follows from it"
        hint = "`{every: 10m}` has the run take a checkpoint so often, to go on from in a new run"
        yield Fault(Code.UNUSED_CHECKPOINT, told, ("checkpoint", "steps"), hint)
    if handling.get("onFailure", "stop") != "compensate":
        for node in graph.nodes:
            if "compensate" in node.raw:
                yield Fault(Code.UNUSED_COMPENSATE, "compensations run only under `onFailure: compensate`", (*node.path, "compensate"))


def _unknown_targets(handling: dict[str, Any], targets: Collection[str]) -> Iterator[Fault]:
    speller = Speller(sorted(targets))
    for index, rung in enumerate(as_list(handling.get("escalation"))):
        name = as_map(rung).get("notify")
        if isinstance(name, str) and name not in targets:
            told = f"the engine's configuration has no notifications for `{name}`: only the bus will tell of this rung"
            hint = speller.hint(name) or f"it has {', '.join(sorted(targets))}"
            yield Fault(Code.UNKNOWN_TARGET, told, ("errorHandling", "escalation", index, "notify"), hint)


# ------------------------------------------------------------------------------------------------ unreachable steps


def _unreachable(order: Iterable[Node]) -> Iterator[Fault]:
    """Sources are taken as independent and every action as one that may fail, so that what is told is certain."""
    outcomes: dict[Node, frozenset[Outcome]] = {}
    for node in order:
        may_start = not node.is_whole or _may_start(node, outcomes)
        outcomes[node] = _outcomes(node, may_start, outcomes)
        if not may_start and not _asks_too_much(node):
            yield Fault(Code.UNREACHABLE_STEP, f"nothing that comes before can ever start `{node.id}`", (*node.path, "id"))


def _asks_too_much(node: Node) -> bool:
    """Of a join that waits for more edges than there are, that has been told."""
    join = node.raw.get("join")
    return isinstance(join, int) and join > len(node.edges)


def _may_start(node: Node, outcomes: dict[Node, frozenset[Outcome]]) -> bool:
    join = node.raw.get("join", "all")
    if not node.edges or join == "done":
        return True
    choices = _choices(node, outcomes)
    if isinstance(join, int) or join == "any":
        wanted = 1 if join == "any" else join
        return sum(max((states.count(_LIVE) for states in choice), default=0) for choice in choices) >= wanted
    unfailed = [[states for states in choice if _FAILED not in states] for choice in choices]
    return all(unfailed) and any(_LIVE in states for choice in unfailed for states in choice)


def _choices(node: Node, outcomes: dict[Node, frozenset[Outcome]]) -> list[set[tuple[str, ...]]]:
    """For each source, what its edges into the step may become together; what `on` is not, is told elsewhere."""
    by_source: dict[str, list[Edge]] = {}
    for edge in node.edges:
        by_source.setdefault(edge.source, []).append(edge)
    return [
        {tuple(_EDGE.get(edge.on, _EDGE["done"]).get(outcome, _DEAD) for edge in edges) for outcome in outcomes[node.scope.by_id[source]]}
        for source, edges in by_source.items()
    ]


def _outcomes(node: Node, may_start: bool, outcomes: dict[Node, frozenset[Outcome]]) -> frozenset[Outcome]:
    found: set[Outcome] = set()
    if node.edges and node.raw.get("join") != "done":
        choices = _choices(node, outcomes)
        if any(_FAILED in states for choice in choices for states in choice):
            found.add(Outcome.BLOCKED)
        if any(_LIVE not in states for choice in choices for states in choice):
            found.add(Outcome.DEAD)
    if not may_start:
        return frozenset(found)
    if "when" in node.raw and node.raw["when"] is not True:
        found.add(Outcome.BYPASSED)
    if "fail" not in node.raw or "forEach" in node.raw or "repeat" in node.raw:
        found.add(Outcome.SUCCEEDED)
    return frozenset(found | _failures(node))


def _failures(node: Node) -> set[Outcome]:
    """How the step ends when its action fails: the catches in order, up to one that takes every error."""
    found: set[Outcome] = set()
    for entry in as_list(node.raw.get("catch")):
        found.add(Outcome.CAUGHT if "then" in as_map(entry) else Outcome.SUCCEEDED)
        if "*" in as_list(as_map(entry).get("errors")):
            return found
    return found | {Outcome.FAILED}


# ------------------------------------------------------------------------------------------------ retries


def _long_retries(document: dict[str, Any], handling: dict[str, Any], graph: Graph) -> Iterator[Fault]:
    limit = _ms(document.get("timeout"))
    if limit is None:
        return
    written = [((*node.path, "retry"), node.raw["retry"]) for node in graph.nodes if "retry" in node.raw]
    if "retry" in handling:
        written.append((("errorHandling", "retry"), handling["retry"]))
    for path, policy in written:
        total = _longest_wait(path, policy)
        if total is not None and total > limit:
            message = f"the back-offs take up to {_spoken(total)}, longer than the run may take ({document['timeout']})"
            yield Fault(Code.RETRY_EXCEEDS_TIMEOUT, message, path)


def _longest_wait(path: Path, policy: Any) -> int | None:
    """ms of all back-offs together, without what jitter takes off; None where the policy is not one."""
    try:
        retry = Retry.from_json(policy)
        return sum(retry.wait_before(attempt, 1.0) for attempt in range(2, min(retry.max_attempts, 101) + 1))
    except (AttributeError, TypeError, ValueError):  # structure.py tells what is wrong with it
        return None


def _ms(duration: Any) -> int | None:
    try:
        return parse_duration(duration) if isinstance(duration, str) else None
    except ValueError:
        return None


def _spoken(duration_ms: int) -> str:
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if duration_ms >= length:
            return f"{duration_ms / length:.3g}{unit}"
    return f"{duration_ms}ms"
