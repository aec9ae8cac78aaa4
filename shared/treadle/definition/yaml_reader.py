"""YAML 1.2 core with the place of every key and value, built straight from the parser's events.

Nothing is composed, resolved or expanded: anchors, aliases, merge keys, tags, further documents and keys that are not
strings are refused as their events pass by, so that a bomb costs no more than its own text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from .diagnostics import Code, Fault, Path, shown
from .document import MAX_DEPTH, Document, Unreadable, to_number
from .marks import Marks
from .slips import of_tag, of_yaml

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it was built in: twenty times faster, same events
MAX_FAULTS = 100  # of reading; more say nothing new

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAY_BE_NUMBER = frozenset("+-.0123456789")


def read_yaml(text: str) -> Document:
    """The document, or as much of a fault list as could be found (a syntax fault ends the reading)."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            builder.take(event)
        value, marks = builder.document()
    except Unreadable as unreadable:
        return Document(None, text, None, (*builder.faults, unreadable.fault))
    except yaml.YAMLError as error:
        return Document(None, text, None, (*builder.faults, _syntax(error, text)))
    return Document(value, text, marks, tuple(builder.faults))


def resolve(text: str) -> Any:
    """A plain scalar by the core schema: `no`, `on` and `12:30:00` are strings. Raises ValueError for numbers that JSON has not."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] in _MAY_BE_NUMBER:
        if _INT.fullmatch(text):
            return to_number(text)
        if _FLOAT.fullmatch(text):
            return to_number(text, is_whole=False)
        if _BASED.fullmatch(text):
            return to_number(str(int(text, 0)) if len(text) < 40 else "9" * 40)
        if _NOT_FINITE.fullmatch(text):
            raise ArithmeticError(f"{text} is no JSON number")
    return text


@dataclass(slots=True)
class _Open:
    """A map or list that has begun and not ended. `key`: the one whose value comes next (maps), None: a key comes next."""

    value: dict[str, Any] | list[Any]
    marks: tuple[int, Any]
    key: str | None = None
    key_index: int = 0
    is_repeated: bool = False  # the value of a key that was there already is read and dropped


@dataclass(slots=True)
class _Builder:
    faults: list[Fault] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    root: tuple[Any, Marks] | None = None

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._check_node(event)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._check_node(event)
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            ended = self.stack.pop()
            self._attach(ended.value, ended.marks)
        elif isinstance(event, yaml.AliasEvent):
            self._fault(
                Code.UNSAFE_YAML, "aliases are not allowed: write the value out", event, "a text that begins with `*` stands in quotes"
            )
            self._attach_or_key(None, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document_start(event)

    def document(self) -> tuple[Any, Marks]:
        if self.root is None:
            raise Unreadable(Fault(Code.SYNTAX, "the document is empty", index=0))
        return self.root

    def _document_start(self, event: yaml.DocumentStartEvent) -> None:
        if event.tags:
            self._fault(Code.UNSAFE_YAML, "tags are not allowed", event)
        if self.root is not None:
            raise Unreadable(Fault(Code.UNSAFE_YAML, "one document per file: this is a second one", index=_index(event)))

    def _check_node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._fault(Code.UNSAFE_YAML, f"anchors are not allowed (&{event.anchor[:40]})", event)
        if event.tag is not None:
            self._fault(Code.UNSAFE_YAML, f"tags are not allowed ({event.tag[:60]})", event, of_tag(event.tag))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        is_plain = event.style is None or event.style == ""
        awaits_key = self._awaits_key()
        if awaits_key and is_plain and event.value == "<<":
            self._fault(Code.UNSAFE_YAML, "merge keys are not allowed: write the keys out", event)
        value: Any = event.value
        if is_plain:
            try:
                value = resolve(event.value)
            except ArithmeticError as error:
                self._fault(Code.SYNTAX, str(error), event)
            except ValueError as error:
                self._fault(Code.BAD_VALUE, str(error), event)
                value = None
        self._attach_or_key(value, event)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        index = _index(event)
        if self._awaits_key():
            raise Unreadable(Fault(Code.UNSAFE_YAML, "a key is a string, not a map or a list", self._here(), index=index))
        if len(self.stack) >= MAX_DEPTH:
            raise Unreadable(Fault(Code.LIMIT_EXCEEDED, f"nested deeper than {MAX_DEPTH}", self._here(), index=index))
        is_map = isinstance(event, yaml.MappingStartEvent)
        self.stack.append(_Open({}, (index, {})) if is_map else _Open([], (index, [])))

    def _awaits_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def _attach_or_key(self, value: Any, event: yaml.Event) -> None:
        if not self._awaits_key():
            self._attach(value, _index(event))
            return
        if not isinstance(value, str):
            if isinstance(event, yaml.ScalarEvent):
                self._fault(Code.UNSAFE_YAML, "a key is a string", event, f"in quotes: {shown(event.value)}")
            value = str(value)
        around = self.stack[-1]
        around.key, around.key_index, around.is_repeated = value, _index(event), value in around.value
        if around.is_repeated:
            self._fault(Code.DUPLICATE_KEY, f"the key {shown(value)} is there already", event)

    def _attach(self, value: Any, marks: Marks) -> None:
        if not self.stack:
            self.root = (value, marks)
            return
        around = self.stack[-1]
        if isinstance(around.value, list):
            around.value.append(value)
            around.marks[1].append(marks)
        elif around.key is not None:
            if not around.is_repeated:
                around.value[around.key] = value
                around.marks[1][around.key] = (around.key_index, marks)
            around.key = None

    def _fault(self, code: Code, message: str, event: yaml.Event, hint: str | None = None) -> None:
        fault = Fault(code, message, self._here(), hint, index=_index(event))
        if len(self.faults) >= MAX_FAULTS:
            raise Unreadable(fault)
        self.faults.append(fault)

    def _here(self) -> Path:
        """The path of the node that comes next."""
        parts: list[str | int] = []
        for around in self.stack:
            if isinstance(around.value, list):
                parts.append(len(around.value))
            elif around.key is not None:
                parts.append(around.key)
        return tuple(parts)


def _index(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _syntax(error: yaml.YAMLError, text: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        problem = getattr(error, "problem", None) or "cannot be read as YAML"
        context = getattr(error, "context", None)
        began = getattr(error, "context_mark", None)
        message = f"{context}: {problem}" if context else str(problem)
        is_noticed_late = not text[mark.index :].strip() or problem == "could not find expected ':'"
        if began is not None and is_noticed_late:  # at the end of the text, or in a line below, there is nothing to see
            late = of_yaml(str(problem), text, mark.index) or "what begins here does not end"
            return Fault(Code.SYNTAX, message, hint=late, index=began.index)
        hint = of_yaml(str(problem), text, mark.index) or _beginning(mark, began)
        return Fault(Code.SYNTAX, message, hint=hint, index=mark.index)
    # A character that YAML does not allow: the reader knows its position only.
    position = getattr(error, "position", 0)
    return Fault(Code.SYNTAX, str(getattr(error, "reason", "cannot be read as YAML")), index=position if isinstance(position, int) else 0)


def _beginning(mark: yaml.Mark, began: yaml.Mark | None) -> str | None:
    if began is None or began.line == mark.line:
        return None
    return f"it began in line {began.line + 1}, column {began.column + 1}"
