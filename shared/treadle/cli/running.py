"""Verbs that bring their own engine: the whole local stack, in this process."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import TreadleError, Unavailable
from .definitions import show
from .exits import Exit, of_run
from .live import Live
from .named import options_in_use, secrets_in_use, tell_notification, tell_tasks, tell_warnings
from .options import SOURCE, config_option, input_option, output_option, secrets_option, tasks_option, timeout_option
from .output import print_run, print_value
from .target import announced

if TYPE_CHECKING:
    from ..local.dev import Dev
    from ..testing import LocalEngine

LOOK_EVERY_S = 0.1
PORT = 8080


def _in_a_folder(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Before the run, which may be long."""
    if file is not None and not os.access(file.parent, os.W_OK):
        missing = "there is no folder" if not file.parent.is_dir() else "nothing can be written into the folder"
        raise click.BadParameter(f"{missing} {file.parent}")
    return file


@click.command
@click.argument("file", type=SOURCE)
@input_option
@tasks_option
@config_option
@secrets_option
@click.option("--skip-time", is_flag=True, help="Waits, delays and back-offs take no real time.")
@timeout_option
@click.option(
    "--html",
    "picture",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_in_a_folder,
    metavar="FILE",
    help="Also draw the run into this file.",
)
@output_option()
def run(
    file: Path,
    value: Any,
    tasks: tuple[str, ...],
    config: Path | None,
    secrets_file: Path | None,
    skip_time: bool,
    timeout_s: float | None,
    picture: Path | None,
    form: str,
) -> int:
    """Run the definition in FILE to its end on this machine, and show its steps as they go."""
    from ..definition.reading import read
    from ..testing import LocalEngine

    with options_in_use(tasks):
        embedded = LocalEngine(tasks=list(tasks), skip_time=skip_time, config=config, secrets=secrets_in_use(secrets_file))
    tell_warnings(embedded.stack.configured.warnings)
    embedded.stack.notifications.tells = tell_notification
    live = Live()
    with embedded as engine:
        faults = engine.validate(file)
        if any(fault.severity == "error" for fault in faults):
            show(file, faults, file.read_text(encoding="utf-8", errors="replace"), is_error=True)
            tell_tasks(faults, engine.stack.tasks, tasks)
            return Exit.FAILED
        document = read(file).value
        view = _followed(engine, engine.start(file, input=value), timeout_s, live)
    print_run(form, view, with_steps=not live.is_drawing, can_ask=False)
    if picture:
        _draw(picture, document, view)
    return of_run(view["status"]) if view["endedAt"] else Exit.TIMEOUT


def _followed(engine: LocalEngine, run_id: str, timeout_s: float | None, live: Live) -> dict[str, Any]:
    """The last view of the run: at its end, or when the time was up."""
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = LOOK_EVERY_S if ends_at is None else min(LOOK_EVERY_S, ends_at - time.monotonic())
        view = _look(engine, run_id, max(left_s, 0))
        live.show(view, _advice(view))
        if view["endedAt"] or left_s <= 0:
            return view


def _advice(view: dict[str, Any]) -> str:
    """Where the run waits for somebody, who cannot reach an engine that lives in this process only."""
    if view["status"] != "waiting":
        return ""
    waiting = ", ".join(path for path, step in view["steps"].items() if step["status"] == "waiting")
    return f"waiting: {waiting}. Nobody can answer a run in here: start it under `treadle dev` for that. Ctrl-C stops it"


def _look(engine: LocalEngine, run_id: str, at_most_s: float) -> dict[str, Any]:
    try:
        view = engine.wait(run_id, timeout=at_most_s)
    except TimeoutError:
        view = engine.show(run_id)
    shown: dict[str, Any] = view.model_dump(mode="json", by_alias=True)
    return shown


def _draw(picture: Path, document: Any, view: dict[str, Any]) -> None:
    from ..drawing import draw

    try:
        picture.write_text(draw("html", document, view), encoding="utf-8")
    except OSError as fault:
        raise TreadleError(f"the run cannot be drawn into {picture}: {fault.strerror}") from None
    click.echo(f"drawn: {picture}", err=True)


def _person(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    from ..auth import Role

    people = {}
    for text in texts:
        name, _, given = text.partition(":")
        roles = given.split(",") if given else [Role.ADMIN.value]
        if unknown := sorted(set(roles) - set(Role)):
            raise click.BadParameter(f"there is no role `{unknown[0]}`: a role is one of {', '.join(Role)}")
        if not name:
            raise click.BadParameter(f"`{text}` names nobody: NAME, or NAME:ROLE,ROLE")
        people[name] = roles
    return people


@click.command
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free one.")
@tasks_option
@config_option
@secrets_option
@click.option("--skip-time", is_flag=True, help="Waits, delays and back-offs take no real time.")
@click.option(
    "--person",
    "people",
    multiple=True,
    callback=_person,
    metavar="NAME[:ROLE,...]",
    help="Also print a token of NAME, to approve as NAME. An admin, unless roles are given. May be repeated.",
)
@output_option()
def dev(
    port: int,
    tasks: tuple[str, ...],
    config: Path | None,
    secrets_file: Path | None,
    skip_time: bool,
    people: dict[str, list[str]],
    form: str,
) -> int:
    """The whole engine on this machine until Ctrl-C: HTTP API, queues, table. Other verbs find it by themselves."""
    from ..local.dev import serve

    with ExitStack() as stack:
        try:
            with options_in_use(tasks):
                secrets = secrets_in_use(secrets_file)
                engine = stack.enter_context(serve(port, tasks=list(tasks), config=config, skip_time=skip_time, secrets=secrets))
        except OSError as taken:
            raise Unavailable(f"port {port} cannot be served on ({taken.strerror}); `--port 0` takes any free one") from None
        tell_warnings(engine.stack.configured.warnings)
        engine.stack.notifications.tells = tell_notification
        engine.stack.tell_refusals(tell_notification)
        stack.enter_context(announced(engine.url, engine.token))
        tokens = {name: engine.token_of(name, roles) for name, roles in people.items()}
        if form == "table":
            click.echo(_welcome(engine, tokens))
            click.echo("stop with Ctrl-C", err=True)
        else:
            addresses = {"url": engine.url, "token": engine.token, "endpointUrl": engine.endpoint_url}
            print_value(form, {**addresses, "bus": engine.bus, "inbox": engine.inbox, "people": tokens})
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began this in the background
        with suppress(KeyboardInterrupt):  # how it is meant to end
            threading.Event().wait()
    return Exit.OK


def _welcome(engine: Dev, tokens: dict[str, str]) -> str:
    lines = [
        f"API    {engine.url}/v1",
        f"token  {engine.token}",
        *(f"token  {token}  of {name}" for name, token in tokens.items()),
        f"AWS    {engine.endpoint_url}  for boto3 and aws --endpoint-url; any credentials, any region",
        f"bus    {engine.bus}",
        f"inbox  s3://{engine.inbox}",
    ]
    return "\n".join(lines)


COMMANDS = {"run": run, "dev": dev}
