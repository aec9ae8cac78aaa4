"""A plug-in of pytest: the key that TREADLE_MUTANT names has no effect. Whoever reads a configuration finds its default there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from treadle import config
from treadle.config import checks, effects, reading

from tests.config.mutations import MUTANT

KEY = os.environ[MUTANT].split(".")


def without(model: BaseModel, keys: list[str]) -> Any:
    """The same, as if nobody had said the key."""
    first, *rest = keys
    if rest:
        return model.model_copy(update={first: without(getattr(model, first), rest)})
    default = type(model).model_fields[first].get_default(call_default_factory=True)
    copy = model.model_copy(update={first: default})
    copy.model_fields_set.discard(first)
    return copy


def mutated(reader: Callable[..., Any]) -> Callable[..., Any]:
    return lambda given, *more, **named: reader(without(given, KEY), *more, **named)


config.effects_of = effects.effects_of = mutated(effects.effects_of)
reading.troubles = checks.troubles = mutated(checks.troubles)
