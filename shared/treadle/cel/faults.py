"""The runtime's messages as sentences: without codes and places, and in the user's words.

The runtime speaks like this: `INVALID_ARGUMENT: ERROR: <input>:1:4: found no matching overload for '_+_' applied to
'(string, int)'\\n | 'a' + 1\\n | ....^ [INVALID_ARGUMENT]`.
"""

from __future__ import annotations

import re

from ..core.errors import ExpressionFault

_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")

_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"^(?:Exceeded max recursion|Expression recursion limit|Maximum recursion).*", "it is nested more than 32 levels deep"),
        (r"^Iteration budget exceeded.*", "it loops over more than 10000 items"),
        (r"^Syntax error: .*?'<EOF>'.*", "it ends too early"),
        (r"^Syntax error: (?:mismatched|extraneous) input '(.+?)' expecting .*", r"unexpected `\1`"),
        (r"^Syntax error: no viable alternative at input '(.+)'.*", r"cannot read on at `\1`"),
        (r"^Syntax error: token recognition error at: '(.*?)'?$", r"unexpected `\1`"),
        (r"^Syntax error: (.*)", r"\1"),
        (r"^undeclared reference to '(.*?)'.*", r"there is no function `\1`"),
        (r"^found no matching overload for '?(.+?)'? applied to '(.*)'.*", r"`\1` cannot be applied to \2"),
        (r"^No matching overloads found : (\S+?)(\(.*\)).*", r"`\1` cannot be applied to \2"),
        (r"^No matching overloads found : <jump_condition>", "the condition before `?` is not a boolean"),
        (r"^No matching overloads found : <iter_range>", "a macro was given neither a list nor a map to loop over"),
        (r"^No matching overloads found : (\S+)$", r"`\1` cannot be applied to these values"),
        (r"^Invalid container type: '?(.*?)'?$", r"`[]` cannot be applied to \1"),
        (r"^String to Timestamp conversion failed", "the string is not a timestamp (such as 2026-11-23T00:00:00Z)"),
        (r"^String to Duration conversion failed", "the string is not a duration (such as 1h30m)"),
        (r"^Key not found in map : \"?(.*?)\"?$", r"there is no key `\1`"),
        (r"^Applying SELECT to non-message type.*", "a field was asked of a value that has none (null, a number, a string or a list)"),
        (r"^Index error: index=(-?\d+) size=(\d+)", r"index \1 is outside a list of \2"),
        (r"^No value with name \"?(.*?)\"? found in Activation", r"`\1` has no value here"),
        (r"^basic_string: construction from null.*", "a string holds half a surrogate pair, which is no character"),
        (r"^divide by zero", "division by zero"),
        (r"^modulus by zero", "modulus by zero"),
        (r"^Integer value '(-?\d+)' out of range.*", r"\1 is outside 64 bits"),
    )
)


def when_compiled(text: str, message: str) -> ExpressionFault:
    """The first fault that the parser or the type checker found, at its column in `text`."""
    place = _PLACE.search(message)
    if place is None:
        return ExpressionFault(_sentence(message), 1)
    sentence, column = _sentence(place[3]), _column(text, int(place[1]), int(place[2]))
    unknown = re.fullmatch(r"there is no function `(.+)`", sentence)
    if unknown and (name := re.search(rf"{re.escape(unknown[1])}\s*$", text[: column - 1])):  # it points behind
        column = name.start() + 1
    return ExpressionFault(sentence, column)


def is_of_syntax(message: str) -> bool:
    """For sure: some faults that the parser finds have other words."""
    place = _PLACE.search(message)
    return place is not None and place[3].startswith("Syntax error: ")


def when_evaluated(message: str) -> ExpressionFault:
    return ExpressionFault(_sentence(message))


def _column(text: str, line: int, column: int) -> int:
    """A place of the runtime (line and column from 1, -1 for unknown) as one column, from 1, in the whole text."""
    if line < 1 or column < 1:
        return 1
    before = text.split("\n")[: line - 1]
    return min(sum(len(part) + 1 for part in before) + column, len(text) + 1)


def _sentence(message: str) -> str:
    sentence = message.strip().partition("\n")[0]
    while sentence != (shorter := _CODE.sub("", sentence)):
        sentence = shorter
    for pattern, words in _SENTENCES:
        if pattern.match(sentence):
            sentence = pattern.sub(words, sentence, count=1)
            break
    return _readable(sentence) or "it cannot be evaluated"


def _readable(sentence: str) -> str:
    """Operators as they are written: `_+_` is `+`."""
    named = re.match(r"^`(.+?)` cannot be applied", sentence)
    if named is None or named[1] == "_":
        return sentence
    operator = {"_[_]": "[]", "_?_:_": "?:", "@in": "in"}.get(named[1], named[1].strip("_") or named[1])
    return sentence.replace(named[1], operator, 1)
