"""Large payloads in S3: `ports.Blobs`. Encryption is the bucket's own default, so nothing is said about it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..core.errors import NotFound
from ..ports import TooLarge
from .calls import ask, code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class AwsBlobs:
    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, content: bytes) -> None:
        ask(self._client.put_object, Bucket=self._bucket, Key=name, Body=content)

    def get(self, name: str, *, most: int | None = None) -> bytes:
        try:
            content: bytes = ask(self._read, name=name, most=most)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            raise NotFound("object", name) from error
        return content

    def under(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        names: list[str] = ask(lambda: [each["Key"] for page in pages for each in page.get("Contents", ())])
        return names

    def remove(self, name: str) -> None:
        ask(self._client.delete_object, Bucket=self._bucket, Key=name)

    def _read(self, name: str, most: int | None) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=name)
        if most is not None and answer["ContentLength"] > most:
            answer["Body"].close()
            raise TooLarge(name)
        return answer["Body"].read()
