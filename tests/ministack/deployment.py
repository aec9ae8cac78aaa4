"""Deploying the synthesised template as it is: assets published where it looks for them, then create_stack."""

from __future__ import annotations

import io
import json
import platform
import sys
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from treadle.auth import Role

from infra import layer
from tests.infra import synthesis
from tests.ministack.emulator import ACCOUNT, REGION, Emulator

STACK = "treadle"
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
DEPLOYS_WITHIN_S = 90
PASSWORD = "Weaving-1804-loom"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:ops"
TARGETS = {"ops": {"sns": TOPIC}}
UNKNOWN_TYPES = {"AWS::Events::Archive"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Deployed:
    """A deployed stack, seen from outside: its outputs, its HTTP API, and somebody's token."""

    emulator: Emulator
    outputs: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, *, as_: str | None = "admin", headers: dict[str, str] | None = None) -> Answer:
        """`as_`: the role whose token goes with it; None: no token. `body` is sent as JSON."""
        sent = {"content-type": "application/json", "host": self._host, **(headers or {})}
        if as_ is not None:
            sent["authorization"] = f"Bearer {self.tokens[as_]}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.emulator.url}/v1{path}", data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=40) as response:
                return _answer(response)
        except urllib.error.HTTPError as refused:
            return _answer(refused)

    def until_final(self, run_id: str, *, within_s: float = 90) -> dict[str, Any]:
        """The run once it is at its end. Raises TimeoutError with what it looked like."""
        until = time.monotonic() + within_s
        while True:
            run: dict[str, Any] = self.call("GET", f"/runs/{run_id}").body
            if run.get("status") in ("succeeded", "failed", "cancelled", "timedOut"):
                return run
            if time.monotonic() > until:
                raise TimeoutError(f"after {within_s} s: {json.dumps(run)[:2000]}")
            time.sleep(0.25)

    @property
    def blobs(self) -> str:
        """The bucket of large payloads: the environment of any function names it."""
        about = self.emulator.client("lambda").get_function_configuration(FunctionName=self.functions["api"])
        return str(about["Environment"]["Variables"]["TREADLE_BLOBS"])

    @cached_property
    def functions(self) -> dict[str, str]:
        """Name in the topology -> physical name."""
        listed = self.emulator.client("lambda").list_functions()["Functions"]
        return {function["Handler"].split(".")[1]: function["FunctionName"] for function in listed}

    @property
    def _host(self) -> str:
        """API Gateway's; the emulator listens on one port for all services and looks at the name."""
        return self.outputs["Url"].removeprefix("https://").removeprefix("http://").split("/")[0]


def deploy(emulator: Emulator) -> Deployed:
    folder = synthesis.assembly(retain=False, config=json.dumps({"workflow_engine": {"integration": {"notifications": TARGETS}}}))
    publish(emulator, folder)
    formation = emulator.client("cloudformation")
    emulator.client("s3").put_object(
        Bucket=ASSETS, Key="template.json", Body=json.dumps(_for_the_emulator(synthesis.template(folder))).encode()
    )
    formation.create_stack(
        StackName=STACK,
        TemplateURL=f"{emulator.url}/{ASSETS}/template.json",
        Capabilities=["CAPABILITY_IAM"],
        OnFailure="DO_NOTHING",
    )
    outputs = _outputs(formation)
    return Deployed(emulator, outputs, _tokens(emulator, outputs["UserPool"], outputs["UserPoolClient"]))


def _for_the_emulator(template: dict[str, Any]) -> dict[str, Any]:
    """The template, but for what the emulator does not do as AWS does:

    it does not know one type (nothing refers to it), it speaks plain HTTP on loopback, which our policies refuse, and it wants
    a permission named after the batch call where AWS knows only that for the single one.
    """
    resources = {}
    for id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            _grant_batches(resource)
        if resource["Type"] not in UNKNOWN_TYPES and not _only_refuses(resource):
            resources[id] = resource
    return {**template, "Resources": resources}


def _grant_batches(role: dict[str, Any]) -> None:
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "sqs:SendMessage":
                statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]


def _only_refuses(resource: dict[str, Any]) -> bool:
    """Takes the refusals out of a policy of a queue or bucket, and says whether nothing is left."""
    document = resource.get("Properties", {}).get("PolicyDocument")
    if document is None:
        return False
    document["Statement"] = [item for item in document["Statement"] if item["Effect"] != "Deny"]
    return not document["Statement"]


def publish(emulator: Emulator, folder: Path) -> None:
    """What `cdk bootstrap` and `cdk-assets publish` do."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=ASSETS)
    emulator.client("ssm").put_parameter(Name=BOOTSTRAP, Value="30", Type="String")
    (manifest,) = folder.glob("*.assets.json")
    for file in json.loads(manifest.read_text())["files"].values():
        (destination,) = file["destinations"].values()
        if file["source"]["packaging"] == "zip":
            source = folder / file["source"]["path"]
            s3.put_object(Bucket=ASSETS, Key=destination["objectKey"], Body=_zipped(_for_this_machine(source)))


def _for_this_machine(source: Path) -> Path:
    """The layer's place is taken by one with wheels for the machine that the emulator runs Lambdas on."""
    if not (source / "python").is_dir():
        return source
    machine = platform.machine()
    return layer.stage(
        layer.Target(
            python=f"{sys.version_info[0]}.{sys.version_info[1]}", platforms=(f"manylinux_2_28_{machine}", f"manylinux2014_{machine}")
        )
    )


def _zipped(folder: Path) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder))
    return into.getvalue()


def _outputs(formation: Any) -> dict[str, str]:
    until = time.monotonic() + DEPLOYS_WITHIN_S
    while time.monotonic() < until:
        (stack,) = formation.describe_stacks(StackName=STACK)["Stacks"]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.2)
    events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events if "FAILED" in event["ResourceStatus"]
    ]
    raise RuntimeError("the stack was not created:\n" + "\n".join(failed))


def _tokens(emulator: Emulator, pool: str, client: str) -> dict[str, str]:
    """One user for each role, signed in. The second factor and the password exchange are not what is tried here, so both are eased."""
    cognito = emulator.client("cognito-idp")
    cognito.set_user_pool_mfa_config(UserPoolId=pool, MfaConfiguration="OFF")
    cognito.update_user_pool_client(UserPoolId=pool, ClientId=client, ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"])
    tokens = {}
    for role in Role:
        name = f"{role.value}@example.com"
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=role.value)
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        tokens[role.value] = answer["AuthenticationResult"]["IdToken"]
    return tokens


def _answer(response: Any) -> Answer:
    raw = response.read()
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        body = raw.decode(errors="replace")
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)
