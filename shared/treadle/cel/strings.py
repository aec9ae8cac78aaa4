"""String functions beyond CEL's own, as the string extension of cel-go defines them. Indexes count code points.

They are written here because those of the runtime can make values of any size (`s.replace('', s)`): here one evaluation
makes at most MAX_CHARACTERS, and a part of a list counts for PART of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

MAX_CHARACTERS = 16 * 1024 * 1024
PART = 32  # a list of single characters takes so much more time and memory than their string

_LOWER, _UPPER = re.compile("[a-z]+"), re.compile("[A-Z]+")


class _Budget(threading.local):
    left = MAX_CHARACTERS


_budget = _Budget()


def begin() -> None:
    """An evaluation begins in this thread: it may make MAX_CHARACTERS."""
    _budget.left = MAX_CHARACTERS


def _spend(characters: int) -> None:
    _budget.left -= characters
    if _budget.left < 0:
        raise ValueError(f"its string functions would make more than {MAX_CHARACTERS} characters")


def _inside(text: str, index: int) -> None:
    if not 0 <= index <= len(text):
        raise ValueError(f"index {index} is outside a string of {len(text)} characters")


def char_at(text: str, index: int) -> str:
    """The character at `index`; the empty string just behind the end."""
    _inside(text, index)
    return text[index : index + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    _inside(text, start)
    return text.find(part, start)


def last_index_of(text: str, part: str, start: int | None = None) -> int:
    """Where `part` begins last, at or before `start`; -1 if nowhere."""
    if start is None:
        return text.rfind(part)
    _inside(text, start)
    return text.rfind(part, 0, start + len(part))


def join(parts: Sequence[Any], separator: str = "") -> str:
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("join needs a list of strings")
    _spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def lower_ascii(text: str) -> str:
    _spend(len(text))
    return text.lower() if text.isascii() else _UPPER.sub(lambda found: found[0].lower(), text)


def upper_ascii(text: str) -> str:
    _spend(len(text))
    return text.upper() if text.isascii() else _LOWER.sub(lambda found: found[0].upper(), text)


def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    """With `limit`, only the first so many."""
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    _spend(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, times)


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    """With `limit`, at most so many parts; an empty separator splits into characters."""
    parts = text.count(separator) + 1
    _spend(len(text) + PART * (parts if limit < 0 else min(limit, parts)))
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    _inside(text, start)
    _inside(text, end)
    if start > end:
        raise ValueError(f"a substring from {start} to {end} ends before it begins")
    _spend(end - start)
    return text[start:end]


def trim(text: str) -> str:
    _spend(len(text))
    return text.strip()


def reverse(text: str) -> str:
    _spend(len(text))
    return text[::-1]


#: name, implementation, the kinds of the receiver and the arguments (each signature), the kind of the result
FUNCTIONS: tuple[tuple[str, Callable[..., Any], tuple[tuple[str, ...], ...], str], ...] = (
    ("charAt", char_at, (("STRING", "INT"),), "STRING"),
    ("indexOf", index_of, (("STRING", "STRING"), ("STRING", "STRING", "INT")), "INT"),
    ("lastIndexOf", last_index_of, (("STRING", "STRING"), ("STRING", "STRING", "INT")), "INT"),
    ("join", join, (("LIST",), ("LIST", "STRING")), "STRING"),
    ("lowerAscii", lower_ascii, (("STRING",),), "STRING"),
    ("upperAscii", upper_ascii, (("STRING",),), "STRING"),
    ("replace", replace, (("STRING", "STRING", "STRING"), ("STRING", "STRING", "STRING", "INT")), "STRING"),
    ("reverse", reverse, (("STRING",),), "STRING"),
    ("split", split, (("STRING", "STRING"), ("STRING", "STRING", "INT")), "LIST"),
    ("substring", substring, (("STRING", "INT"), ("STRING", "INT", "INT")), "STRING"),
    ("trim", trim, (("STRING",),), "STRING"),
)
