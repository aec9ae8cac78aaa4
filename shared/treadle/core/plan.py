"""A plan: a definition compiled once, immutable, addressed by the hash of its canonical JSON.

`compile_plan` takes a definition that the front end has found valid (plain JSON, language page) and answers everything the
engine asks at run time ahead of time: edges in both directions, durations in ms, and which facts each step's expressions
name. `Plan.to_json` is canonical: the same definition gives the same bytes and so the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .durations import parse_duration
from .errors import Newer
from .expressions import Expressions, holes
from .model import Json
from .resources import Needs
from .retry import Retry

PLAN_SCHEMA = 1
ACTIONS = ("task", "set", "wait", "signal", "approval", "workflow", "emit", "switch", "group", "fail")
INSTANT = frozenset({"set", "switch", "fail", "emit"})  # computed without leaving the engine
KEPT = (  # modifiers that a plan has as they are written
    "with",
    "join",
    "when",
    "forEach",
    "maxConcurrency",
    "tolerate",
    "repeat",
    "retry",
    "catch",
    "compensate",
    "output",
    "cache",
    "concurrency",
    "priority",
    "resources",
)
PLAIN, CHOSEN = "plain", "chosen"  # kinds of edge beside `succeeded failed skipped done`


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    on: str = PLAIN  # plain, chosen, succeeded, failed, skipped, done


@dataclass(frozen=True, slots=True)
class Named:
    """What expressions name: the ids x of `steps.x` (`*`: any), and root names."""

    steps: tuple[str, ...] = ()
    roots: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | None) -> Named:
        return cls(tuple(source["steps"]), frozenset(source["roots"])) if source else NOTHING


NOTHING = Named()


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the engine runs it. Times in ms; expressions are still text."""

    id: str
    index: int  # in the whole plan, in document order
    action: str  # one of ACTIONS
    spec: Json  # the action's own value
    given: Json = field(default_factory=dict)  # `with`
    edges: tuple[Edge, ...] = ()  # into this step
    targets: tuple[str, ...] = ()  # steps that this one has an edge to
    join: str | int = "all"
    when: Json = None
    for_each: Json = None
    max_concurrency: int | None = None
    tolerate: Mapping[str, Any] | None = None
    repeat: Mapping[str, Any] | None = None
    retry: Retry | None = None
    timeout: int | None = None
    heartbeat: int | None = None
    catch: tuple[Mapping[str, Any], ...] = ()
    compensate: Mapping[str, Any] | None = None
    output: Json = None
    has_output: bool = False
    cache: Mapping[str, Any] | None = None
    concurrency: Mapping[str, Any] | None = None
    priority: str = "normal"
    needs: Needs | None = None  # of a task; None: it says nothing of resources
    named: Named = NOTHING  # by its expressions
    item_named: Named = NOTHING  # by those that are evaluated for each item or iteration
    compensate_reads: tuple[str, ...] = ()
    inner: Scope | None = None

    @property
    def is_loop(self) -> bool:
        return self.for_each is not None or self.repeat is not None


@dataclass(frozen=True)
class Scope:
    """The steps that stand together: the document's, or a group's."""

    id: str  # the group's step id, "" for the root
    steps: Mapping[str, Step]  # in document order
    output: Json = None
    has_output: bool = False
    output_named: Named = NOTHING

    @cached_property
    def roots(self) -> tuple[str, ...]:
        return tuple(step.id for step in self.steps.values() if not step.edges)

    @cached_property
    def sinks(self) -> tuple[str, ...]:
        """Steps that no other step comes after: the default output."""
        return tuple(step.id for step in self.steps.values() if not step.targets)

    @cached_property
    def last(self) -> tuple[str, ...]:
        """Steps whose end means that everything in the scope has ended: the sinks, and the sources of joins that may
        start before all their sources have ended (`any`, N)."""
        early = {edge.source for step in self.steps.values() if step.join not in ("all", "done") for edge in step.edges}
        return tuple(step.id for step in self.steps.values() if not step.targets or step.id in early)

    @cached_property
    def handled(self) -> frozenset[str]:
        """Steps whose failure is handled by an outgoing edge `on: failed` or `on: done`."""
        return frozenset(edge.source for step in self.steps.values() for edge in step.edges if edge.on in ("failed", "done"))


