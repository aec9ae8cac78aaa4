"""Reading: strict JSON, YAML 1.2 core, encodings, sizes; and that bombs cost nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from treadle.definition import Checked, Checker
from treadle.definition.reading import read
from treadle.definition.yaml_reader import resolve

JSON = [
    ('{"a": NaN}', "syntax", (1, 7)),
    ('{"a": Infinity}', "syntax", (1, 7)),
    ('{"a": -Infinity}', "syntax", (1, 7)),
    ('{"a": 1,}', "syntax", (1, 9)),
    ('{"a" 1}', "syntax", (1, 6)),
    ('{a: 1}', "syntax", (1, 2)),
    ("{'a': 1}", "syntax", (1, 2)),
    ('{"a": [1 2]}', "syntax", (1, 10)),
    ('{"a": 01}', "syntax", (1, 8)),
    ('{"a": .5}', "syntax", (1, 7)),
    ('{"a": 1.}', "syntax", (1, 8)),
    ('{"a": "x\ny"}', "syntax", (1, 9)),
    ('{"a": "\\x41"}', "syntax", (1, 8)),
    ('{"a": "open', "syntax", (1, 7)),
    ('{"a": 1}\n{}', "syntax", (2, 1)),
    ('{"a": "\\ud800"}', "syntax", (1, 7)),
    ('{"a":', "syntax", (1, 6)),
    ("{", "syntax", (1, 2)),
    ('{"a": 1,\n "a": 2}', "duplicate-key", (2, 2)),
    ('{"a": {"b": 1, "\\u0062": 2}}', "duplicate-key", (1, 16)),
    ('{"a": 9223372036854775808}', "bad-value", (1, 7)),
    ('{"a": -9223372036854775809}', "bad-value", (1, 7)),
    ('{"a": ' + "9" * 10_000 + "}", "bad-value", (1, 7)),
    ('{"a": 1e999}', "bad-value", (1, 7)),
    ('{"a":' * 129 + "1" + "}" * 129, "limit-exceeded", (1, 641)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place"), [pytest.param(*case, id=case[0][:40]) for case in JSON])
def test_json_is_read_strictly(text: str, code: str, place: tuple[int, int]) -> None:
    document = read(text)

    assert [(d.code.value, (d.line, d.column)) for d in document.diagnose(document.faults)] == [(code, place)]


def test_json_is_read_as_json_reads_it() -> None:
    value = {"a": [1, -0, 1.5, -2e-3, 9223372036854775807, -9223372036854775808, True, False, None, 'é😀\n"\\/', {}, []], "": {"b": "\x00"}}

    for text in (json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False)):
        assert read(text).value == value


CORE = {
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "12:30:00": "12:30:00", "2026-01-01": "2026-01-01", "1_000": "1_000",
    "0b1": "0b1",
    "true": True, "True": True, "FALSE": False, "tRue": "tRue", "null": None, "~": None, "Null": None, "nUll": "nUll",
    "1": 1, "-1": -1, "+1": 1, "007": 7, "0o17": 15, "0x1F": 31, "0X1F": "0X1F", "1.5": 1.5, "1e3": 1000.0, ".5": 0.5, "1.": 1.0,
    "-.5e-1": -0.05,
    ".": ".", "-": "-", "+": "+", "1e": "1e", "e3": "e3", "1.2.3": "1.2.3", ".inf.": ".inf.", "-9223372036854775808": -(2**63), "٣": "٣",
}  # fmt: skip


@pytest.mark.parametrize("text", CORE)
def test_a_plain_scalar_is_resolved_by_the_core_schema(text: str) -> None:
    resolved = resolve(text)

    assert (resolved, type(resolved)) == (CORE[text], type(CORE[text]))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param('{"steps": [1, ]}', "the comma before it is one too many", id="a comma before the end"),
        pytest.param("{'id': 1}", "JSON has double quotes only", id="single quotes"),
        pytest.param('{"id": // the id\n"w"}', "JSON has no comments; a definition in YAML may have some", id="a comment"),
        pytest.param('{"id": }', None, id="anything else"),
    ],
)
def test_what_is_usual_elsewhere_is_told_to_be_no_json(checker: Checker, text: str, hint: str | None) -> None:
    (told,) = checker.check(text).diagnostics

    assert (told.code.value, told.hint) == ("syntax", hint)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        pytest.param(b"id: w\nname: \xff\n", (2, 7), id="not UTF-8"),
        pytest.param("id: w".encode("utf-16"), (1, 1), id="UTF-16"),
        pytest.param(b"\xef\xbb\xbfid: w\n", (1, 1), id="a byte order mark"),
        pytest.param("id: \ud800", (1, 5), id="half of a surrogate pair"),
        pytest.param("id: w\nname: \x07\n", (2, 7), id="a control character"),
        pytest.param("", (1, 1), id="nothing"),
        pytest.param("# nothing\n", (1, 1), id="only a comment"),
    ],
)
def test_what_is_no_text_is_a_syntax_fault(checker: Checker, content: str | bytes, place: tuple[int, int]) -> None:
    (told,) = checker.check(content).diagnostics

    assert (told.code.value, (told.line, told.column)) == ("syntax", place)


@pytest.mark.parametrize("content", ["just text", "[]", "- a\n- b\n", "5", "null"])
def test_a_document_is_a_map(checker: Checker, content: str) -> None:
    (told,) = checker.check(content).diagnostics

    assert (told.code.value, told.path) == ("bad-type", "")


def _laughs() -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    return "\n".join(lines + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)])


def _itself() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["steps"] = [data, data]
    return data


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param(_laughs(), "unsafe-yaml", id="a billion laughs"),
        pytest.param("[" * 500_000, "limit-exceeded", id="brackets in YAML"),
        pytest.param('{"a":' + "[" * 500_000, "limit-exceeded", id="brackets in JSON"),
        pytest.param("- " * 400_000, "limit-exceeded", id="lists in lists"),
        pytest.param("a: " + "x" * 1_100_000, "limit-exceeded", id="more than a megabyte"),
        pytest.param("a: " + "é" * 600_000, "limit-exceeded", id="more than a megabyte in UTF-8"),
        pytest.param(b"x" * 1_100_000, "limit-exceeded", id="more than a megabyte of bytes"),
        pytest.param({"a": "x" * 1_100_000}, "limit-exceeded", id="more than a megabyte of data"),
        pytest.param(_itself(), "limit-exceeded", id="data that holds itself"),
    ],
)
def test_what_is_too_much_is_refused_at_once(checker: Checker, source: Any, code: str) -> None:
    started = time.process_time()
    checked = checker.check(source)

    assert {d.code.value for d in checked.errors} == {code}
    assert time.process_time() - started < 10  # a bomb would take minutes


HOSTILE = {
    "holes behind escapes": 'steps: [{id: a, set: "' + "\\n${]}" * 100_000 + '"}]\n',
    "holes in a block": "steps:\n  - id: a\n    set: |\n" + "      ${]}\n" * 60_000,
    "blanks before a hole": "steps: [{id: a, set: '" + " " * 900_000 + "${]}'}]\n",
    "keys that do not exist": "steps:\n  - id: a\n    set: 1\n" + "".join(f"    k{n}: 1\n" for n in range(60_000)),
    "steps that are none": "steps:\n" + "  - 1\n" * 9_999,
    "sources that do not exist": "steps:\n" + "".join(f"  - {{id: s{n}, set: 1, after: [x{n}]}}\n" for n in range(9_000)),
    "steps in a ring": "steps:\n" + "".join(f"  - {{id: s{n}, set: 1, after: [s{(n + 1) % 9_000}]}}\n" for n in range(9_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_faults_takes_seconds(check: Callable[[Any], Checked], name: str) -> None:
    started = time.process_time()

    assert check(HOSTILE[name]).errors
    assert time.process_time() - started < 60  # about 1 s on one quiet core; what grows with the square would take minutes


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param({"id": float("nan")}, "syntax", id="NaN"),
        pytest.param({"id": {1: 2}}, "unsafe-yaml", id="a key that is no string"),
        pytest.param({"id": 2**63}, "bad-value", id="65 bits"),
        pytest.param({"id": {1, 2}}, "syntax", id="a set"),
        pytest.param({"id": "\ud800"}, "syntax", id="half of a surrogate pair"),
        pytest.param(["a"], "bad-type", id="a list"),
        pytest.param(None, "bad-type", id="nothing"),
    ],
)
def test_data_must_be_json(checker: Checker, data: Any, code: str) -> None:
    assert code in {d.code.value for d in checker.check(data).errors}


def test_after_a_duplicate_key_the_checks_go_on(check: Callable[[Any], Checked]) -> None:
    checked = check("name: again\nsteps: [{id: a, task: nobody}]\n")

    assert [d.code.value for d in checked.errors] == ["duplicate-key", "unknown-task"]


@pytest.mark.parametrize(
    "write",
    [json.dumps, lambda value: "id: w\nname: W\nversion: 1.0.0\nsteps:\n" + "".join(f"  - {json.dumps(s)}\n" for s in value["steps"])],
)
def test_a_megabyte_is_checked_in_seconds(checker: Checker, write: Callable[[Any], str]) -> None:
    steps = [
        {"id": f"s{n}", "task": "echo", "with": {"n": n, "text": "x" * 20}, **({"after": [f"s{n - 1}"]} if n else {})} for n in range(9_000)
    ]
    text = write({"id": "w", "name": "W", "version": "1.0.0", "steps": steps})
    started = time.process_time()

    assert checker.check(text).diagnostics == ()
    assert time.process_time() - started < 60  # about 1 s on one quiet core
