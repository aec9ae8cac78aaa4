"""Inputs that look like real ones: definitions and expressions that people wrote, with something done to them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

HOME = Path(__file__).parents[2]

EXPRESSIONS = (
    "input.amount > 1000 && steps.a.outcome == 'succeeded'",
    "input.list.map(x, {'k': x, 'n': index}).filter(y, y.n > 1)",
    "has(input.map.b)",
    "input.s.matches('^a[0-9]{1,3}$')",
    "timestamp(run.startedAt) + duration('90m')",
    "previous == null ? 1 : previous * 3",
    "input.list[0]",
    "input.s + string(iteration) + input.s.replace('a', 'bb')",
    "input.list.exists(x, input.list.all(y, x >= y))",
    "math.greatest(input.n, 1)",
    "{'a': [1, 2.5, null, true], 'b': {'c': b'\\xff'}}",
    "size(input.s.split('').map(c, c + c))",
    "int('9223372036854775807') - 1",
)

# What has a meaning somewhere, or ought to have none.
PIECES = (
    "\0",
    "\ufeff",
    "\r\n",
    "\t",
    "\u2028",
    "😀",
    "é",
    "${",
    "$${",
    "}",
    "'",
    '"',
    "`",
    "\\",
    "\\u0000",
    "\\ud800",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "? ",
    ": ",
    "- ",
    "#",
    "{",
    "[",
    "]",
    ",",
    "{a: 1, a: 2}",
    "null",
    "~",
    "true",
    "no",
    "12:30:00",
    "0o17",
    "0xff",
    ".inf",
    ".nan",
    "NaN",
    "Infinity",
    "-0",
    "1e400",
    "1e-400",
    "9223372036854775808",
    "9" * 400,
    "0" * 400,
    "-9223372036854775808",
    "1" + "_0" * 50,
    "P1Y",
    "PT",
    "999999999999d",
    "in",
    "steps.x.output",
    "steps[input.x]",
    ".map(x, [x, x])",
    ".all(x, x.all(y, true))",
    ".matches('(a*)*$')",
    ".matches('x{0,1000}')",
    " + input.s",
    "/ 0",
    "% 0",
    "duration('9999999999h')",
    "timestamp('9999-12-31T23:59:59Z')",
    "{1: 2}",
    "{null: 1}",
    "-(-9223372036854775807 - 1)",
    "dyn(",
    "google.protobuf.Any{}",
    "secrets.x",
)


def definitions() -> list[str]:
    """Those of the examples, as they are and as JSON would have them."""
    found = [path.read_text() for path in sorted((HOME / "examples").rglob("*.yaml")) if "steps:" in path.read_text()]
    found += re.findall(r"```yaml\n(id: .*?)```", (HOME / "docs/reference/language.md").read_text(), re.DOTALL)
    return [*found, json.dumps({"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": {"x": ["${input.a}", 1, None]}}]})]


def mutated(text: str, seed: int | random.Random) -> str:
    """One to five things done to it."""
    chance = seed if isinstance(seed, random.Random) else random.Random(seed)
    for _ in range(chance.randint(1, 5)):
        text = chance.choice(_MUTATIONS)(text, chance)
    return text[:8192]


def encoded(text: str, chance: random.Random) -> bytes:
    """Nearly always UTF-8; a half of a surrogate pair is left in."""
    encoding = chance.choices(["utf-8", "utf-16", "utf-16-le", "utf-32", "latin-1"], [96, 1, 1, 1, 1])[0]
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def _piece_in(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(PIECES) + text[at:]


def _piece_out(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + text[at + chance.randint(1, 40) :]


def _doubled(text: str, chance: random.Random) -> str:
    at, length = chance.randint(0, len(text)), chance.randint(1, 60)
    return text[:at] + text[at : at + length] * chance.choice([2, 3, 40]) + text[at + length :]


def _nested(text: str, chance: random.Random) -> str:
    depth, at = chance.choice([3, 20, 33, 130, 1000]), chance.randint(0, len(text))
    begin, end = chance.choice(["[]", "{}", "()", ("{a: ", "}"), ("${", "}"), ("[[", "]")])
    return text[:at] + begin * depth + text[at:] + end * chance.choice([depth, depth - 1, 0])


def _words_swapped(text: str, chance: random.Random) -> str:
    words = re.findall(r"\w+", text)
    if len(words) < 2:
        return text
    return text.replace(chance.choice(words), chance.choice(words), chance.randint(1, 3))


def _value_swapped(text: str, chance: random.Random) -> str:
    """The value of one key becomes something else."""
    places = [match.span(1) for match in re.finditer(r":[ \t]+([^\n,}]+)", text)]
    if not places:
        return text
    begin, end = chance.choice(places)
    return text[:begin] + chance.choice(PIECES + EXPRESSIONS) + text[end:]


def _character_changed(text: str, chance: random.Random) -> str:
    if not text:
        return text
    at = chance.randrange(len(text))
    return (
        text[:at]
        + chr(chance.choice([0, 7, 9, 13, 0x85, 0xA0, 0xD800, 0xDFFF, 0xFFFE, 0x10FFFF, chance.randrange(0x300)]))
        + text[at + 1 :]
    )


_MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    _piece_in,
    _piece_in,
    _piece_in,
    _piece_out,
    _doubled,
    _nested,
    _words_swapped,
    _value_swapped,
    _value_swapped,
    _character_changed,
)
