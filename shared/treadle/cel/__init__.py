"""Expressions: CEL behind the port `core.expressions.Expressions`. `Cel` is all that the rest of treadle knows of it."""

from .runtime import Cel

__all__ = ["Cel"]
