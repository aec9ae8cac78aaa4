"""What one deployment chooses, read from the CDK context (`cdk.json`, or `--context key=value`).

Everything else about a deployment is the topology's to say, and the same in each of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aws_cdk as cdk
from treadle import topology
from treadle.config import Effects, Target, effects_of, load
from treadle.config.effects import FIXED, NONE, changed_settings
from treadle.core.resources import LAMBDA, Pool, pools_of
from treadle.notifications import Targets

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")  # it begins the names of queues


_IAM_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")


@dataclass(frozen=True)
class Permission:
    """IAM actions on resources, each by its name: no `*` stands for actions."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    @classmethod
    def from_json(cls, given: Any) -> Permission:
        """Raises ValueError."""
        fits = (
            isinstance(given, Mapping)
            and given.keys() == {"actions", "resources"}
            and all(isinstance(each, list) for each in given.values())
        )
        if not fits or not given["actions"] or not given["resources"]:
            raise ValueError(f"taskPermissions: {given!r} is not {{actions: [...], resources: [...]}}")
        if wrong := [action for action in given["actions"] if not _IAM_ACTION.fullmatch(str(action))]:
            raise ValueError(f"taskPermissions: {wrong[0]!r} is not one action, such as sns:Publish")
        return cls(tuple(given["actions"]), tuple(map(str, given["resources"])))


@dataclass(frozen=True)
class Deployment:
    """`name` is the stack's. Without an `issuer` (and its `audience`) the stack makes a Cognito user pool of its own.

    `retain`: table, buckets, key and logs outlive the stack. `alarm_topic`: ARN of the SNS topic that alarms tell; None: they
    only show. `function_arns`: the Lambdas that the task `lambda` may invoke. `permissions`: what the task `aws` needs of IAM for the
    calls that it is allowed. `tasks`: the modules that the
    workers load tasks from, `task_layers` ARNs of the layers that bring them, `settings` the engine's, by name.
    `effects`: what the `workflow_engine:` file (`config`) asks for; `settings` stand above its own.
    `worker_image`, `worker_subnets`, `worker_security_groups`: of what, and where, the workers run that are no Lambdas.
    `layer`: `staged` is the real one, `placeholder` an empty folder, enough to look at the template without a package index.
    """

    name: str = "treadle"
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    retain: bool = True
    alarm_topic: str | None = None
    function_arns: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    tasks: tuple[str, ...] = ()
    task_layers: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str = "staged"
    effects: Effects = field(default_factory=Effects)
    replica_keys: Mapping[str, str] = field(default_factory=dict)  # of the configuration's `replica_regions`: the key in each
    worker_image: str | None = None
    worker_subnets: tuple[str, ...] = ()
    worker_security_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is not up to 32 lower-case letters, digits and dashes, a letter first")
        if bool(self.issuer) != bool(self.audience):
            raise ValueError("issuer and audience belong together: give both or neither")
        if self.layer not in ("staged", "placeholder"):
            raise ValueError(f"layer: {self.layer!r} is neither staged nor placeholder")
        if keyless := [region for region in self.effects.replicas if region not in self.replica_keys]:
            told = f'give replicaKeys, such as {{"{keyless[0]}": "arn:aws:kms:..."}}'
            raise ValueError(f"a copy of the table in {keyless[0]} needs a key of that region: {told} (docs/how-to/deploy.md)")
        for pool in self.pools:
            if pool.kind != LAMBDA and not (self.worker_image and self.worker_subnets and self.worker_security_groups):
                told = "give workerImage, workerSubnets and workerSecurityGroups (docs/how-to/size-workers.md)"
                raise ValueError(f"the pool {pool.name} is of containers, which need an image and a network: {told}")

    @classmethod
    def from_context(cls, app: cdk.App) -> Deployment:
        """Lists may be given as JSON (`cdk.json`) or with commas (the command line)."""

        def given(key: str) -> Any:
            return app.node.try_get_context(key)

        return cls(
            name=given("name") or cls.name,
            issuer=given("issuer") or None,
            audience=_list(given("audience")),
            retain=_flag(given("retain"), default=True),
            alarm_topic=given("alarmTopic") or None,
            function_arns=_list(given("functionArns")),
            permissions=tuple(Permission.from_json(each) for each in _json(given("taskPermissions")) or ()),
            tasks=_list(given("tasks")),
            task_layers=_list(given("taskLayers")),
            settings=_object(given("settings")),
            layer=given("layer") or cls.layer,
            effects=_configured(given("config")),
            replica_keys=_object(given("replicaKeys")),
            worker_image=given("workerImage") or None,
            worker_subnets=_list(given("workerSubnets")),
            worker_security_groups=_list(given("workerSecurityGroups")),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the choices mean to a worker: variables beside those of the topology."""
        said = {"TREADLE_SETTINGS": self._settings, "TREADLE_EXTENSIONS": list(self.effects.extensions), "TREADLE_ALLOW": self._allowed}
        said |= {"TREADLE_NOTIFICATIONS": self.effects.notified}
        chosen = {"TREADLE_TASKS": " ".join(self.tasks)} | {name: json.dumps(value) if value else "" for name, value in said.items()}
        return {name: value for name, value in chosen.items() if value}

    @property
    def replicas(self) -> dict[str, str]:
        """Region -> its key."""
        return {region: self.replica_keys[region] for region in self.effects.replicas}

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Of workers. Where nobody said anything there is the default one, and no other may be asked for."""
        return pools_of(self._settings["pools"])

    @property
    def _settings(self) -> dict[str, Any]:
        return {"pools": {}} | changed_settings(self.effects.settings) | dict(self.settings)

    @property
    def _allowed(self) -> dict[str, Any]:
        """What tasks may reach: of the file, and each function that may be invoked anyway."""
        allowed = dict(self.effects.allow)
        functions = dict.fromkeys((*allowed.get("functions", ()), *self.function_arns))
        return allowed | ({"functions": list(functions)} if functions else {})

    @property
    def targets(self) -> Targets:
        """Who is told of what happens to runs."""
        return Targets.from_json(self.effects.notified)

    def has(self, function: topology.Function) -> bool:
        """Whether this deployment needs the function, and the queues that it consumes."""
        if function.notifies:
            return bool(self.targets.named)
        return self.effects.api or not function.http

    def concurrency_of(self, queue: topology.Queue) -> int:
        """Invocations at a time of the workers behind a queue."""
        return {"auto": queue.max_concurrency, "fixed": min(FIXED, queue.max_concurrency), "none": NONE}[self.effects.scaling]

    @property
    def removal(self) -> cdk.RemovalPolicy:
        return cdk.RemovalPolicy.RETAIN if self.retain else cdk.RemovalPolicy.DESTROY


def _configured(file: str | None) -> Effects:
    """Raises InvalidConfiguration, a ValueError with every fault."""
    loaded = load(file, target=Target.DEPLOYED)
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return effects_of(loaded.required()) if loaded.origins or loaded.findings else Effects()


def _list(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)


def _object(value: Any) -> dict[str, Any]:
    """Raises ValueError for text that is no JSON object."""
    loaded = _json(value) or {}
    if not isinstance(loaded, dict):
        raise ValueError(f"settings: {value!r} is no JSON object")
    return loaded


def _json(value: Any) -> Any:
    """JSON is text where it comes from the command line."""
    return json.loads(value) if isinstance(value, str) else value


def _flag(value: Any, *, default: bool) -> bool:
    if value is None:
        return default
    return str(value).lower() not in ("false", "no", "0")
