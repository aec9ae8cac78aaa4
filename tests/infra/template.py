"""Looking things up in a CloudFormation template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resource:
    id: str
    type: str
    properties: dict[str, Any]
    rest: dict[str, Any]  # DeletionPolicy, DependsOn, Metadata

    @property
    def arn(self) -> dict[str, Any]:
        return {"Fn::GetAtt": [self.id, "Arn"]}

    def __getitem__(self, name: str) -> Any:
        return self.properties[name]

    def get(self, name: str) -> Any:
        return self.properties.get(name)


class Template:
    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.resources = [
            Resource(id, found["Type"], found.get("Properties", {}), {k: v for k, v in found.items() if k not in ("Type", "Properties")})
            for id, found in content["Resources"].items()
        ]

    def all(self, type: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == type]

    def one(self, type: str) -> Resource:
        (resource,) = self.all(type)
        return resource

    def queue(self, name: str) -> Resource:
        (found,) = [queue for queue in self.all("AWS::SQS::Queue") if queue["QueueName"] == name]
        return found

    def function(self, name: str) -> Resource:
        (found,) = [item for item in self.all("AWS::Lambda::Function") if item["Description"] == f"treadle {name}"]
        return found

    def role_of(self, function: str) -> Resource:
        arn = self.function(function)["Role"]
        (found,) = [role for role in self.all("AWS::IAM::Role") if role.arn == arn]
        return found

    def granted(self, function: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        """(action, resource, condition) of each thing that the function's role allows."""
        for policy in self.role_of(function)["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                for action in listed(statement["Action"]):
                    for resource in listed(statement["Resource"]):
                        yield action, resource, statement.get("Condition", {})


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
