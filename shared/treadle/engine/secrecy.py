"""`secrets.NAME` in `with`: read when the task is about to be called, and masked in all that comes back from it.

Rule 1: what a secret stands for lives in the attempt and nowhere else. It is in no item, message, event or line of a log.
Rule 2: a task's output, its error and what it logs have `***` where the secret stood, also as JSON, a URL or Base64 write it.

What a task makes of a secret (its length, a hash) is the task's own; so is what it prints, and what it sends elsewhere.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from ..core.errors import ExpressionFault, Rejected, Unavailable
from ..core.expressions import Expressions, Mismatch, Names, Patience, References, holes, render
from ..core.model import Json
from .items import encode
from .run import Run

HIDDEN = "***"
LEAST = 4  # characters: a shorter one is masked only where it is the whole string, else every text would be full of stars
LEAST_LINE = 8  # of a secret of several lines, each line of at least so many characters is one as well


class SecretsDown(Unavailable):
    """Nothing has run: whoever needs a secret waits, and everything else goes on."""


@dataclass(frozen=True)
class Mask:
    """Puts `***` in the place of secrets. `Mask(())` changes nothing."""

    secrets: tuple[str, ...]
    _pattern: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        forms = {form for secret in self.secrets if len(secret) >= LEAST for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        object.__setattr__(self, "_pattern", re.compile("|".join(map(re.escape, longest_first))) if forms else None)

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def text(self, text: str) -> str:
        if text in self.secrets:
            return HIDDEN
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def json(self, value: Json) -> Json:
        """Of whatever has the form of JSON; the keys of maps too."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(key) if isinstance(key, str) else key: self.json(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.json(inner) for inner in value]
        return value

    def logger(self, name: str) -> logging.Logger:
        """One for this attempt alone: what it is told goes where `name` goes, masked."""
        logger = logging.Logger(name)
        logger.parent = logging.getLogger(name)
        logger.addFilter(self._mask_record)
        return logger

    def _mask_record(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.text(record.getMessage()), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.msg, record.exc_info = f"{record.msg}\n{self.text(trace)}", None
        for key, value in vars(record).items():
            if key not in _OWN:
                setattr(record, key, self.json(value) if isinstance(value, str | dict | list | tuple) else value)
        return True


NO_MASK = Mask(())
_OWN = frozenset(vars(logging.makeLogRecord({})))


def _forms(secret: str) -> Iterator[str]:
    """As itself, and as those write it who put texts into other texts."""
    lines = [line for line in secret.splitlines() if len(line) >= LEAST_LINE]
    for text in {secret, *lines}:
        yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        yield from (quote(text), quote(text, safe=""), quote_plus(text))
        encoded = base64.b64encode(text.encode(errors="surrogatepass")).decode()
        yield from (encoded, encoded.rstrip("="))


# ------------------------------------------------------------------------------------------------ filling in


@dataclass(frozen=True, slots=True)
class Given:
    """What a task is given. `shown`: the same for others to see. `mask`: for all that comes back."""

    value: Json
    shown: Json
    mask: Mask = NO_MASK


def names_secrets(template: Json, expressions: Expressions) -> bool:
    return any("secrets" in expressions.references(hole.text).roots for hole in holes(template))


def secrets_of(template: Json, expressions: Expressions) -> list[str]:
    """The names of the secrets that it asks for."""
    return sorted({name for hole in holes(template) for name in expressions.references(hole.text).secrets})


def fill(run: Run, template: Json, bound: dict[str, Any], *, anew: bool) -> Given:
    """A template that names secrets, filled in. `anew`: an attempt before failed, perhaps for want of a newer one.

    Raises ExpressionFault (whose message is masked), SecretsDown.
    """
    expressions = run.world.expressions
    secrets = {name: _secret(run, name, anew) for name in secrets_of(template, expressions)}
    watching = _Watching(expressions, secrets)
    try:
        value = render(template, watching, {**bound, "secrets": secrets})
    except ExpressionFault as fault:
        raise ExpressionFault(watching.mask().text(fault.message), fault.column) from None
    mask = watching.mask()
    try:
        shown = mask.json(render(template, expressions, {**bound, "secrets": _hidden(secrets)}))
    except ExpressionFault:  # of an expression that does something with a secret there may be nothing to show
        shown = mask.json(value)
    return Given(value, shown, mask)


def filled_again(run: Run, template: Json, bound: dict[str, Any], edited: Json) -> Given:
    """What a person gave in the place of a template that names secrets: where the stars that it was shown with still stand, the
    secrets do. Raises SecretsDown."""
    try:
        given = fill(run, template, bound, anew=True)
    except ExpressionFault:  # then nobody was shown anything
        return Given(edited, edited)
    return Given(_put_back(edited, given.shown, given.value), edited, given.mask)


def _put_back(edited: Json, shown: Json, value: Json) -> Json:
    """`shown` and `value` differ only where secrets stand."""
    if isinstance(edited, dict) and isinstance(shown, dict) and isinstance(value, dict):
        return {key: _put_back(inner, shown.get(key), value.get(key)) for key, inner in edited.items()}
    if isinstance(edited, list) and isinstance(shown, list) and isinstance(value, list) and len(edited) == len(shown) == len(value):
        return [_put_back(*three) for three in zip(edited, shown, value, strict=True)]
    is_as_shown = type(edited) is type(shown) and edited == shown
    return value if is_as_shown or (edited == HIDDEN and shown != value) else edited


def hidden(run: Run, template: Json, bound: dict[str, Any]) -> Json:
    """A template filled in without a secret being read. Raises ExpressionFault."""
    wanted = secrets_of(template, run.world.expressions)
    if not wanted:
        return render(template, run.world.expressions, bound)
    return render(template, _Hiding(run.world.expressions), {**bound, "secrets": dict.fromkeys(wanted, HIDDEN)})


def _secret(run: Run, name: str, anew: bool) -> Json:
    """A text, or the map that the text is: Secrets Manager's console keeps keys and values as a JSON object."""
    if run.world.secrets is None:
        raise ExpressionFault(f"secrets.{name}: this engine was given no secrets")
    try:
        text = run.world.secrets.get(run.tenant, name, anew=anew)
    except Rejected as refusal:
        raise ExpressionFault(f"secrets.{name}: {refusal.message}") from None
    except Unavailable as outage:
        raise SecretsDown(f"secrets.{name} cannot be read now: {outage}") from outage
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, dict) else text
    return text


