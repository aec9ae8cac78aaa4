"""Where a configuration comes from: defaults < an SSM parameter < a file < the environment, value by value.

    TREADLE_INITIALIZATION__MAX_CONCURRENT_WORKFLOWS=20     one value: section and keys in capitals, two underscores between them
    TREADLE_CONFIG=engine.yaml                              the file, where none is named
    TREADLE_CONFIG_PARAMETER=/treadle/engine                the parameter: the text of a file

Each source is checked by itself, so that a fault is told with its own line; then they are laid over each other. All faults of
all sources are told at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from ..core.errors import NotFound, TreadleError, Unavailable
from ..definition.diagnostics import Code, Fault, Path, Severity, pointer
from ..definition.document import Document
from ..definition.reading import read, read_data, read_text
from ..definition.structure import structure_faults
from ..hooks import SHIPPED
from .checks import Finding, Trouble, is_error, of_source, troubles
from .model import Configuration, File

ROOT = "workflow_engine"
PREFIX = "TREADLE_"
FILE, PARAMETER = "TREADLE_CONFIG", "TREADLE_CONFIG_PARAMETER"


class Target(StrEnum):
    LOCAL = "local"
    DEPLOYED = "deployed"


class InvalidConfiguration(TreadleError, ValueError):
    """`findings`: all of them."""

    def __init__(self, findings: Collection[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


@dataclass(frozen=True, slots=True)
class Loaded:
    """`origins`: by dotted key, the source of each value that is not a default. `config` is None when there is an error."""

    config: Configuration | None
    findings: tuple[Finding, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not is_error(finding))

    def required(self) -> Configuration:
        """Raises InvalidConfiguration with every fault."""
        if self.config is None:
            raise InvalidConfiguration([finding for finding in self.findings if is_error(finding)])
        return self.config


@dataclass(frozen=True, slots=True)
class Source:
    """`value`: what it lays over the sources before it, below ROOT."""

    name: str
    document: Document
    value: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()

    def place(self, path: Path) -> tuple[int | None, int | None]:
        told = self.document.diagnose([Fault(Code.BAD_VALUE, "", (ROOT, *path))])[0]
        return told.line, told.column


def load(
    given: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    read_parameter: Callable[[str], str] | None = None,
    target: Target = Target.LOCAL,
    extensions: Collection[str] | None = None,
) -> Loaded:
    """The configuration that all sources together give. `given`: a file's path, its text or its data.

    `read_parameter`: SSM by default. `extensions`: the hooks there are; those of the installed packages by default.
    """
    sources = list(_sources(given, environment, read_parameter or _from_ssm))
    findings = [finding for source in sources for finding in source.findings]
    merged: dict[str, Any] = {}
    origins: dict[Path, Source] = {}
    for source in sources:
        _lay(merged, source.value, (), source, origins)
    try:
        config = File.model_validate({ROOT: merged}).workflow_engine
    except ValidationError:
        # what is left where a fault was taken out, or what several sources make together, is not whole
        if not any(map(is_error, findings)):
            findings += [_placed(_trouble(fault), origins) for fault in structure_faults({ROOT: merged}, File)]
        return Loaded(None, tuple(findings), _shown(origins))
    known = _installed_hooks() if extensions is None else extensions
    for trouble in troubles(config, origins.keys(), known, deployed=target is Target.DEPLOYED):
        findings.append(_placed(trouble, origins))
    return Loaded(None if any(map(is_error, findings)) else config, tuple(findings), _shown(origins))


def _installed_hooks() -> set[str]:
    return {*SHIPPED, *(point.name for point in entry_points(group="treadle.hooks"))}


# ------------------------------------------------------------------------------------------------ the sources


def _sources(given: Any, environment: Mapping[str, str], read_parameter: Callable[[str], str]) -> Iterator[Source]:
    if name := environment.get(PARAMETER):
        yield _parameter(name, read_parameter)
    file = given if given is not None else environment.get(FILE)
    if file:
        yield _file(file)
    for variable in sorted(environment):
        parts = variable.removeprefix(PREFIX).lower().split("__")
        if variable.startswith(PREFIX) and len(parts) > 1:
            yield _variable(variable, parts, environment[variable])


def _file(given: Any) -> Source:
    if isinstance(given, Mapping):
        return _checked("the configuration", read_data(given))
    if isinstance(given, str) and ("\n" in given or given.lstrip().startswith("{")):
        return _checked("the configuration", read_text(given))
    try:
        return _checked(os.fspath(given), read(FilePath(given)))
    except OSError as fault:
        return _unreachable(os.fspath(given), f"cannot be read: {fault.strerror or fault}")


def _parameter(name: str, read_parameter: Callable[[str], str]) -> Source:
    shown = f"parameter {name}"
    try:
        return _checked(shown, read_text(read_parameter(name)))
    except NotFound as fault:
        return _unreachable(shown, str(fault))
    except Unavailable as fault:
        return _unreachable(shown, f"cannot be read: {fault}")


def _from_ssm(name: str) -> str:
    from ..aws.parameters import read_parameter

    return read_parameter(name)


def _variable(name: str, parts: list[str], text: str) -> Source:
    value: Any = read_text(text).value if text else ""
    for part in reversed(parts):
        value = {part: value}
    return _checked(f"variable {name}", read_data({ROOT: value}))


def _checked(name: str, document: Document) -> Source:
    faults = list(document.faults)
    if document.is_readable:
        faults += structure_faults(document.value, File)
    findings = tuple(Finding.of(name, told) for told in document.diagnose(faults))
    sound = _without(document.value, [fault.path for fault in faults])
    value = sound.get(ROOT) if isinstance(sound, Mapping) else None
    return Source(name, document, value if isinstance(value, Mapping) else {}, findings)


def _without(value: Any, faulty: Collection[Path]) -> Any:
    """What is left when whatever a fault was told of is taken out (of a list, all of it), so that the rest can be checked further."""
    if not faulty:
        return value
    if () in faulty or not isinstance(value, Mapping):
        return {}
    below = {key: [path[1:] for path in faulty if path[0] == key] for key in value}
    kept = [key for key, paths in below.items() if not paths or (isinstance(value[key], Mapping) and () not in paths)]
    return {key: _without(value[key], below[key]) for key in kept}


def _unreachable(name: str, message: str) -> Source:
    return Source(name, read_data({}), {}, (Finding(name, "unreachable", Severity.ERROR, message, ""),))


# ------------------------------------------------------------------------------------------------ laying them over each other


def _lay(into: dict[str, Any], value: Mapping[str, Any], path: Path, source: Source, origins: dict[Path, Source]) -> None:
    """Maps are merged key by key; anything else, lists too, replaces what was there."""
    for key, inner in value.items():
        here = (*path, key)
        if isinstance(inner, Mapping):
            standing = into.setdefault(key, {})
            into[key] = standing if isinstance(standing, dict) else {}
            _lay(into[key], inner, here, source, origins)
        else:
            into[key] = inner
            origins[here] = source


def _trouble(fault: Fault) -> Trouble:
    return Trouble(fault.code.value, fault.message, fault.path[1:], fault.hint)


def _placed(trouble: Trouble, origins: Mapping[Path, Source]) -> Finding:
    """With the place of the value that is meant; of a map, of the first value below it; of what is missing, of what stands around it;
    of a default, none."""
    path = trouble.path
    standing = [at for at in origins if at[: len(path)] == path or path[: len(at)] == at]
    for cut in range(len(path) - 1, 1, -1):
        standing = standing or [at for at in origins if at[:cut] == path[:cut]]
    if not standing:
        return of_source(trouble, "the configuration", None, None, pointer((ROOT, *path)))
    source = origins[standing[0]]
    return of_source(trouble, source.name, *source.place(path), pointer((ROOT, *path)))


def _shown(origins: Mapping[Path, Source]) -> dict[str, str]:
    shown = {}
    for path, source in origins.items():
        line, _ = source.place(path)
        shown[".".join(map(str, path))] = f"{source.name}:{line}" if line else source.name
    return shown
