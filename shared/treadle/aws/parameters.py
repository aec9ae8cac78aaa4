"""Texts in SSM Parameter Store: one call, when a configuration is read."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ..core.errors import NotFound, Unavailable
from .calls import code_of


def read_parameter(name: str, client: Any = None) -> str:
    """The text of a parameter, decrypted. Raises NotFound, Unavailable."""
    try:
        found = (client or boto3.client("ssm")).get_parameter(Name=name, WithDecryption=True)
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            raise NotFound("parameter", name) from None
        raise Unavailable(f"SSM refuses it: {code_of(error)}") from error
    except BotoCoreError as error:
        raise Unavailable(str(error)) from error
    return str(found["Parameter"]["Value"])
