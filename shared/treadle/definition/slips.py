"""What is usual elsewhere and is not this language: hints for texts of which a parser can only say where it stumbled.

Law: a hint says what to do. Where two things could have been meant, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Container

from .spelling import Speller

_WORDS = {"and": "`and` is written `&&`", "or": "`or` is written `||`", "=": "`==` asks whether two values are equal"}
_VALUES = {"None": "null", "nil": "null", "NULL": "null", "undefined": "null", "True": "true", "False": "false", "NaN": "null"}
_NAMES = {
    "context": "run",
    "ctx": "run",
    "execution": "run",
    "workflow": "run.workflow",
    "params": "input",
    "args": "input",
    "payload": "input",
}
_CURLY = "“”„‘’‚«»"
_COLUMNS = "a text with `: ` in it stands in quotes; the keys of one map begin in the same column"
_STRAIGHT = "texts stand in straight quotes: ' or \""

FUNCTIONS = (
    "size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", "bool", "timestamp", "duration",
    "has", "all", "exists", "exists_one", "map", "filter",
    "lowerAscii", "upperAscii", "trim", "reverse", "substring", "split", "join", "replace", "indexOf", "lastIndexOf", "charAt",
    "getFullYear", "getMonth", "getDate", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
)  # fmt: skip
_OTHERWISE = {
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "upper": "upperAscii",
    "str": "string",
    "any": "exists",
}


def of_expression(text: str, at: int, message: str, speller: Speller, *, is_bare: bool) -> str | None:
    """For an expression that cannot be parsed at the index `at`. `is_bare`: it is the whole value, not `${...}` in a template."""
    if is_bare and "${" in text:
        return "here the value is one expression, without `${` and `}`"
    if not text.strip():
        return "leave the key out, or write an expression" if is_bare else "there is nothing between `${` and `}`"
    if not is_bare and text.startswith("{"):
        return "an expression stands in one pair of braces: `${input.x}`"
    if message.startswith("`+` cannot be applied") and "string" in message:
        return "`string(...)` makes a text of a value"
    if message == "there is no function `now`":
        return "a step begins again where it was lost, and what it reads stays: `run.startedAt` is when the run began"
    if named := re.fullmatch(r"there is no function `(\w+)`", message):
        meant = _OTHERWISE.get(named[1])
        return f"did you mean `{meant}`?" if meant else speller.hint(named[1], FUNCTIONS)
    if any(char in _CURLY for char in text[at : at + 1]):
        return _STRAIGHT
    if re.search(r"\bnot\s+$", text[:at]):
        return "`not` is written `!`"
    word = re.match(r"=|\w+", text[at:])
    return _WORDS.get(word[0]) if word else None


def of_name(name: str, steps: Container[str], names: Container[str]) -> str | None:
    """For a name that an expression uses and that does not exist there, beside `names` that do."""
    meant = _VALUES.get(name) or _NAMES.get(name)
    if meant and (name in _VALUES or meant.partition(".")[0] in names) and name not in steps:
        return f"did you mean `{meant}`?"
    return f"did you mean `steps.{name}`?" if name in steps else None


# ------------------------------------------------------------------------------------------------ YAML and JSON


def of_yaml(problem: str, text: str, at: int) -> str | None:
    """For what libyaml stumbles over at the index `at`."""
    char = text[at : at + 1]
    line = text[text.rfind("\n", 0, at) + 1 : at + 1]
    if "tab character" in problem or (char == "\t" and "cannot start any token" in problem):
        return "YAML is indented with spaces, not with tabs"
    if problem.endswith("cannot start any token"):
        return f"a text that begins with `{char}` stands in quotes"
    if "did not find expected ',' or" in problem and text[at - 1 : at + 1] == "${":
        return "within `{}` and `[]` a text with `${...}` stands in quotes"
    if problem.startswith("mapping values are not allowed"):
        return _where_a_blank_is_missing(text, at, line) or _COLUMNS
    if problem == "could not find expected ':'":
        return "a key ends with `:`, and a blank stands between it and its value"
    if problem.startswith("did not find expected '-'"):
        return "the entries of a list begin with `- `, all in the same column"
    if problem == "did not find expected key" and re.search(r"['\"]\s", line):
        return "a text that begins with a quote ends with it: write the whole of it in other quotes"
    return "a text that begins with `*` stands in quotes" if problem.startswith("did not find expected alphabetic") else None


def _where_a_blank_is_missing(text: str, at: int, line: str) -> str | None:
    """`-id: a` and `id:a` are texts, which go on in the next line."""
    if line[:1] in ("\u00a0", "\u3000"):
        return "the line begins with a blank that is no space: YAML is indented with spaces"
    lines = text[:at].splitlines()
    before = next((number for number in range(len(lines) - 1, 0, -1) if lines[number - 1].strip()), 0)
    joined = re.match(r"\s*(?:- +)?(-|[A-Za-z]\w*:)(?=[^\s:/-])", lines[before - 1]) if before else None
    return f"in line {before} a blank is missing behind `{joined[1]}`" if joined else None


def of_tag(tag: str) -> str | None:
    """`when: !input.x` is a tag to YAML."""
    return "an expression that begins with `!` stands in quotes" if re.match(r"!(?!!)[a-z(]", tag) else None


def of_json(text: str, at: int) -> str | None:
    if text.startswith(("}", "]"), at) and text[:at].rstrip().endswith(","):
        return "the comma before it is one too many"
    if text.startswith("'", at):
        return "JSON has double quotes only"
    if text.startswith(("//", "/*", "#"), at):
        return "JSON has no comments; a definition in YAML may have some"
    word = re.match(r"\w+", text[at:])
    return f"did you mean `{_VALUES[word[0]]}`?" if word and word[0] in _VALUES and word[0] != "NaN" else None
