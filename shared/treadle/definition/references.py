"""Every expression of a document: whether it parses, whether the names it uses exist there, and whether the steps it reads
have surely ended by then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..core.errors import ExpressionFault
from ..core.expressions import Expressions, Hole, Patience, References, split
from ..regexes import TOO_MANY, Regexes, RegexFault
from .diagnostics import MAX_PER_CODE, Code, Fault, Path, shown
from .graph import Graph, Node, Scope
from .known import Known
from .order import Ended, around_in
from .places import Place, document_places, group_place, node_places, run_output_place
from .spelling import Speller

MAX_EXPRESSION_BYTES = 4096
_OF_THE_LANGUAGE = re.compile(r"run|steps\.[A-Za-z0-9_]+")  # what these have is no schema's to say
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.+=@-]{0,127}")

_WHERE = {
    "item": "`item` exists only inside `forEach` (not in the step's own `when`, `forEach`, `catch` and `compensate`)",
    "index": "`index` exists only inside `forEach` (not in the step's own `when`, `forEach`, `catch` and `compensate`)",
    "iteration": "`iteration` exists only inside `repeat`",
    "previous": "`previous` exists only inside `repeat`",
    "result": "`result` exists only in the `output` of a step",
    "output": "`output` exists only in `compensate`; the output of a step is `steps.ID.output`",
    "error": "`error` exists only in the `output` of a `catch` and in `compensate`; the error of a step is `steps.ID.error`",
    "secrets": "secrets can only be used inside `with`",
    "event": "`event` exists only in the `input` of a trigger",
    "steps": "no step has run when this is evaluated",
    "input": "there is no run yet when this is evaluated",
    "run": "there is no run yet when this is evaluated",
}


@dataclass(frozen=True, slots=True)
class _Expression:
    """One expression with where it begins in the string at `path`."""

    text: str
    path: Path
    offset: int

    def place_of(self, pattern: str) -> int:
        """Where what is written so (its group, if it has one) stands in the string at `path`, outside of texts; where nothing is
        found, the expression."""
        seen = re.search(pattern, _QUOTED.sub(lambda quoted: " " * len(quoted[0]), self.text))
        return self.offset + (seen.start(seen.lastindex or 0) if seen else 0)


class ReferenceCheck:
    """Parses each distinct expression once."""

    def __init__(self, graph: Graph, ended: Ended, expressions: Expressions, known: Known, regexes: Regexes) -> None:
        self._graph = graph
        self._ended = ended
        self._expressions = expressions
        self._known = known
        self._regexes = regexes
        self._patience = Patience()
        self._bad = 0  # distinct expressions that cannot be parsed
        self._parsed: dict[str, References | ExpressionFault] = {}
        self._speller = Speller(graph.by_id)
        self._fields = Speller()
        self._names = Speller()
        self._placed: set[Fault] = set()  # each once of a string, and no more than will be told: looking for them takes time

    def faults(self, document: dict[str, Any]) -> Iterator[Fault]:
        for place in document_places(document):
            yield from self._check(place, None, None)
        yield from self._check(run_output_place(document), None, self._graph.scopes[0])
        for scope in self._graph.scopes:
            if scope.owner is not None:
                yield from self._check(group_place(scope), scope.owner, scope)
            for node in scope.nodes:
                for place in node_places(node):
                    yield from self._check(place, node, None)

    def _check(self, place: Place, node: Node | None, ended_scope: Scope | None) -> Iterator[Fault]:
        """`node`: the step whose expressions these are; `ended_scope`: a scope all of whose steps have ended by then."""
        for found in _expressions_in(place):
            if isinstance(found, Fault):
                yield found
                continue
            if len(found.text) * 4 > MAX_EXPRESSION_BYTES and len(found.text.encode("utf-8")) > MAX_EXPRESSION_BYTES:
                yield Fault(Code.LIMIT_EXCEEDED, f"an expression has at most {MAX_EXPRESSION_BYTES} bytes", found.path)
                continue
            parsed = self._parse(found.text)
            if parsed is None:
                continue
            if isinstance(parsed, ExpressionFault):
                yield self._bad_expression(found, parsed, place.is_bare)
                continue
            yield from self._unknown_names(found, parsed, place)
            if "secrets" in place.names:
                yield from _bad_secrets(found, parsed)
            if "steps" in place.names:
                for step_id in sorted(parsed.steps):
                    for fault in self._check_step(step_id, found.path, node, ended_scope, place):
                        yield from self._at_its_place(fault, found, rf"\bsteps\s*\.\s*{re.escape(step_id)}\b")
            yield from self._mismatches(found, parsed, node, place)

    def _mismatches(self, found: _Expression, parsed: References, node: Node | None, place: Place) -> Iterator[Fault]:
        schemas = self._known.at(place, node, parsed.roots & place.names, parsed.steps)
        for fault in self._expressions.mismatches(found.text, schemas, self._patience) if schemas else ():
            hint = self._fields.hint(fault.name, fault.known) if fault.name else None
            code = Code.UNKNOWN_REFERENCE if fault.name and _OF_THE_LANGUAGE.fullmatch(fault.path) else Code.SCHEMA_MISMATCH
            yield from self._at_its_place(Fault(code, fault.message, found.path, hint), found, _field_pattern(fault.path, fault.name))

    def _parse(self, text: str) -> References | ExpressionFault | None:
        """None: so many others cannot be parsed that nobody would be told of this one."""
        parsed = self._parsed.get(text)
        if parsed is None and self._bad < MAX_PER_CODE:
            try:
                parsed = self._references(text)
            except ExpressionFault as fault:
                parsed = fault
                self._bad += 1
            self._parsed[text] = parsed
        return parsed

    def _references(self, text: str) -> References:
        """Raises ExpressionFault."""
        if self._regexes.is_spent and "matches" in text:
            raise ExpressionFault(TOO_MANY, 1)
        try:
            found = self._expressions.references(text)
        except ExpressionFault as fault:
            if isinstance(fault.__cause__, RegexFault):
                self._regexes.refused()
            raise
        try:
            self._regexes.spend(found.in_regexes)
        except RegexFault as too_many:
            raise ExpressionFault(str(too_many), 1) from None
        return found

    def _bad_expression(self, found: _Expression, fault: ExpressionFault, is_bare: bool) -> Fault:
        from .slips import of_expression  # on demand, as above

        at = max((fault.column or 1) - 1, 0)
        hint = of_expression(found.text, at, fault.message, self._names, is_bare=is_bare)
        return Fault(Code.BAD_EXPRESSION, fault.message, found.path, hint, offset=found.offset + at)

    def _unknown_names(self, found: _Expression, parsed: References, place: Place) -> Iterator[Fault]:
        for name in sorted(parsed.roots - place.names):
            from .slips import of_name  # on demand: most expressions have no slip

            hint = _WHERE.get(name) or of_name(name, self._graph.by_id, place.names) or self._names.hint(name, sorted(place.names))
            fault = Fault(Code.UNKNOWN_REFERENCE, f"there is no `{name[:60]}` here", found.path, hint)
            yield from self._at_its_place(fault, found, rf"(?<![\w.]){re.escape(name)}\b")

    def _at_its_place(self, fault: Fault, found: _Expression, pattern: str) -> Iterator[Fault]:
        if len(self._placed) == MAX_PER_CODE:
            yield fault
        elif fault not in self._placed:
            self._placed.add(fault)
            yield replace(fault, offset=found.place_of(pattern))

    def _check_step(self, step_id: str, path: Path, node: Node | None, ended_scope: Scope | None, place: Place) -> Iterator[Fault]:
        target = self._graph.by_id.get(step_id)
        if target is None:
            yield Fault(Code.UNKNOWN_REFERENCE, f"there is no step `{step_id}`", path, self._speller.hint(step_id))
        elif target.scope is ended_scope or (place.is_after_step and target is node):
            return
        elif node is None or (around := around_in(node, target)) is None:
            owner = target.scope.owner
            hint = f"only its output can be seen from here: `steps.{owner.id}.output`" if owner else None
            yield Fault(Code.UNKNOWN_REFERENCE, f"`{step_id}` stands inside the group `{owner.id if owner else ''}`", path, hint)
        elif not self._ended.has(around, target):
            yield _unordered(around, target, path, node)


def _field_pattern(path: str, name: str) -> str:
    """Of a field as it is written: the name behind the path. What has no path is not looked for."""
    parts = [rf"{re.escape(part)}\s*\.\s*" for part in path.split(".")] if name else []
    return rf"(?<![\w.]){''.join(parts)}({re.escape(name)})\b" if parts else r"(?!)"


def _expressions_in(place: Place) -> Iterator[_Expression | Fault]:
    if place.is_bare:
        if isinstance(place.value, str):
            yield _Expression(place.value, place.path, 0)
        return
    for path, text in _strings(place.path, place.value):
        if "${" not in text:
            continue
        try:
            yield from (_Expression(piece.text, path, piece.offset) for piece in split(text) if isinstance(piece, Hole))
        except ExpressionFault as fault:
            yield Fault(Code.BAD_EXPRESSION, fault.message, path, offset=(fault.column or 1) - 1)


def _strings(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Every string in a template, without recursion: templates may be deep."""
    todo = [(path, value)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            todo += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            todo += [((*path, number), inner) for number, inner in reversed(list(enumerate(value)))]


def _bad_secrets(found: _Expression, parsed: References) -> Iterator[Fault]:
    """Which secrets a definition uses is written in it: no value can ask for another one."""
    if parsed.secrets_dynamic:
        yield Fault(Code.BAD_EXPRESSION, "a secret is named, not computed", found.path, "write `secrets.NAME`", offset=found.offset)
    for name in sorted(name for name in parsed.secrets if not _SECRET_NAME.fullmatch(name)):
        hint = "letters, digits and `_.+=@-`, a letter or `_` first"
        yield Fault(Code.BAD_EXPRESSION, f"{shown(name)} cannot be the name of a secret", found.path, hint, offset=found.offset)


def _unordered(around: Node, target: Node, path: Path, node: Node) -> Fault:
    if around is target:
        what = "its own step" if node is target else f"the group `{target.id}` that it stands in"
        return Fault(Code.UNORDERED_REFERENCE, f"this reads {what}, which has not ended by then", path)
    hint = f"write `after: [{target.id}]` in `{around.id}`"
    return Fault(Code.UNORDERED_REFERENCE, f"`{around.id}` does not surely come after `{target.id}`", path, hint)
