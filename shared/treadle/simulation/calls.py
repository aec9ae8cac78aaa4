"""A place before and after every call: where a simulation crashes a worker, refuses an answer, or lets another one run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar

# (the call, such as "store.put"; when); it may raise. True, after it: its answer was lost, and it is made once more.
Calls = Callable[[str, Literal["before", "after"]], bool | None]

P = ParamSpec("P")
R = TypeVar("R")


class Watched:
    """A port whose calls are announced. `is_repeating`: the call is one that the AWS client makes once more by itself."""

    calls: Calls | None = None
    is_repeating = False


W = TypeVar("W", bound=Watched)


def watched(name: str) -> Callable[[Callable[Concatenate[W, P], R]], Callable[Concatenate[W, P], R]]:
    """The method is one AWS call. It is announced outside of any lock, so that whoever listens may wait."""

    def announce(method: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
        @wraps(method)
        def call(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if self.calls is None:
                return method(self, *args, **kwargs)
            self.calls(name, "before")
            result = method(self, *args, **kwargs)
            if not self.calls(name, "after"):
                return result
            self.is_repeating = True
            try:
                return method(self, *args, **kwargs)
            finally:
                self.is_repeating = False

        return call

    return announce
