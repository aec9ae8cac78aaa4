"""What expressions mean, as one table; what they refer to; and what becomes of nonsense."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import celpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treadle.cel import Cel
from treadle.core.errors import ExpressionFault
from treadle.core.expressions import References

CEL = Cel()

NAMES: dict[str, Any] = {
    "input": {
        "n": 7,
        "d": 1.5,
        "s": "abcde",
        "t": "é😀",
        "yes": True,
        "none": None,
        "list": [3, 1, 2],
        "people": [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 20}],
        "map": {"a": 1, "b": {"c": [10, 20]}},
        "big": 9007199254740992,
        "max": 9223372036854775807,
        "ключ": "значение",
        "odd-key": 1,
        "empty": [],
        "many": list(range(1000)),
        "text": "x".ljust(1_000_000, "x"),
        "broken": "(",
        "large": "x{0,600}",
    },
    "steps": {"a": {"outcome": "succeeded", "output": {"x": 5}, "error": None, "attempts": 1}, "skipped": None},
    "item": "it",
    "index": 4,
    "run": {"id": "r1", "startedAt": "2026-11-23T00:00:00.000Z"},
}

# expression, value; the value's type counts as well (2 is not 2.0, and 1 is not true)
VALUES: list[tuple[str, Any]] = [
    # literals
    ("1", 1),
    ("-1", -1),
    ("0x1F", 31),
    ("1.5", 1.5),
    ("2.0", 2.0),
    ("1e3", 1000.0),
    ("5u", 5),
    ("true", True),
    ("false", False),
    ("null", None),
    ("'x'", "x"),
    ('"x"', "x"),
    ("'''a'b'''", "a'b"),
    (r"r'\d'", r"\d"),
    (r"'\n\t\\'", "\n\t\\"),
    (r"'\u00e9'", "é"),
    ("b'abc'", "YWJj"),
    ("[]", []),
    ("{}", {}),
    ("[1, 'a', null]", [1, "a", None]),
    ("{'k': {'n': 1}}", {"k": {"n": 1}}),
    ("[null, {'a': null}]", [None, {"a": None}]),
    # paths
    ("input.n", 7),
    (" input.n ", 7),
    ("input.map.b.c[1]", 20),
    ("input['n']", 7),
    ("input['ключ']", "значение"),
    ("input.`odd-key`", 1),
    ("input['odd-key']", 1),
    ("input.none", None),
    ("input.list", [3, 1, 2]),
    ("input.map", {"a": 1, "b": {"c": [10, 20]}}),
    ("steps.a.output.x", 5),
    ("steps['a'].output.x", 5),
    ("steps.a.error == null", True),
    ("steps.skipped == null", True),
    ("steps.skipped == null ? 'none' : steps.skipped.output", "none"),
    ("item + string(index)", "it4"),
    # whole numbers
    ("1 + 1", 2),
    ("7 - 10", -3),
    ("6 * 7", 42),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("-7 % 3", -1),
    ("-input.n", -7),
    ("input.big + 1", 9007199254740993),
    ("input.max", 9223372036854775807),
    ("input.max - 1", 9223372036854775806),
    ("-9223372036854775808", -9223372036854775808),
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    # doubles
    ("1.5 + 0.5", 2.0),
    ("input.d * 2.0", 3.0),
    ("7.0 / 2.0", 3.5),
    ("double(7) / 2.0", 3.5),
    ("int(3.9)", 3),
    ("double('1.25')", 1.25),
    # comparisons
    ("1 < 2", True),
    ("2 <= 1", False),
    ("1 == 1", True),
    ("1 != 1", False),
    ("input.n == 7.0", True),
    ("input.n < 7.5", True),
    ("input.d > 1", True),
    ("'a' < 'b'", True),
    ("[1, 2] == [1, 2]", True),
    ("{'a': 1} == {'a': 1}", True),
    ("input.n == 'seven'", False),
    ("input.none == null", True),
    ("input.n == null", False),
    # logic
    ("true && false", False),
    ("true || false", True),
    ("!true", False),
    ("true || 1 / 0 == 1", True),
    ("1 / 0 == 1 || true", True),
    ("false && 1 / 0 == 1", False),
    ("input.yes ? 'y' : 'n'", "y"),
    ("input.n > 10 ? 1 / 0 : 3", 3),
    # strings
    ("'a' + 'b'", "ab"),
    ("size(input.s)", 5),
    ("input.s.size()", 5),
    ("size(input.t)", 2),
    ("input.s.startsWith('ab')", True),
    ("input.s.endsWith('de')", True),
    ("input.s.contains('cd')", True),
    ("input.s.matches('^a.*e$')", True),
    ("matches(input.s, 'x')", False),
    ("'12'.matches(r'^\\d+$')", True),
    ("string(12)", "12"),
    ("string(1.5)", "1.5"),
    ("string(true)", "true"),
    ("int('7') + 1", 8),
    ("bytes('é')", "w6k="),
    ("string(b'abc')", "abc"),
    ("'a,b,c'.split(',')", ["a", "b", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("'a,b'.split(',', 0)", []),
    ("'a,b'.split(',', 1)", ["a,b"]),
    ("'é😀'.split('')", ["é", "😀"]),
    ("'abc'.split('', 2)", ["a", "bc"]),
    ("['a', 'b'].join()", "ab"),
    ("['a', 'b'].join('-')", "a-b"),
    ("'aXa'.replace('a', 'bb')", "bbXbb"),
    ("'aaa'.replace('a', 'b', 2)", "bba"),
    ("'ÉA'.lowerAscii()", "Éa"),
    ("'éa'.upperAscii()", "éA"),
    ("' x '.trim()", "x"),
    ("'abcde'.substring(2)", "cde"),
    ("'abcde'.substring(1, 3)", "bc"),
    ("'é😀x'.charAt(1)", "😀"),
    ("'é😀x'.indexOf('x')", 2),
    ("'abab'.indexOf('a', 1)", 2),
    ("'abab'.lastIndexOf('a')", 2),
    ("'abab'.lastIndexOf('a', 1)", 0),
    ("'abc'.reverse()", "cba"),
    # lists and maps
    ("[1, 2] + [3]", [1, 2, 3]),
    ("input.list[0]", 3),
    ("size(input.list)", 3),
    ("2 in input.list", True),
    ("9 in input.list", False),
    ("'a' in input.map", True),
    ("'z' in input.map", False),
    ("size(input.map)", 2),
    ("input.map.b.c[0] + 1", 11),
    ("{'a': 1}.a", 1),
    ("{'a': 1}['a']", 1),
    # macros
    ("has(input.n)", True),
    ("has(input.nothing)", False),
    ("has(input.map.b.c)", True),
    ("input.list.all(x, x > 0)", True),
    ("input.list.exists(x, x == 2)", True),
    ("input.list.exists_one(x, x > 1)", False),
    ("input.list.map(x, x * 2)", [6, 2, 4]),
    ("input.list.map(x, x > 1, x * 2)", [6, 4]),
    ("input.list.filter(x, x > 1)", [3, 2]),
    ("input.people.filter(p, p.age > 25).map(p, p.name)", ["Ann"]),
    ("input.people.map(p, {'who': p.name, 'n': input.n})", [{"who": "Ann", "n": 7}, {"who": "Bob", "n": 7}]),
    ("input.list.map(x, input.list.map(y, x * y))", [[9, 3, 6], [3, 1, 2], [6, 2, 4]]),
    ("{'a': 1}.map(k, k)", ["a"]),
    ("{'a': 1}.all(k, k == 'a')", True),
    ("input.empty.all(x, false)", True),
    ("input.empty.exists(x, true)", False),
    ("[1].map(steps, steps + 1)", [2]),
    # time
    ("timestamp('2024-01-01T00:00:00Z')", "2024-01-01T00:00:00Z"),
    ("timestamp('2024-01-01T02:00:00+02:00')", "2024-01-01T00:00:00Z"),
    ("timestamp('2024-01-01T00:00:00.123456789Z')", "2024-01-01T00:00:00.123456789Z"),
    ("timestamp(run.startedAt) + duration('24h')", "2026-11-24T00:00:00Z"),
    ("timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z')", "86400s"),
    ("timestamp('2024-01-01T00:00:00Z') < timestamp(run.startedAt)", True),
    ("timestamp('2024-03-01T00:00:00Z').getMonth()", 2),
    ("timestamp('2024-03-01T00:00:00Z').getHours('America/New_York')", 19),
    ("string(timestamp(0))", "1970-01-01T00:00:00Z"),
    ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
    ("duration('90m')", "5400s"),
    ("duration('1.5s')", "1.5s"),
    ("duration('-250ms')", "-0.25s"),
    ("duration('1h') + duration('1s')", "3601s"),
    ("duration('90s').getSeconds()", 90),
    # types and numbers of the math extension
    ("type(1) == int", True),
    ("type('a') == string", True),
    ("type(input.list) == list", True),
    ("dyn(1)", 1),
    ("math.greatest(1, input.n, 3)", 7),
    ("math.least([3, 1, 2])", 1),
    ("math.abs(-3)", 3),
    ("math.ceil(1.2)", 2.0),
    ("google.protobuf.Timestamp{seconds: 60}", "1970-01-01T00:01:00Z"),
]


def the_same(left: Any, right: Any) -> bool:
    """Equal, types included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(the_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(the_same(left[key], right[key]) for key in left)
    return bool(left == right)


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_an_expression_has_the_value(text: str, value: Any) -> None:
    CEL.references(text)
    found = CEL.evaluate(text, NAMES)
    assert the_same(found, value), found


# expression, a part of the message
RUNTIME_FAULTS: list[tuple[str, str]] = [
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("[1][5]", "index 5 is outside a list of 1"),
    ("{}.x", "there is no key `x`"),
    ("input.nothing", "there is no key `nothing`"),
    ("input.n.x", "a field was asked of a value that has none"),
    ("steps.skipped.output", "a field was asked of a value that has none"),
    ("steps.later.output", "there is no key `later`"),
    ("previous", "`previous` has no value here"),
    ("previous.x + 1", "`previous` has no value here"),
    ("input.max + 1", "integer overflow"),
    ("-input.max - 2", "integer overflow"),
    ("input.n + 1.0", "`+` cannot be applied to (int64, double)"),
    ("input.n + 'a'", "`+` cannot be applied to"),
    ("input.n && true", "cannot be applied"),
    ("input.n ? 1 : 2", "not a boolean"),
    ("!input.n", "`!` cannot be applied"),
    ("1 in input.n", "`in` cannot be applied"),
    ("input.n[0]", "`[]` cannot be applied to int"),
    ("input.n.all(x, true)", "neither a list nor a map"),
    ("int('x')", "cannot convert string to int"),
    ("'a'.matches(input.broken)", "invalid regular expression"),
    ("'a'.matches(input.broken + 'x')", "invalid regular expression"),
    ("'a'.matches('x' + input.large + input.large)", "the regular expression is too large"),
    ("input.many.map(x, input.text + input.text)", "more than 64 MiB of copies"),
    ("input.many.map(x, [x, input.text])", "more than 64 MiB of copies"),
    ("[0, 1].map(x, input.many.map(y, {'a': input.text}))", "more than 64 MiB of copies"),
    ("[input.text]" + ".map(x, [x, x])" * 9, "more than 64 MiB of copies"),
    ("timestamp('yesterday')", "not a timestamp"),
    ("duration('soon')", "not a duration"),
    ("0.0 / 0.0", "JSON cannot hold"),
    ("1.0 / 0.0", "JSON cannot hold"),
    ("{1: 2}", "is not a string"),
    ("{true: 2}", "is not a string"),
    ("type(1)", "JSON cannot hold"),
    ("[type(1)]", "JSON cannot hold"),
    ("input.list.map(x, x / 0)", "division by zero"),
    ("'abc'.substring(5)", "index 5 is outside a string of 3 characters"),
    ("'abc'.substring(2, 1)", "ends before it begins"),
    ("'abc'.charAt(-1)", "outside"),
    ("[1].join()", "join needs a list of strings"),
    ("google.protobuf.Any{}", ""),
]


@pytest.mark.parametrize(("text", "words"), RUNTIME_FAULTS, ids=[text for text, _ in RUNTIME_FAULTS])
def test_an_expression_that_fails_says_why(text: str, words: str) -> None:
    CEL.references(text)
    with pytest.raises(ExpressionFault) as caught:
        CEL.evaluate(text, NAMES)
    assert words in caught.value.message
    assert "<input>" not in caught.value.message
    assert "INVALID_ARGUMENT" not in caught.value.message


def test_an_expression_that_fails_is_named_for_a_step_has_many() -> None:
    with pytest.raises(ExpressionFault, match=r"in `input\.n\.x == null \? 1 : 2`$"):
        CEL.evaluate("input.n.x == null\n  ? 1 : 2", NAMES)


def test_of_a_long_one_the_beginning_is_named() -> None:
    with pytest.raises(ExpressionFault) as caught:
        CEL.evaluate(f"input.n.x + size({[1] * 400})", NAMES)
    assert caught.value.message.endswith(" 1, 1...`")
    assert len(caught.value.message) < 250


# expression, column, a part of the message
PARSE_FAULTS: list[tuple[str, int, str]] = [
    ("", 1, "it ends too early"),
    ("  ", 3, "it ends too early"),
    ("1 +", 4, "it ends too early"),
    ("input.x ] 2", 9, "unexpected `]`"),
    ("in", 1, "unexpected `in`"),
    ("input.in", 7, "`.in`"),
    ("'abc", 1, "unexpected"),
    ("a ~ b", 3, "unexpected `~`"),
    ("é + 1", 1, "unexpected"),
    ("'a' + 1", 5, "`+` cannot be applied to (string, int)"),
    ("'é😀' + 1", 6, "`+` cannot be applied to (string, int)"),
    ("1 +\n 'a'", 3, "`+` cannot be applied to (int, string)"),
    ("true &&\n 'a' + 1", 14, "`+` cannot be applied to (string, int)"),
    ("1 == 'a'", 3, "`==` cannot be applied to (int, string)"),
    ("'abc'[0]", 6, "`[]` cannot be applied to (string, int)"),
    ("now()", 1, "there is no function `now`"),
    ("input.foo ()", 7, "there is no function `foo`"),
    ("a.b.C{}", 1, "`a.b.C`"),
    ("99999999999999999999", 1, "invalid int literal"),
    ("(" * 40 + "1" + ")" * 40, 1, "nested more than 32 levels"),
    ("1" + " + 1" * 100, 1, "nested more than 32 levels"),
    ("[1]" + ".map(x, [x, x])" * 20, 1, "copies of its inputs"),
    ("'\ud800'", 1, "surrogate"),
    ("'a'.matches('(')", 1, "invalid regular expression"),
    ("input.s.matches('(?=a)')", 1, "invalid regular expression"),
    ("input.s.matches('" + "x{0,1000}" * 300 + "')", 1, "the regular expression is too large"),
    ("input.list.exists(p, input.s.matches(p))", 1, "the pattern of `matches` is text"),
]


@pytest.mark.parametrize(("text", "column", "words"), PARSE_FAULTS, ids=[ascii(text)[:40] for text, _, _ in PARSE_FAULTS])
def test_an_expression_that_cannot_be_read_says_where(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        CEL.references(text)
    assert (caught.value.column, words in caught.value.message) == (column, True), caught.value.message


# expression, roots, steps, whether `steps` is used in another way
REFERENCES: list[tuple[str, set[str], set[str], bool]] = [
    ("1", set(), set(), False),
    ("input", {"input"}, set(), False),
    ("input.a + item", {"input", "item"}, set(), False),
    ("steps.a.output", {"steps"}, {"a"}, False),
    ("steps['a'].output", {"steps"}, {"a"}, False),
    ("steps['a b']", {"steps"}, {"a b"}, False),
    ("has(steps.x.output)", {"steps"}, {"x"}, False),
    ("steps.a.output[steps.b.output].c", {"steps"}, {"a", "b"}, False),
    ("{steps.a.output: steps.b}", {"steps"}, {"a", "b"}, False),
    ("steps[input.x]", {"steps", "input"}, set(), True),
    ("size(steps)", {"steps"}, set(), True),
    ("steps.exists(s, s == 'a')", {"steps"}, set(), True),
    ("input.list.map(x, x + other)", {"input", "other"}, set(), False),
    ("input.list.map(x, x.steps.a)", {"input"}, set(), False),
    ("[1].map(steps, steps + 1)", set(), set(), False),
    ("[1].map(x, steps.a.output.filter(y, y > x))", {"steps"}, {"a"}, False),
    ("x.map(x, x)", {"x"}, set(), False),
    ("'steps.a' + \"input.b\"", set(), set(), False),
    ("input.steps.a", {"input"}, set(), False),
    (".input.a", {"input"}, set(), False),
    ("type(input) == int", {"input"}, set(), False),
    ("math.greatest(input, 1)", {"input"}, set(), False),
    ("inputs.x", {"inputs"}, set(), False),
    ("a ? b : c", {"a", "b", "c"}, set(), False),
    ("[a, {'k': b}]", {"a", "b"}, set(), False),
    ("a in b", {"a", "b"}, set(), False),
]


@pytest.mark.parametrize(("text", "roots", "steps", "dynamic"), REFERENCES, ids=[text for text, *_ in REFERENCES])
def test_an_expression_refers_to(text: str, roots: set[str], steps: set[str], dynamic: bool) -> None:
    assert CEL.references(text) == References(frozenset(roots), frozenset(steps), dynamic)


# ------------------------------------------------------------------------------------------------ against another CEL

#: Where cel-python differs from the specification (or has no such function), it is no oracle.
NO_ORACLE = frozenset(
    {"split", "join(", "lowerAscii", "upperAscii", "trim(", "substring", "charAt", "ndexOf", "reverse", "replace"}
    | {"math.", "google.", ".getHours", "type(", "`", "dyn(", "string(true)"}
)


def oracle(text: str, names: dict[str, Any]) -> Any:
    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    return program.evaluate({name: celpy.json_to_cel(value) for name, value in names.items()})


@pytest.mark.parametrize("text", [text for text, _ in VALUES if not any(part in text for part in NO_ORACLE)])
def test_another_implementation_agrees(text: str) -> None:
    ours = CEL.evaluate(text, NAMES)
    try:
        theirs = oracle(text, NAMES)
    except (celpy.CELParseError, celpy.CELEvalError, ValueError):
        pytest.skip("cel-python does not evaluate it")
    if isinstance(theirs, (celpy.celtypes.TimestampType, celpy.celtypes.DurationType, celpy.celtypes.BytesType)):
        pytest.skip("compared in the table")
    assert ours == theirs


# ------------------------------------------------------------------------------------------------ bounds


def test_macros_loop_over_a_bounded_number_of_items() -> None:
    with pytest.raises(ExpressionFault, match="more than 10000 items"):
        CEL.evaluate("input.all(a, input.all(b, true))", {"input": list(range(200))})


def test_string_functions_make_a_bounded_number_of_characters() -> None:
    with pytest.raises(ExpressionFault, match="characters"):
        CEL.evaluate("input.s.replace('', input.s)", {"input": {"s": "x" * 10_000}})
    with pytest.raises(ExpressionFault, match="characters"):
        CEL.evaluate("input.l.map(x, 'aaaa'.replace('a', input.s))", {"input": {"l": list(range(1000)), "s": "x" * 10_000}})


def test_a_budget_is_for_one_evaluation() -> None:
    for _ in range(5):
        assert len(CEL.evaluate("input.replace('x', 'yy')", {"input": "x" * 4_000_000})) == 8_000_000


def test_ordinary_reshaping_is_not_taken_for_growth() -> None:
    text = "input.people.filter(p, p.age > 1).map(p, {'a': p.name, 'b': p.name, 'c': p.age}).map(q, {'d': q.a + q.b, 'e': q.c})"
    assert CEL.evaluate(text, NAMES)[0] == {"d": "AnnAnn", "e": 30}


def test_a_regular_expression_takes_linear_time() -> None:
    assert CEL.evaluate("input.matches('^(a+)+$')", {"input": "a" * 100_000 + "b"}) is False


def test_nulls_are_not_lost() -> None:
    """The runtime's own null handling leaks references to None the wrong way: a few thousand would end the process."""
    nulls = [None] * 1000
    for _ in range(200):
        assert CEL.evaluate("input.map(x, x)", {"input": nulls}) == nulls


def test_the_keys_of_a_map_come_in_one_order() -> None:
    """The runtime's maps have another one each time; an attempt that is made again shall be given the same text."""
    wanted = dict.fromkeys(("a", "beta", "mid", "x", "zeta"), 1)
    for text in ("{'zeta': 1, 'mid': 1, 'beta': 1, 'x': 1, 'a': 1}", "true ? input : {}", "[input][0]"):
        for _ in range(20):
            assert list(CEL.evaluate(text, {"input": dict(reversed(wanted.items()))})) == list(wanted)


def test_only_what_an_expression_reads_is_looked_at() -> None:
    unreadable = object()
    names = {"input": {"a": 1, "b": unreadable}, "steps": {"x": {"output": 2}, "y": unreadable}, "item": unreadable}
    assert CEL.evaluate("input.a + steps.x.output", names) == 3


def test_values_that_json_has_no_form_for_are_faults_not_crashes() -> None:
    for value in (2**70, -(2**70), object(), {1, 2}, "\ud800"):
        with pytest.raises(ExpressionFault):
            CEL.evaluate("[input]", {"input": value})


def test_threads_share_programs() -> None:
    def work(number: int) -> bool:
        text = f"input.list.map(x, x * {number % 7}).filter(y, y > {number % 3}).size() >= 0 && input.n + {number} == {number + 7}"
        return CEL.evaluate(text, NAMES) is True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(2000)))


