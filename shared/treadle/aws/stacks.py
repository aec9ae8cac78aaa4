"""What a deployed stack says of itself."""

from __future__ import annotations

from ..core.errors import NotFound, Unavailable


def outputs(name: str) -> dict[str, str]:
    """The outputs of a CloudFormation stack, with the caller's own credentials. Raises NotFound, Unavailable."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise NotFound("stack", name) from None
        raise Unavailable(f"CloudFormation: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS cannot be asked: {error}; are credentials and a region set?") from error
    return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
