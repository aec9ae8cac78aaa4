"""Durations as users write them: `250ms`, `30s`, `5m`, `2h`, `7d`, or ISO 8601 (`PT30S`, `P1DT12H`, `P2W`).

Years and months are refused: how long they are depends on when they begin.
"""

from __future__ import annotations

import re
from functools import lru_cache

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST_MS = 100 * 365 * MILLISECONDS["d"]  # a bound, so that no sum of times leaves 64 bits

SHORT = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)", re.ASCII)
_NUMBER = r"([0-9]{1,15}(?:[.,][0-9]{1,9})?)"
ISO = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?", re.ASCII)
_ISO_UNITS = (7 * MILLISECONDS["d"], MILLISECONDS["d"], MILLISECONDS["h"], MILLISECONDS["m"], MILLISECONDS["s"])


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> int:
    """Milliseconds, from 0 to a hundred years. Raises ValueError with a sentence for people."""
    if short := SHORT.fullmatch(text):
        length = int(short[1]) * MILLISECONDS[short[2]]
    elif iso := ISO.fullmatch(text):
        length = _iso_length(iso)
    else:
        raise ValueError("a duration is a whole number with ms, s, m, h or d, or ISO 8601 such as PT30S")
    if length > LONGEST_MS:
        raise ValueError("a duration is at most 36500d")
    return length


def _iso_length(match: re.Match[str]) -> int:
    # Tenths of a nanosecond do not matter: what is finer than a millisecond is rounded.
    return round(sum(float(part.replace(",", ".")) * unit for part, unit in zip(match.groups(), _ISO_UNITS, strict=True) if part))
