"""`treadle bench`: what the engine costs, and how fast this machine runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit
from .options import output_option
from .output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..bench.report import Counted

SCALES = (100, 1_000, 10_000)
LARGE = 100_000
LANES_COLUMNS = ("what", "p50", "p99", "max")
COLUMNS = ("workload", "calls", "wru", "rru", "sqs", "events", "invocations", "bytes", "usd", "speed", "latency")


@click.command
@click.argument("names", nargs=-1, metavar="[NAME...]")
@output_option()
@click.option("--check", is_flag=True, help="Only count, and time starts; exit status 1 if a figure is worse than it may be.")
@click.option("--record", is_flag=True, help="Only count, and write the figures down as what was reached.")
@click.option("--scale/--no-scale", "with_scale", default=None, help="The same work at 100 to 10,000 steps. Default: with all workloads.")
@click.option("--large", is_flag=True, help="And at 100,000.")
@click.option("--items", "lists", type=int, multiple=True, metavar="N", help="Only a forEach over N items: what a worker needs.")
@click.option("--speed/--no-speed", "with_speed", default=True, show_default=True, help="Steps a second on this machine.")
def bench(
    names: tuple[str, ...],
    form: str,
    check: bool,
    record: bool,
    with_scale: bool | None,
    large: bool,
    lists: tuple[int, ...],
    with_speed: bool,
) -> int:
    """Run workloads on the local stack and count what they ask of AWS. NAME: chain10, fan1000, ...; default: all.

    `bench lanes`: how long work waits while other work floods the lanes, by a model of the queues and workers.
    `bench spread`: how work is shared out, and what becomes of it when workers die, in the simulation.
    """
    if lists:
        return _lists(lists, form)
    from ..bench import gates, prices, promises, report
    from ..bench.workloads import WORKLOADS

    if names == ("lanes",):
        return _lanes(form)
    if names == ("spread",):
        return _spread(form)
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise click.BadParameter(f"there is no workload {', '.join(unknown)}: there are {', '.join(WORKLOADS)}", param_hint="NAME")
    counted = [_told(report.count, WORKLOADS[name]) for name in names or WORKLOADS]
    sizes = (*SCALES, LARGE) if large else SCALES
    scale = report.scale(sizes) if (not names if with_scale is None else with_scale) else []
    speeds = {} if check or record or not with_speed else {one.workload: _speed_of(one.workload) for one in counted}
    starts = {} if names else _starts()
    found: dict[str, Any] = {"workloads": {one.workload: one.as_json() | speeds.get(one.workload, {}) for one in counted}}
    found |= {"cold_start": starts} if starts else {}
    _print(form, found | {"scale": scale, "model_ms": promises.milliseconds(), "prices": prices.as_json()}, counted, speeds)
    if record:
        click.echo(f"recorded in {gates.record(counted)}", err=True)
    if not check:
        return Exit.OK
    ratios = starts.get("ratios", {})
    worse = gates.faults(counted) + gates.faults_of_scale(scale) + gates.slow_starts(ratios, gates.TIMED_SLACK)
    for fault in worse:
        click.echo(fault, err=True)
    for told in gates.slow_starts(ratios):
        if told not in worse:
            click.echo(f"{told}; it is timed, and may be this machine's doing", err=True)
    click.echo(f"{len(worse)} figures are worse than they may be" if worse else "all counted figures are within their gates", err=True)
    return Exit.FAILED if worse else Exit.OK


def _lanes(form: str) -> int:
    from ..bench import lanes

    rows = lanes.figures()
    if form == "json":
        print_json({"waited_ms": rows})
    elif form == "jsonl":
        print_lines(rows)
    else:
        print_table([{**row, **{name: f"{row[name]:.0f} ms" for name in ("p50", "p99", "max")}} for row in rows], LANES_COLUMNS)
    return Exit.OK


def _spread(form: str) -> int:
    from ..bench import spread

    found = spread.figures()
    if form == "json":
        print_json(found)
    elif form == "jsonl":
        print_lines([{"figure": figure, **row} for figure, rows in found.items() for row in rows])
    else:
        for rows in found.values():
            print_table([{**row, **({"each": "/".join(map(str, row["each"]))} if "each" in row else {})} for row in rows], tuple(rows[0]))
            click.echo()
    return Exit.OK


def _lists(lists: Sequence[int], form: str) -> int:
    from ..bench.lists import LAMBDA_MB, measure

    rows = []
    for items in lists:
        click.echo(f"a forEach over {items} items", err=True)
        rows.append(measure(items).as_json())
    if form == "json":
        print_json({"lists": rows, "worker_mb": LAMBDA_MB})
    elif form == "jsonl":
        print_lines(rows)
    else:
        print_table(
            [{"n": row["n"], **row["per_item"], **row["peak_mb"]} for row in rows], ("n", "aws_calls", "dynamodb_wru", *rows[0]["peak_mb"])
        )
    return Exit.OK


def _told(count: Any, workload: Any) -> Counted:
    click.echo(f"counting {workload.name}", err=True)
    counted: Counted = count(workload)
    return counted


def _speed_of(name: str) -> dict[str, Any]:
    from ..bench import speed
    from ..bench.workloads import WORKLOADS

    click.echo(f"timing {name}", err=True)
    measured = asdict(speed.measure(WORKLOADS[name]))
    latency = {"p50": measured["p50_ms"], "p99": measured["p99_ms"]}
    return {"timed_runs": measured["runs"], "steps_per_second": measured["steps_per_second"], "latency_ms": latency}


def _starts() -> dict[str, Any]:
    from ..bench import coldstart, gates

    click.echo("starting cold", err=True)
    return coldstart.figures(gates.cold_start())


def _print(form: str, found: Mapping[str, Any], counted: Sequence[Counted], speeds: Mapping[str, Any]) -> None:
    if form == "json":
        print_json(found)
    elif form == "jsonl":
        print_lines({"workload": name, **figures} for name, figures in found["workloads"].items())
    else:
        print_table([_row(one, speeds.get(one.workload, {})) for one in counted], COLUMNS)
        if found["scale"]:
            click.echo()
            print_table([_row_of_scale(row) for row in found["scale"]], ("workload", "n", "calls", "wru", "rru", "usd"))
        if "cold_start" in found:
            click.echo()
            print_table(_rows_of_starts(**found["cold_start"]), ("start", "cpu_ms", "to_boto3"))


def _row(one: Counted, speed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "workload": one.workload,
        **_figures(one.per_step(), one.usd_per_million_steps()),
        "speed": f"{speed['steps_per_second']:.0f}" if speed else None,
        "latency": speed["latency_ms"]["p50"] if speed else None,
    }


def _row_of_scale(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"workload": row["workload"], "n": row["n"], **_figures(row["per_step"], row["usd_per_million_steps"])}


def _rows_of_starts(cpu_ms: Mapping[str, float], ratios: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"start": name, "cpu_ms": ms, "to_boto3": ratios.get(name)} for name, ms in cpu_ms.items() if name != "interpreter"]


def _figures(per_step: Mapping[str, float], usd: float) -> dict[str, str]:
    shown = {"calls": "aws_calls", "wru": "dynamodb_wru", "rru": "dynamodb_rru", "sqs": "sqs_requests", "events": "events"}
    return {
        **{column: f"{per_step[name]:.3f}" for column, name in shown.items()},
        "invocations": f"{per_step['lambda_invocations']:.3f}",
        "bytes": f"{per_step['bytes_written']:.0f}",
        "usd": f"{usd:.2f}",
    }


COMMANDS = {"bench": bench}
