"""A definition in, everything that is wrong with it out: reading, structure, steps, edges, expressions, warnings, in one go.

Rule: a fault in one place never hides one in another. Only what cannot be read at all ends the checks early.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.expressions import Expressions
from ..core.resources import LAMBDA_SIZES, Pool
from ..regexes import Regexes
from .advice import warnings
from .cycles import cycle_faults, in_order
from .diagnostics import Code, Diagnostic, Fault, Path, Severity, kind
from .document import Document
from .graph import Graph, build
from .known import Known
from .order import Ended
from .reading import Source, read
from .references import ReferenceCheck
from .steps import StepCheck
from .structure import structure_faults


@dataclass(frozen=True, slots=True)
class Checked:
    """`document`: the definition as plain JSON data, None if there is any error. `text`: what was read, None for data."""

    document: dict[str, Any] | None
    diagnostics: tuple[Diagnostic, ...]
    text: str | None = None

    @property
    def is_valid(self) -> bool:
        return self.document is not None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.severity is Severity.ERROR)


class Checker:
    """Checks definitions against what this engine can do.

    `tasks`: the names of the tasks there are; None accepts any name. `pools`: the worker pools that `resources` choose from.
    `targets`: whom `notify` of an escalation may name; None: anybody.
    """

    def __init__(
        self,
        tasks: Container[str] | None,
        expressions: Expressions,
        pools: Sequence[Pool] = LAMBDA_SIZES,
        targets: Collection[str] | None = None,
    ) -> None:
        self._expressions = expressions
        self._steps = (tasks, tuple(pools))
        self._targets = targets

    def check(self, source: Source) -> Checked:
        """Every fault of a definition: text (JSON or YAML), bytes, a path, or data. Raises OSError for a file that cannot be read."""
        read_document = read(source)
        faults = list(read_document.faults)
        if read_document.is_readable:
            faults += _visible(read_document, self._faults(read_document.value))
        diagnostics = read_document.diagnose(faults)
        has_error = any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
        return Checked(None if has_error else read_document.value, diagnostics, read_document.text)

    def _faults(self, value: Any) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield Fault(Code.BAD_TYPE, f"a definition is a map, not {kind(value)}")
            return
        graph = build(value)
        if graph.is_too_large:
            yield from graph.faults
            return
        regexes = Regexes()
        yield from structure_faults(value, regexes=regexes)
        yield from graph.faults
        yield from StepCheck(*self._steps).faults(graph)
        yield from self._order_faults(value, graph, regexes)

    def _order_faults(self, value: dict[str, Any], graph: Graph, regexes: Regexes) -> Iterator[Fault]:
        order = []
        for scope in graph.scopes:
            ordered = in_order(scope)
            order += ordered
            yield from cycle_faults(scope, ordered)
        known = Known(value, graph, self._steps[0])
        yield from ReferenceCheck(graph, Ended(order), self._expressions, known, regexes).faults(value)
        yield from warnings(value, graph, order, self._targets)


def _visible(document: Document, faults: Iterator[Fault]) -> Iterator[Fault]:
    """Without what is said of a value that could not be read: that it cannot be read has been told."""
    unread: set[Path] = {fault.path for fault in document.faults if fault.code is Code.BAD_VALUE}
    return (fault for fault in faults if fault.at_key or fault.path not in unread)
