"""Who is told of what happens to runs: the targets that the configuration names, and the delivery of one notification to one of them.

Law: delivered at least once, under an id that is the same each time. What could not be delivered goes back to its queue and is
tried again, later each time; after the last time it is a dead letter, and the run's history says so. Nothing of this is on a
step's way: the engine puts its events on the bus and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import acts
from .core.errors import TaskError, TreadleError
from .core.model import SCHEMA
from .engine.items import digest, run_key
from .engine.messages import of_this_version
from .engine.run import Run
from .engine.world import World
from .ports import Event, Message, Secrets
from .tasks.webhooks import GONE, NoSigningSecret, Webhooks
from .topology import NOTIFY_AGAIN_S

QUEUE = "notifications"
DEPLOYERS = "+notifications"  # in the place of a tenant: secrets that no definition can name
KINDS = ("RunFailed", "RunTimedOut", "RunCancelled", "RunSucceeded", "RunWaiting")  # events that a target may subscribe to


class Undelivered(TreadleError):
    """`is_final`: nobody is there any more, it is not worth another attempt."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Target:
    """One of `webhook` (a URL, with the name of the `secret` that signs what it is sent) and `sns` (a topic's ARN); neither: whoever
    listens to the bus. `on`: kinds of events of runs that it is told of, beside the escalations that name it."""

    name: str
    webhook: str | None = None
    secret: str | None = None
    sns: str | None = None
    on: tuple[str, ...] = ()

    @property
    def is_told(self) -> bool:
        """By the notifier; the bus tells the others itself."""
        return self.webhook is not None or self.sns is not None


