"""The topology in moto: what is there, that clouds do not see each other, and that time is the local clock's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.request import urlopen

import boto3
import pytest
from treadle import topology
from treadle.local.clock import LocalClock
from treadle.local.cloud import Cloud
from treadle.local.endpoint import AwsEndpoint
from treadle.ports import AtMost, Change, Equals, Message

MINUTE_MS = 60_000


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as it:
        yield it


def bodies(cloud: Cloud, queue: str) -> list[dict[str, object]]:
    answer = cloud.clients.sqs.receive_message(QueueUrl=cloud.names.queue_urls[queue], MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_every_queue_has_a_dead_letter_queue_and_the_visibility_of_the_topology(cloud: Cloud) -> None:
    for queue in topology.QUEUES:
        found = cloud.clients.sqs.get_queue_attributes(QueueUrl=cloud.names.queue_urls[queue.name], AttributeNames=["All"])["Attributes"]
        assert found["VisibilityTimeout"] == str(topology.VISIBILITY_S)
        redrive = json.loads(found["RedrivePolicy"])
        assert redrive["maxReceiveCount"] == queue.max_receives
        assert redrive["deadLetterTargetArn"].endswith(f"{queue.name}-dlq")


def test_an_object_in_the_inbox_is_a_submission(cloud: Cloud) -> None:
    cloud.clients.s3.put_object(Bucket=cloud.names.inbox, Key="inputs/order/1.json", Body=b"{}")
    cloud.clients.s3.put_object(Bucket=cloud.names.blobs, Key="not-a-submission", Body=b"{}")
    (event,) = bodies(cloud, "submissions")
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"]["key"] == "inputs/order/1.json"  # type: ignore[index]


def test_an_object_that_came_in_parts_is_a_submission(cloud: Cloud) -> None:
    s3, bucket = cloud.clients.s3, cloud.names.inbox
    upload = s3.create_multipart_upload(Bucket=bucket, Key="inputs/order/big.json")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="inputs/order/big.json", UploadId=upload, PartNumber=1, Body=b"{}")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="inputs/order/big.json", UploadId=upload, MultipartUpload=parts)  # type: ignore[arg-type]
    events = bodies(cloud, "submissions")  # moto tells it twice, as S3 may
    assert {event["detail"]["object"]["key"] for event in events} == {"inputs/order/big.json"}  # type: ignore[index]


def test_two_clouds_do_not_see_each_other(cloud: Cloud) -> None:
    with Cloud() as other:
        assert other.account != cloud.account
        cloud.adapters().store.put({"pk": "a", "sk": "b"})
        cloud.adapters().lanes.send([Message("lane-normal", {"n": 1})])
        assert other.adapters().store.get(("a", "b")) is None
        assert bodies(other, "lane-normal") == []
    assert cloud.adapters().store.get(("a", "b")) == {"pk": "a", "sk": "b"}


def test_a_cloud_is_empty_again_after_it_was_closed() -> None:
    with Cloud() as first:
        first.adapters().store.put({"pk": "a", "sk": "b"})
    with Cloud() as second:
        assert second.account == first.account
        assert second.adapters().store.get(("a", "b")) is None


def test_anybodys_boto3_client_sees_the_same_table(cloud: Cloud) -> None:
    """Of the cloud that was opened first, which has moto's default account."""
    cloud.adapters().store.put({"pk": "a", "sk": "b", "n": 1})
    theirs = boto3.client("dynamodb", region_name="us-east-1")
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    change = {"UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    theirs.update_item(TableName=cloud.names.table, Key=key, **change)  # type: ignore[arg-type]
    assert cloud.adapters().store.get(("a", "b")) == {"pk": "a", "sk": "b", "n": 2}


def test_an_index_is_right_after_somebody_else_wrote(cloud: Cloud) -> None:
    store = cloud.adapters().store
    store.put({"pk": "a", "sk": "!", "due_shard": 1, "due": 5})
    theirs = boto3.client("dynamodb", region_name="us-east-1")
    item = {"pk": {"S": "b"}, "sk": {"S": "!"}, "due_shard": {"N": "1"}, "due": {"N": "4"}}
    theirs.put_item(TableName=cloud.names.table, Item=item)  # type: ignore[arg-type]
    assert store.query_due(1, 10) == [(("b", "!"), 4), (("a", "!"), 5)]
    assert cloud.next_due_ms() == 4


def test_conditional_writes_of_many_threads_lose_nothing(cloud: Cloud) -> None:
    store = cloud.adapters().store
    store.put({"pk": "n", "sk": "n", "version": 0})
    won: list[int] = []

    def count() -> None:
        for _ in range(40):
            item = store.get(("n", "n"))
            assert item is not None
            if store.update(("n", "n"), Change(add={"version": 1}), Equals("version", item["version"])).ok:
                won.append(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(("n", "n")) == {"pk": "n", "sk": "n", "version": len(won)}


def test_a_stored_item_is_nobodys_to_change(cloud: Cloud) -> None:
    client, key = cloud.clients.dynamodb, {"pk": {"S": "a"}, "sk": {"S": "b"}}
    client.put_item(TableName=cloud.names.table, Item={**key, "list": {"L": [{"S": "x"}]}})  # type: ignore[arg-type]
    client.get_item(TableName=cloud.names.table, Key=key)["Item"]["list"]["L"].append({"S": "y"})  # type: ignore[arg-type]
    assert client.get_item(TableName=cloud.names.table, Key=key)["Item"]["list"] == {"L": [{"S": "x"}]}  # type: ignore[arg-type]


def test_delays_and_visibility_follow_skipped_time() -> None:
    clock = LocalClock(skip=True)
    with Cloud(clock) as cloud:
        cloud.adapters().lanes.send([Message("lane-normal", {"n": 1}, delay_s=600)])
        assert bodies(cloud, "lane-normal") == []
        clock.jump_to(clock.now() + 10 * MINUTE_MS)
        assert bodies(cloud, "lane-normal") == [{"n": 1}]
        assert bodies(cloud, "lane-normal") == []
        clock.jump_to(clock.now() + topology.VISIBILITY_S * 1000)
        assert bodies(cloud, "lane-normal") == [{"n": 1}]


def test_the_clock_never_goes_back() -> None:
    clock = LocalClock()
    before = clock.now()
    clock.jump_to(before - MINUTE_MS)
    assert clock.now() >= before


def test_an_absent_number_is_not_at_most_anything(cloud: Cloud) -> None:
    assert not cloud.adapters().store.put({"pk": "a", "sk": "b"}, AtMost("lease_until", 5)).ok


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_endpoint_serves_the_same_resources_whatever_the_region(cloud: Cloud, region: str) -> None:
    with AwsEndpoint(cloud.account) as endpoint:
        session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="key", region_name=region)
        dynamodb, sqs, s3 = (session.client(name, endpoint_url=endpoint.url) for name in ("dynamodb", "sqs", "s3"))
        assert cloud.names.table in dynamodb.list_tables()["TableNames"]
        sqs.send_message(QueueUrl=cloud.names.queue_urls["errors"], MessageBody='{"n": 1}')
        assert bodies(cloud, "errors") == [{"n": 1}]
        s3.put_object(Bucket=cloud.names.blobs, Key="a b/ü", Body=b"x" * 200_000)
        assert len(cloud.clients.s3.get_object(Bucket=cloud.names.blobs, Key="a b/ü")["Body"].read()) == 200_000
        link = s3.generate_presigned_url("get_object", {"Bucket": cloud.names.blobs, "Key": "a b/ü"})
        with urlopen(link) as answer:
            assert len(answer.read()) == 200_000