def _hidden(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}
    return [_hidden(inner) for inner in value] if isinstance(value, list) else HIDDEN


class _Hiding:
    """Evaluates as usual; what does not come to a value without the secret itself, such as one of its keys, is `***`."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions

    def references(self, text: str) -> References:
        return self._expressions.references(text)

    def mismatches(self, text: str, schemas: Names, patience: Patience) -> list[Mismatch]:
        return self._expressions.mismatches(text, schemas, patience)

    def evaluate(self, text: str, names: Names) -> Any:
        try:
            return self._expressions.evaluate(text, names)
        except ExpressionFault:
            if "secrets" in self.references(text).roots:
                return HIDDEN
            raise


class _Watching:
    """Evaluates as usual, and notes which texts come out of an expression that names a secret: those are to be masked.

    Of a secret that is a map, what was not asked for was not given away.
    """

    def __init__(self, expressions: Expressions, secrets: Mapping[str, Json]) -> None:
        self._expressions = expressions
        self._texts = {value for value in secrets.values() if isinstance(value, str)}
        self._maps = {name: value for name, value in secrets.items() if not isinstance(value, str)}

    def references(self, text: str) -> References:
        return self._expressions.references(text)

    def mismatches(self, text: str, schemas: Names, patience: Patience) -> list[Mismatch]:
        return self._expressions.mismatches(text, schemas, patience)

    def evaluate(self, text: str, names: Names) -> Any:
        asked = self.references(text)
        try:
            value = self._expressions.evaluate(text, names)
        except ExpressionFault:
            self._texts |= {text for name in asked.secrets & self._maps.keys() for text in texts(self._maps[name])}
            raise
        if "secrets" in asked.roots:
            self._texts |= set(texts(value)) | ({encode(value)} if isinstance(value, dict | list) else set())
        return value

    def mask(self) -> Mask:
        return Mask(tuple(sorted(text for text in self._texts if text)))


def texts(value: Json) -> Iterable[str]:
    """Every text in a value. Numbers and truth values cannot be told from others: they are not masked."""
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