class Targets(dict[str, Target]):
    """By name."""

    @classmethod
    def from_json(cls, given: Mapping[str, Mapping[str, Any]]) -> Targets:
        """As the configuration has them, checked there."""
        return cls({name: _target(name, said) for name, said in given.items()})

    @property
    def named(self) -> tuple[str, ...]:
        """Those that rungs may name and the notifier tells."""
        return tuple(name for name, target in self.items() if target.is_told)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Events that some target has subscribed to."""
        return tuple(kind for kind in KINDS if any(kind in target.on for target in self.values()))

    def of(self, event: Mapping[str, Any]) -> list[Target]:
        """Whom the notifier has to tell of a CloudEvent."""
        if event["type"] == "EscalationRaised":
            named = self.get(str(event["data"].get("notify")))
            return [named] if named is not None and named.is_told else []
        return [target for target in self.values() if event["type"] in target.on]


def _target(name: str, said: Mapping[str, Any]) -> Target:
    return Target(name, said.get("webhook"), said.get("secret"), said.get("sns"), tuple(said.get("on", ())))


@dataclass(frozen=True, slots=True)
class Notification:
    """What one target is told. `id`: the same for each attempt. `event`: the CloudEvent as it was on the bus, and in its data `url`,
    the run's address, and `input`, that of what the step was given. `now`: ms, of this attempt."""

    id: str
    target: Target
    event: Mapping[str, Any]
    now: int

    @property
    def body(self) -> bytes:
        return json.dumps(self.event, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def subject(self) -> str:
        """One line for people."""
        data = self.event["data"]
        step = f" step {data['path']}" if data.get("path") else ""
        return f"treadle: {self.event['type']}: {data['workflow']} run {data['run']}{step}"


class Channel(Protocol):
    def __call__(self, told: Notification, /) -> None:
        """Deliver it. Raises TreadleError or ValueError where that cannot be."""
        ...


class Topics(Protocol):
    def publish(self, arn: str, subject: str, body: str, attributes: dict[str, str]) -> None:
        """Raises Unavailable, or what the service refuses it with."""
        ...


@dataclass
class Outward:
    """The channel of a deployment: webhooks over HTTPS, topics over SNS."""

    webhooks: Webhooks
    topics: Topics
    secrets: Secrets | None

    def __call__(self, told: Notification, /) -> None:
        target = told.target
        if target.webhook is not None:
            self._post(target.webhook, target.secret or "", told)
        elif target.sns is not None:
            data = told.event["data"]
            about = {"type": told.event["type"], "workflow": data["workflow"], "severity": data.get("severity"), "id": told.id}
            attributes = {name: str(value) for name, value in about.items() if value is not None}
            self.topics.publish(target.sns, told.subject, told.body.decode(), attributes)

    def _post(self, url: str, secret: str, told: Notification) -> None:
        if self.secrets is None:
            raise Undelivered(f"the secret {secret} cannot be read: this deployment has no secrets")
        try:
            status = self.webhooks.post(url, self.secrets.get(DEPLOYERS, secret), told.id, told.now, told.body)
        except TaskError as fault:
            raise Undelivered(f"{fault.name}: {fault.message}") from None
        except NoSigningSecret as fault:
            raise Undelivered(f"the secret {secret} cannot sign: {fault}") from None
        if not 200 <= status < 300:
            raise Undelivered(f"the webhook answered {status}", is_final=status == GONE)


@dataclass
class Notifier:
    """`channel`: by which targets are reached."""

    world: World
    targets: Targets
    channel: Channel
    retry_after_s: tuple[int, ...] = field(default=NOTIFY_AGAIN_S)

    def take(self, body: Mapping[str, Any], attempt: int) -> int | None:
        """A message of the queue: an event from the bus, or one for a single target. Returns when it is to come again (ms).

        Raises Unavailable, Newer.
        """
        if "target" in body:
            of_this_version(body)
            return self._deliver(str(body["target"]), body["event"], attempt)
        event = body["detail"]
        targets = self.targets.of(event)
        if len(targets) == 1:
            return self._deliver(targets[0].name, event, attempt)
        one_by_one = [Message(QUEUE, {"schema": SCHEMA, "target": target.name, "event": event}) for target in targets]
        if one_by_one:
            self.world.lanes.send(one_by_one)
        return None

    def _deliver(self, name: str, event: Mapping[str, Any], attempt: int) -> int | None:
        target, now = self.targets.get(name), self.world.clock.now()
        try:
            if target is None or not target.is_told:
                raise Undelivered("the configuration names no such target any more", is_final=True)
            self.channel(Notification(digest(event["id"], name), target, self._with_address(event), now))
        except (TreadleError, ValueError) as fault:
            return self._failed(name, event, attempt, fault)
        self._tell_run(name, event, attempt, None)
        return None

    def _with_address(self, event: Mapping[str, Any]) -> dict[str, Any]:
        if self.world.url is None:
            return dict(event)
        data = event["data"]
        addresses = {"url": f"{self.world.url}/v1/runs/{data['run']}"}
        if data.get("input"):
            addresses["input"] = f"{self.world.url}{data['input']}"
        return {**event, "data": {**data, **addresses}}

    def _failed(self, name: str, event: Mapping[str, Any], attempt: int, fault: Exception) -> int | None:
        """Told once it is given up: of a message that has failed for the last time the queue makes a dead letter."""
        is_final = isinstance(fault, Undelivered) and fault.is_final
        if not is_final and attempt <= len(self.retry_after_s):
            return self.world.clock.now() + self.retry_after_s[attempt - 1] * 1000
        data = event["data"]
        told = {"run": data["run"], "workflow": data["workflow"], "tenant": data["tenant"], "target": name, "event": event["type"]}
        identity = digest(event["id"], name, "failed")
        failed = {**told, "attempts": attempt, "error": str(fault)}
        self.world.tell([Event("NotificationFailed", identity, data["run"], self.world.clock.now(), failed)])
        self._tell_run(name, event, attempt, str(fault))
        return None if is_final else self.world.clock.now()

    def _tell_run(self, name: str, event: Mapping[str, Any], attempts: int, error: str | None) -> None:
        """A line in its history. A run that is gone has none."""
        control = self.world.store.get(run_key(event["data"]["run"]))
        if control is None:
            return
        told = {"target": name, "event": event["type"], "path": event["data"].get("path"), "level": event["data"].get("level")}
        run = Run(self.world, control["pk"], control)
        acts.note(run, acts.NOTIFIED, digest(event["id"], name), **told, attempts=attempts, error=error)