@dataclass(frozen=True)
class Plan:
    workflow: str
    version: str
    name: str
    root: Scope
    on_failure: str = "stop"
    retry: Retry | None = None  # of steps that have none
    timeout: int | None = None
    escalation: tuple[Mapping[str, Any], ...] = ()
    thresholds: Mapping[str, Any] | None = None
    concurrency: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)  # the plan's JSON

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """Every step of every scope by its id (ids are unique in the document)."""
        return {step.id: step for scope in self.scopes.values() for step in scope.steps.values()}

    @cached_property
    def scopes(self) -> Mapping[str, Scope]:
        found: dict[str, Scope] = {}
        todo = [self.root]
        while todo:
            scope = todo.pop()
            found[scope.id] = scope
            todo += [step.inner for step in scope.steps.values() if step.inner]
        return found

    @cached_property
    def scope_of(self) -> Mapping[str, Scope]:
        """The scope that a step stands in."""
        return {step_id: scope for scope in self.scopes.values() for step_id in scope.steps}

    @cached_property
    def compensates(self) -> bool:
        return any(step.compensate for step in self.steps.values())

    def canonical(self) -> bytes:
        return json.dumps(self.source, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()[:32]

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Plan:
        """Raises Newer for a plan that says what this version does not know: what it leaves out would be left out of the run."""
        if source.get("schema", PLAN_SCHEMA) > PLAN_SCHEMA:
            raise Newer(f"a plan of version {source['schema']}; this worker knows {PLAN_SCHEMA}")
        retry = Retry.from_json(source["retry"]) if source.get("retry") is not None else None
        return cls(
            workflow=source["workflow"],
            version=source["version"],
            name=source["name"],
            root=_scope_from_json("", source["root"], retry),
            on_failure=source.get("onFailure", "stop"),
            retry=retry,
            timeout=source.get("timeout"),
            escalation=tuple(source.get("escalation", ())),
            thresholds=source.get("thresholds"),
            concurrency=source.get("concurrency"),
            metadata=source.get("metadata", {}),
            source=source,
        )


def _scope_from_json(scope_id: str, source: Mapping[str, Any], default: Retry | None) -> Scope:
    targets: dict[str, list[str]] = {}
    for step in source["steps"]:
        for edge in step.get("edges", ()):
            known = targets.setdefault(edge[0], [])
            if step["id"] not in known:
                known.append(step["id"])
    steps = {step["id"]: _step_from_json(step, tuple(targets.get(step["id"], ())), default) for step in source["steps"]}
    return Scope(scope_id, steps, source.get("output"), "output" in source, Named.from_json(source.get("named")))


def _step_from_json(source: Mapping[str, Any], targets: tuple[str, ...], default: Retry | None) -> Step:
    action, named = source["do"], Named.from_json(source.get("named"))
    retry = Retry.from_json(source["retry"]) if "retry" in source else default if action != "group" else None
    return Step(
        id=source["id"],
        index=source["n"],
        action=action,
        spec=source.get("spec"),
        given=source.get("with", {}),
        edges=tuple(Edge(name, on) for name, on in source.get("edges", ())),
        targets=targets,
        join=source.get("join", "all"),
        when=source.get("when"),
        for_each=source.get("forEach"),
        max_concurrency=source.get("maxConcurrency"),
        tolerate=source.get("tolerate"),
        repeat=source.get("repeat"),
        retry=retry,
        timeout=source.get("timeout"),
        heartbeat=source.get("heartbeat"),
        catch=tuple(source.get("catch", ())),
        compensate=source.get("compensate"),
        output=source.get("output"),
        has_output="output" in source,
        cache=source.get("cache"),
        concurrency=source.get("concurrency"),
        priority=source.get("priority", "normal"),
        needs=Needs.of(source["resources"], source.get("timeout")) if "resources" in source and action == "task" else None,
        named=named,
        item_named=Named.from_json(source["itemNamed"]) if "itemNamed" in source else named,
        compensate_reads=tuple(source.get("compensateReads", ())),
        inner=_scope_from_json(source["id"], source["scope"], default) if "scope" in source else None,
    )


# ------------------------------------------------------------------------------------------------ compiling


def compile_plan(document: Mapping[str, Any], expressions: Expressions) -> Plan:
    """The plan of a valid definition. Raises ExpressionFault, KeyError ... only for one that is not."""
    handling = _modern(document.get("errorHandling", {}))
    compiler = _Compiler(expressions)
    source: dict[str, Any] = {
        "schema": PLAN_SCHEMA,
        "workflow": document["id"],
        "version": document["version"],
        "name": document["name"],
        "root": compiler.scope(document),
    }
    optional = {
        "retry": handling.get("retry"),
        "onFailure": handling.get("onFailure"),
        "escalation": handling.get("escalation"),
        "thresholds": handling.get("thresholds"),
        "timeout": _ms(document.get("timeout")),
        "concurrency": document.get("concurrency"),
        "metadata": document.get("metadata"),
        "checkpoint": document.get("checkpoint", {}).get("every"),
        "input": document.get("input"),
    }
    source |= {key: value for key, value in optional.items() if value is not None}
    return Plan.from_json(source)


def _modern(handling: Mapping[str, Any]) -> dict[str, Any]:
    """`errorHandling` with the founding spec's names said in today's: retryAttempts counts the retries after the first attempt."""
    modern = dict(handling)
    if "retryAttempts" in handling or "backoffStrategy" in handling:
        retry = dict(modern.get("retry") or {})
        if "retryAttempts" in handling:
            retry.setdefault("maxAttempts", handling["retryAttempts"] + 1)
        if "backoffStrategy" in handling:
            retry.setdefault("backoff", handling["backoffStrategy"])
        modern["retry"] = retry
    if isinstance(handling.get("escalationPolicy"), list):
        modern.setdefault("escalation", handling["escalationPolicy"])
    if "errorThresholds" in handling:
        modern.setdefault("thresholds", handling["errorThresholds"])
    return modern


class _Compiler:
    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.count = 0

    def scope(self, source: Mapping[str, Any]) -> dict[str, Any]:
        steps = [self.step(step) for step in source["steps"]]
        edges = _edges(source)
        for step in steps:
            if edges[step["id"]]:
                step["edges"] = edges[step["id"]]
        compiled: dict[str, Any] = {"steps": steps}
        if "output" in source:
            compiled["output"] = source["output"]
            compiled["named"] = self.named([hole.text for hole in holes(source["output"])], list(edges))
        return compiled

    def step(self, source: Mapping[str, Any]) -> dict[str, Any]:
        action = next(action for action in ACTIONS if action in source)
        step: dict[str, Any] = {"id": source["id"], "n": self.count, "do": action}
        self.count += 1
        if action == "group":
            step["scope"] = self.scope(source["group"])
        else:
            step["spec"] = source[action]
        step |= {key: source[key] for key in KEPT if key in source}
        step |= {key: _ms(source[key]) for key in ("timeout", "heartbeat") if key in source}
        named = self.named([*of_whole(source), *of_item(source)])
        if named["roots"]:
            step["named"] = named
        if "forEach" in source or "repeat" in source:
            step["itemNamed"] = self.named(list(of_item(source)))
        if "compensate" in source:
            step["compensateReads"] = self.named([hole.text for hole in holes(source["compensate"])])["steps"]
        return step

    def named(self, texts: Iterable[str], every_step: Iterable[str] = ()) -> dict[str, list[str]]:
        """What the expressions name. `steps[x]`: the ones it may mean are not known before it runs."""
        steps: set[str] = set()
        roots: set[str] = set()
        for text in texts:
            found = self.expressions.references(text)
            steps |= found.steps
            roots |= found.roots
            if found.steps_dynamic:
                steps |= {"*", *every_step}
        return {"steps": sorted(steps), "roots": sorted(roots)}


def of_whole(step: Mapping[str, Any]) -> Iterator[str]:
    """Expressions that are evaluated for a step as a whole."""
    bare = [step.get("when"), step.get("forEach")]
    bare += [(step.get("repeat") or {}).get(key) for key in ("while", "until")]
    yield from (text for text in bare if isinstance(text, str))
    for entry in step.get("catch", ()):
        yield from (hole.text for hole in holes(entry.get("output")))


def of_item(step: Mapping[str, Any]) -> Iterator[str]:
    """Expressions of the action, evaluated for each item or iteration."""
    bare = [(step.get(owner) or {}).get("key") for owner in ("cache", "concurrency")]
    if isinstance(step.get("wait"), dict):
        bare.append(step["wait"].get("until"))
    bare += [case.get("when") for case in step.get("switch", ())]
    yield from (text for text in bare if isinstance(text, str))
    for key in ("with", "set", "fail", "workflow", "emit", "approval", "output"):
        yield from (hole.text for hole in holes(step.get(key)))


def _edges(source: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """step id -> its incoming edges [source, on], each once."""
    edges: dict[str, list[list[str]]] = {step["id"]: [] for step in source["steps"]}

    def add(target: str, edge: list[str]) -> None:
        if edge not in edges[target]:
            edges[target].append(edge)

    for step in source["steps"]:
        for entry in step.get("after", ()):
            add(step["id"], [entry, PLAIN] if isinstance(entry, str) else [entry["step"], entry.get("on", PLAIN)])
    for target, sources in source.get("dependencies", {}).items():
        known = {name for name, _ in edges[target]}
        for name in sources:
            if name not in known:
                add(target, [name, PLAIN])
    for step in source["steps"]:
        for target in chosen_targets(step):
            add(target, [step["id"], CHOSEN])
    return edges


def chosen_targets(step: Mapping[str, Any]) -> Iterator[str]:
    """Steps that a `switch` or a `catch` of this step names."""
    for case in step.get("switch", ()):
        named = case.get("then", case.get("else"))
        yield from [named] if isinstance(named, str) else named or ()
    for entry in step.get("catch", ()):
        if "then" in entry:
            yield entry["then"]


def _ms(duration: Any) -> int | None:
    return None if duration is None else parse_duration(duration)
