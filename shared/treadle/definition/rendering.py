"""Diagnostics for people (as a good compiler says it), for programs (JSON), for code scanners (SARIF 2.1.0) and for GitHub."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .diagnostics import MAX_PER_CODE, MEANING, WARNINGS, Diagnostic, Severity
from .marks import Lines

_WIDTH = 160  # characters of a source line that are shown


def to_text(diagnostics: Sequence[Diagnostic], text: str | None = None, file: str = "definition", *, colour: bool = False) -> str:
    """Each fault with `file:line:column`, the line, a caret and the hint. `text`: the document; None shows no lines."""
    lines = Lines(text) if text is not None else None
    parts = [_one(diagnostic, lines, text or "", file, colour) for diagnostic in diagnostics]
    return "\n\n".join([*parts, summary(diagnostics)]) if parts else ""


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`; where not all are told, `at least`."""
    counts = [(sum(d.severity is severity for d in diagnostics), severity.value) for severity in Severity]
    told = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count) or "no faults"
    is_cut = max(Counter(diagnostic.code for diagnostic in diagnostics).values(), default=0) >= MAX_PER_CODE
    return f"at least {told}: of one code no more than {MAX_PER_CODE} are told" if is_cut else told


def _one(diagnostic: Diagnostic, lines: Lines | None, text: str, file: str, colour: bool) -> str:
    paint = _paint if colour else _plain
    place = f"{file}:{diagnostic.line}:{diagnostic.column}" if diagnostic.line else f"{file}#{diagnostic.path}".removesuffix("#")
    tone = "33" if diagnostic.severity is Severity.WARNING else "31"
    rows = [f"{place}: {paint(diagnostic.severity.value, tone)}: {diagnostic.message} [{diagnostic.code}]"]
    if lines is not None and diagnostic.line and diagnostic.column:
        rows += _excerpt(lines.text_of(diagnostic.line, text), diagnostic.line, diagnostic.column)
    if diagnostic.hint:
        rows.append(f"  {paint('hint', '36')}: {diagnostic.hint}")
    return "\n".join(rows)


def _excerpt(line: str, number: int, column: int) -> list[str]:
    """The source line with a caret under the column; of a very long line the part around it."""
    first = max(0, column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    part = line[first : first + _WIDTH].rstrip()
    gutter = f"{number:>5} | "
    printable = part if part.isprintable() else "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in part)
    before = column - 1 - first
    blank = "".join(map(_blank, printable[:before])) + " " * (before - len(printable))
    return [gutter + printable, " " * (len(gutter) - 2) + "| " + blank + "^"]


def _blank(char: str) -> str:
    """As wide as the character is shown: a tab is kept, an East Asian one or an emoji takes two cells, an accent of its own none."""
    if char == "\t":
        return char
    return "  " if unicodedata.east_asian_width(char) in "WF" else "" if unicodedata.category(char) in ("Mn", "Me") else " "


def _paint(text: str, tone: str) -> str:
    return f"\x1b[1;{tone}m{text}\x1b[0m"


def _plain(text: str, tone: str) -> str:
    return text


def to_json(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """`{"valid": ..., "diagnostics": [...]}`."""
    is_valid = all(diagnostic.severity is not Severity.ERROR for diagnostic in diagnostics)
    return {"valid": is_valid, "diagnostics": [diagnostic.model_dump(mode="json") for diagnostic in diagnostics]}


# ------------------------------------------------------------------------------------------------ SARIF


def to_sarif(files: Sequence[tuple[str, Sequence[Diagnostic]]], version: str = "0") -> dict[str, Any]:
    """One run over all files. `files`: (path, its diagnostics); a scanner takes a relative path from the root of the repository."""
    used = sorted({diagnostic.code for _, diagnostics in files for diagnostic in diagnostics})
    rules = [
        {
            "id": code.value,
            "shortDescription": {"text": MEANING[code]},
            "defaultConfiguration": {"level": "warning" if code in WARNINGS else "error"},
        }
        for code in used
    ]
    results = [_result(file, diagnostic, used.index(diagnostic.code)) for file, diagnostics in files for diagnostic in diagnostics]
    driver = {"name": "treadle", "version": version, "rules": rules}
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(file: str, diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if diagnostic.line and diagnostic.column:
        place["region"] = {"startLine": diagnostic.line, "startColumn": diagnostic.column}
    logical = {"fullyQualifiedName": diagnostic.path or "/"}
    return {
        "ruleId": diagnostic.code.value,
        "ruleIndex": rule,
        "level": diagnostic.severity.value,
        "message": {"text": _with_hint(diagnostic)},
        "locations": [{"physicalLocation": place, "logicalLocations": [logical]}],
    }


def _uri(file: str) -> str:
    path = quote(file.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path


def _with_hint(diagnostic: Diagnostic) -> str:
    return diagnostic.message + (f" ({diagnostic.hint})" if diagnostic.hint else "")


# ------------------------------------------------------------------------------------------------ GitHub


def to_github(diagnostics: Sequence[Diagnostic], file: str) -> str:
    """Workflow commands, one a line: GitHub Actions shows them as annotations of the file."""
    return "\n".join(_annotation(diagnostic, file) for diagnostic in diagnostics)


def _annotation(diagnostic: Diagnostic, file: str) -> str:
    fields = {"file": file, "title": f"treadle {diagnostic.code}"}
    if diagnostic.line:
        fields |= {"line": str(diagnostic.line), "col": str(diagnostic.column)}
    properties = ",".join(f"{key}={_escaped(value, is_property=True)}" for key, value in fields.items())
    return f"::{diagnostic.severity} {properties}::{_escaped(_with_hint(diagnostic))}"


def _escaped(text: str, *, is_property: bool = False) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if is_property else escaped
