"""Regular expressions: RE2, and none that is so large that looking with it takes long.

RE2 takes time in proportion to the text *and* to its program, and `x{0,1000}` is two thousand instructions long.
"""

from __future__ import annotations

MAX_INSTRUCTIONS = 2_000  # a pattern for mail addresses has 1,200
COMPILER_BYTES = 128 * 1024  # where RE2 gives up: compiling takes quadratic time, minutes for half a million instructions

_TOO_LARGE = f"the regular expression is too large: at most {MAX_INSTRUCTIONS} instructions (a repetition `{{n,m}}` counts m times)"


def regex_fault(pattern: str) -> str | None:
    """Why RE2 cannot run it, or not within bounds. RE2 is loaded at the first pattern."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = COMPILER_BYTES
    try:
        size = re2.compile(pattern, options).programsize
    except re2.error as error:
        told = error.args[0] if error.args else ""
        text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        return _TOO_LARGE if text.startswith("pattern too large") else f"invalid regular expression: {text}"
    return None if size <= MAX_INSTRUCTIONS else _TOO_LARGE