# ------------------------------------------------------------------------------------------------ nonsense

NOUNS = ["input", "steps", "item", "x", "y", ".a", ".output", "null", "true", "1", "2.5", "1u", "0x", "-1", "9223372036854775807"]
STRINGS = ["'a'", '"b"', "b'c'", "r'd'", "`", "'", '"', "\\", "\n", "é", "😀"]
SIGNS = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "&&",
    "||",
    "!",
    "==",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "in",
    "@",
    "#",
    "$",
    ";",
    "=",
    "~",
]
CALLS = ["has(", ".map(", ".filter(", ".all(", "size(", "timestamp(", "string(", "matches(", "google.protobuf.Any{"]
TOKENS = st.sampled_from(NOUNS + STRINGS + SIGNS + CALLS)
# The runtime takes C strings: a NUL would end one.
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def fault_of(action: Callable[[], object]) -> ExpressionFault | None:
    try:
        action()
    except ExpressionFault as fault:
        return fault
    return None


def is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(inner) for key, inner in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=14).map(" ".join) | st.lists(TOKENS, max_size=14).map("".join) | st.text(max_size=40), JSON)
def test_any_text_gives_json_or_a_fault(text: str, value: Any) -> None:
    unreadable = fault_of(lambda: CEL.references(text))
    assert unreadable is None or (unreadable.column is not None and 1 <= unreadable.column <= len(text) + 1)
    values: list[Any] = []
    names = {"input": value, "item": value, "steps": {"a": {"output": value}}}
    failed = fault_of(lambda: values.append(CEL.evaluate(text, names)))
    assert failed.message if failed else is_json(values[0])


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_json_goes_through_unchanged(value: Any) -> None:
    assert the_same(CEL.evaluate("input", {"input": value}), value)
    assert the_same(CEL.evaluate("[input][0]", {"input": value}), value)
    assert the_same(CEL.evaluate("{'a': input}", {"input": value}), {"a": value})
