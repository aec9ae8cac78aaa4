"""The command line: `treadle VERB`. Data goes to stdout; progress, messages and faults to stderr.

Law: only click is imported before a verb is chosen, so that `treadle --help` is there at once. VERBS is the whole list;
a verb's module is imported when it is called.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import TracebackType
from typing import Any

import click

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# verb: (module in this package, what it does)
VERBS: dict[str, tuple[str, str]] = {
    "validate": ("definitions", "Check definitions: every fault with its place and a hint."),
    "graph": ("definitions", "Draw a definition."),
    "run": ("running", "Run a definition to its end on this machine."),
    "dev": ("running", "The whole engine on this machine, with its HTTP API."),
    "submit": ("runs", "Register a definition."),
    "start": ("runs", "Start a run of a registered workflow."),
    "runs": ("runs", "List runs, newest first."),
    "show": ("runs", "Show one run."),
    "watch": ("runs", "Follow a run to its end."),
    "history": ("runs", "What happened in a run, in order."),
    "task": ("attempts", "Show one step: its result, where it runs, what it was seen to need."),
    "input": ("attempts", "What a step was given."),
    "signal": ("steering", "Send a signal to a run."),
    "approve": ("steering", "Approve a step that waits for a person."),
    "reject": ("steering", "Reject a step that waits for a person."),
    "decide": ("steering", "Retry, skip or fail a step that failed and waits."),
    "callback": ("attempts", "End a step that waits for somebody elsewhere, by its token."),
    "pause": ("steering", "Dispatch nothing new until the run is resumed."),
    "resume": ("steering", "Go on after a pause."),
    "cancel": ("steering", "End a run."),
    "hold": ("steering", "Keep a run, whatever the engine's data_retention says."),
    "release": ("steering", "End a hold."),
    "retry": ("steering", "Go on from the steps that failed."),
    "amend": ("steering", "Change what has not begun yet."),
    "update": ("people", "Change a run's attributes, metadata or status."),
    "rerun": ("people", "A new run with the same input and plan."),
    "checkpoint": ("people", "Keep what a run has come to."),
    "restore": ("people", "A new run that goes on from a checkpoint."),
    "approvals": ("people", "What you are asked to approve or decide."),
    "audit": ("people", "Who asked for what; `audit verify` checks the trail."),
    "dlq": ("letters", "Messages that were given up: look at them, send them again, drop them."),
    "schema": ("definitions", "Print the JSON Schema of definitions."),
    "openapi": ("definitions", "Print the OpenAPI document of the HTTP API."),
    "bench": ("benching", "What the engine costs, counted, and how fast this machine runs it."),
    "simulate": ("simulating", "Let everything go wrong that can, and see that nothing is lost."),
    "soak": ("soaking", "Thousands of runs while workers die: right ends, nothing left over, memory flat."),
    "doctor": ("doctor", "What is missing on this machine, and how to mend it."),
}


class Verbs(click.Group):
    """A group that imports a verb only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"{__name__}.{VERBS[cmd_name][0]}")
        command: click.Command = module.COMMANDS[cmd_name]
        command.help = command.help or VERBS[cmd_name][1]
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has had enough; click would end with 1, as a run that failed
            from .exits import Exit

            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing fails at exit either
            return Exit.UNREAD

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 1)
            hint = f" Did you mean `{near[0]}`?" if near else " `treadle --help` lists the verbs."
            ctx.fail(f"there is no verb `{args[0]}`.{hint}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, parameter: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from importlib import metadata

        click.echo(f"treadle {metadata.version('treadle')}")
        ctx.exit()


@click.group(cls=Verbs, subcommand_metavar="VERB ...", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version.")
def treadle() -> None:
    """Workflows on this machine or on AWS.

    Exit status: 0 fine, 1 the run failed or the definition is invalid, 2 wrong usage, 3 not found, 4 conflict,
    5 cancelled, 6 the back end cannot be reached, 124 --timeout was reached, 130 stopped by Ctrl-C,
    141 nobody reads the output any more.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a verb and ends the process with its exit status. Faults become sentences on stderr, unforeseen ones too."""
    sys.excepthook = _say_what_happened
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # None where whoever called has closed it
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: what a terminal cannot show is no reason to show nothing
    sys.exit(status_of(arguments))


def _say_what_happened(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if os.environ.get("TREADLE_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    click.echo(f"treadle: this should not have happened: {kind.__name__}: {error}{place}", err=True)
    click.echo("  set TREADLE_TRACEBACK=1 to see where it came from", err=True)


def without_colours() -> bool:
    """As who asks wants it (no-color.org), or his terminal needs it."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb()


def is_dumb() -> bool:
    """A terminal whose cursor does not move."""
    return os.environ.get("TERM") == "dumb"


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; the exit status that it ends with."""
    from ..core.errors import TreadleError
    from .exits import Exit, of_error

    try:
        ended: Any = treadle.main(args=arguments, prog_name="treadle", standalone_mode=False, color=False if without_colours() else None)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return Exit.INTERRUPTED
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        click.echo(f"treadle: {error.filename or 'the output'} cannot be written: {error.strerror}", err=True)
        return Exit.FAILED
    except TreadleError as error:
        return of_error(error)
    return int(ended) if isinstance(ended, int) else Exit.OK
