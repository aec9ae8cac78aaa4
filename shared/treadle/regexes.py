"""Regular expressions: RE2, and none that is so large that looking with it takes long.

RE2 takes time in proportion to the text *and* to its program, and `x{0,1000}` is two thousand instructions long. Compiling takes about
1 µs for each, so that all of a definition have a bound as well.
"""

from __future__ import annotations

MAX_INSTRUCTIONS = 2_000  # a pattern for mail addresses has 1,200
MAX_ALTOGETHER = 20_000  # in a definition
COMPILER_BYTES = 128 * 1024  # where RE2 gives up: compiling takes quadratic time, minutes for half a million instructions

TOO_MANY = f"the regular expressions of a definition have at most {MAX_ALTOGETHER} instructions together (`{{n,m}}` counts m times)"
_TOO_LARGE = f"the regular expression is too large: at most {MAX_INSTRUCTIONS} instructions (a repetition `{{n,m}}` counts m times)"


class RegexFault(Exception):
    """Why RE2 cannot run it, or not within bounds."""


def regex_size(pattern: str) -> int:
    """In instructions. Raises RegexFault. RE2 is loaded at the first pattern."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = COMPILER_BYTES
    try:
        size: int = re2.compile(pattern, options).programsize
    except re2.error as error:
        told = error.args[0] if error.args else ""
        text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise RegexFault(_TOO_LARGE if text.startswith("pattern too large") else f"invalid regular expression: {text}") from None
    if size > MAX_INSTRUCTIONS:
        raise RegexFault(_TOO_LARGE)
    return size


class Regexes:
    """Those of one definition, looked at one after the other. After too many nothing more is said of any than that."""

    def __init__(self) -> None:
        self._left = MAX_ALTOGETHER

    @property
    def is_spent(self) -> bool:
        return self._left < 0

    def spend(self, instructions: int) -> None:
        """Of one or of none. Raises RegexFault."""
        self._left -= instructions
        if instructions and self.is_spent:
            raise RegexFault(TOO_MANY)

    def refused(self) -> None:
        """To find out that one cannot be used took time as well."""
        self._left -= MAX_INSTRUCTIONS

    def fault(self, pattern: str) -> str | None:
        """Why it cannot be used."""
        if self.is_spent:
            return TOO_MANY
        try:
            self.spend(regex_size(pattern))
        except RegexFault as fault:
            self.refused()
            return str(fault)
        return None
