"""Which engine a verb speaks to: `--stack`, else `--url`, else the `treadle dev` that runs on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from ..core.errors import Unavailable
from .remote import Remote

URL_OUTPUT = "Url"  # the stack's output with the API's address


def remote(stack: str | None, url: str | None, token: str | None) -> Remote:
    """Raises click.UsageError, or Unavailable where there is no engine to be found."""
    if stack and url:
        raise click.UsageError("give --stack or --url, not both")
    if stack:
        url = _url_of_stack(stack)
    if url:
        if not token:
            click.echo("no token: give --token or set TREADLE_TOKEN", err=True)
        return Remote(url, token)
    found = _running()
    if found is None:
        raise Unavailable("there is no engine to speak to: start `treadle dev` in another terminal, or give --url or --stack")
    return Remote(found[0], token or found[1])


def _url_of_stack(stack: str) -> str:
    from ..aws.stacks import outputs

    found = outputs(stack)
    if URL_OUTPUT not in found:
        raise Unavailable(f"the stack {stack} has no output {URL_OUTPUT}: is it a treadle stack, and was its HTTP API left on?")
    return found[URL_OUTPUT]


# ------------------------------------------------------------------------------------------------ the running `treadle dev`


def _note() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "treadle" / "dev.json"


def _running() -> tuple[str, str] | None:
    """(url, token) that `treadle dev` left, or None; a note of one that was killed is no engine."""
    try:
        note = json.loads(_note().read_text(encoding="utf-8"))
        os.kill(note["pid"], 0)
    except PermissionError:  # somebody else's process
        return None
    except (OSError, ValueError, KeyError):
        return None
    return note["url"], note["token"]


@contextmanager
def announced(url: str, token: str) -> Iterator[None]:
    """Other terminals of this user find the engine, for as long as this lasts; of several the one that began last."""
    path = _note()
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, file)
    try:
        yield
    finally:
        found = _running()
        if found is None or found[0] == url:  # not the note of one that began later
            path.unlink(missing_ok=True)
