"""A place before and after every call: where a simulation crashes a worker, refuses an answer, or lets another one run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

Calls = Callable[[str, Literal["before", "after"]], None]  # (the call, such as "store.put"; when); it may raise

P = ParamSpec("P")
R = TypeVar("R")


class _Watched(Protocol):
    calls: Calls | None


W = TypeVar("W", bound=_Watched)


def watched(name: str) -> Callable[[Callable[Concatenate[W, P], R]], Callable[Concatenate[W, P], R]]:
    """The method is one AWS call. It is announced outside of any lock, so that whoever listens may wait."""

    def announce(method: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
        @wraps(method)
        def call(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if self.calls is None:
                return method(self, *args, **kwargs)
            self.calls(name, "before")
            result = method(self, *args, **kwargs)
            self.calls(name, "after")
            return result

        return call

    return announce
