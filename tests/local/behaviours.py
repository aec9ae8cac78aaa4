"""What a caller of AWS sees, as a table of small scripts: run as a program, on moto as it comes; imported, on the local cloud.

Each behaviour takes the four clients and answers what they said, without what differs from call to call (ids, receipts, times).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

TABLE = "things"
KEY = {"pk": {"S": "run"}, "sk": {"S": "a"}}
ITEM = {
    **KEY,
    "state": {"S": "claimed"},
    "fence": {"N": "7"},
    "flag": {"BOOL": True},
    "none": {"NULL": True},
    "members": {"NS": ["1", "2"]},
}
ITEM |= {"deep": {"M": {"list": {"L": [{"N": "1"}, {"S": "x"}, {"M": {}}]}}}}
RANDOM = {"ResponseMetadata", "MessageId", "ReceiptHandle", "EventId", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "SenderId"}
RANDOM |= {"ConsumedCapacity", "ConsumedCapacityUnits", "LastEvaluatedKey", "x-amzn-RequestId"}

EVENT = {"Source": "s", "DetailType": "T", "Detail": "{}"}

Clients = Any  # .dynamodb, .sqs, .events, .s3
Behaviour = Callable[[Clients], Any]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(function: Behaviour) -> Behaviour:
    BEHAVIOURS[function.__name__] = function
    return function


def said(call: Callable[..., Any], **parameters: Any) -> Any:
    """The answer, or the refusal, without what is random."""
    try:
        return without_random(call(**parameters))
    except ClientError as error:
        response = error.response
        return {"refused": response["Error"]["Code"], "message": response["Error"]["Message"], "item": response.get("Item")}


def without_random(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_random(inner) for name, inner in value.items() if name not in RANDOM}
    if isinstance(value, list):
        return [without_random(inner) for inner in value]
    return value


def table(clients: Clients) -> Any:
    db = clients.dynamodb
    if TABLE in db.list_tables()["TableNames"]:
        db.delete_table(TableName=TABLE)
    kinds = {"pk": "S", "sk": "S", "due_shard": "N", "due": "N", "list_pk": "S", "list_sk": "S"}
    db.create_table(
        TableName=TABLE,
        KeySchema=schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": "due", "KeySchema": schema("due_shard", "due"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {
                "IndexName": "list",
                "KeySchema": schema("list_pk", "list_sk"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["state"]},
            },
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return db


def schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


# ------------------------------------------------------------------------------------------------------------- DynamoDB


@behaviour
def an_item_comes_back_as_it_was_put(clients: Clients) -> Any:
    db = table(clients)
    return [said(db.put_item, TableName=TABLE, Item=ITEM), said(db.get_item, TableName=TABLE, Key=KEY, ConsistentRead=True)]


@behaviour
def a_missing_item_is_an_empty_answer(clients: Clients) -> Any:
    return said(table(clients).get_item, TableName=TABLE, Key=KEY)


@behaviour
def a_missing_table_is_refused(clients: Clients) -> Any:
    return said(clients.dynamodb.get_item, TableName="no-such-table", Key=KEY)


@behaviour
def an_incomplete_key_is_refused(clients: Clients) -> Any:
    return said(table(clients).get_item, TableName=TABLE, Key={"pk": {"S": "run"}})


@behaviour
def an_empty_key_is_refused(clients: Clients) -> Any:
    return said(table(clients).put_item, TableName=TABLE, Item={"pk": {"S": ""}, "sk": {"S": "a"}})


@behaviour
def a_key_of_the_wrong_type_is_refused(clients: Clients) -> Any:
    return said(table(clients).put_item, TableName=TABLE, Item={"pk": {"N": "1"}, "sk": {"S": "a"}})


@behaviour
def an_item_without_its_range_key_is_refused(clients: Clients) -> Any:
    return said(table(clients).put_item, TableName=TABLE, Item={"pk": {"S": "run"}})


@behaviour
def an_item_over_400_kb_is_refused(clients: Clients) -> Any:
    return said(table(clients).put_item, TableName=TABLE, Item={**KEY, "big": {"S": "x" * 420_000}})


def conditions() -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    name, value = {"#a": "state"}, {":v": {"S": "claimed"}}
    number = {"#a": "fence"}
    yield "attribute_not_exists(#a)", name, {}
    yield "attribute_exists(#a)", name, {}
    yield "attribute_not_exists(#a)", {"#a": "absent"}, {}
    yield "#a = :v", name, value
    yield "#a <> :v", name, value
    yield "#a = :v", name, {":v": {"S": "other"}}
    yield "#a = :v", number, {":v": {"N": "7"}}
    yield "#a = :v", number, {":v": {"N": "7.0"}}
    yield "#a = :v", number, {":v": {"S": "7"}}
    yield "#a = :v", {"#a": "flag"}, {":v": {"BOOL": True}}
    yield "#a = :v", {"#a": "absent"}, value
    yield "#a <= :v", number, {":v": {"N": "7"}}
    yield "#a < :v", number, {":v": {"N": "7"}}
    yield "#a > :v", number, {":v": {"N": "-3"}}
    yield "#a >= :v", {"#a": "absent"}, {":v": {"N": "1"}}
    yield "#a < :v", name, {":v": {"S": "d"}}
    yield "#a IN (:v, :w)", name, {**value, ":w": {"S": "x"}}
    yield "#a IN (:v, :w)", name, {":v": {"S": "y"}, ":w": {"S": "x"}}
    yield "#a BETWEEN :v AND :w", number, {":v": {"N": "6"}, ":w": {"N": "8"}}
    yield "size(#a) < :v", {"#a": "members"}, {":v": {"N": "3"}}
    yield "size(#a) < :v", {"#a": "members"}, {":v": {"N": "2"}}
    yield "begins_with(#a, :v)", name, {":v": {"S": "cl"}}
    yield "begins_with(#a, :v)", name, {":v": {"S": "x"}}
    yield "NOT #a = :v", name, value
    yield "(attribute_not_exists(#a) OR #a = :v)", name, value
    yield "(attribute_not_exists(#a) OR (#b = :v AND #c <= :w))", {"#a": "pk", "#b": "state", "#c": "fence"}, {**value, ":w": {"N": "9"}}
    yield "(attribute_exists(#a) AND #b = :v)", {"#a": "pk", "#b": "state"}, {":v": {"S": "ended"}}
    yield "contains(#a, :v)", name, {":v": {"S": "aim"}}
    yield "#a.#b = :v", {"#a": "deep", "#b": "x"}, value


@behaviour
def conditions_of_a_put(clients: Clients) -> Any:
    db = table(clients)
    answers = []
    for text, names, values in conditions():
        db.put_item(TableName=TABLE, Item=ITEM)
        more = {"ExpressionAttributeValues": values} if values else {}
        expression = {"ConditionExpression": text, "ExpressionAttributeNames": names, **more}
        call = {"TableName": TABLE, "Item": {**KEY, "new": {"N": "1"}}, **expression}
        told = said(db.put_item, **call, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        db.put_item(TableName=TABLE, Item=ITEM)
        answers.append([text, told, said(db.put_item, **call), said(db.get_item, TableName=TABLE, Key=KEY)])
    return answers


@behaviour
def conditions_on_an_item_that_is_not_there(clients: Clients) -> Any:
    db = table(clients)
    answers = []
    for text, names, values in conditions():
        if text.startswith("size"):  # moto raises a fault of its own where DynamoDB says false
            continue
        more = {"ExpressionAttributeValues": values} if values else {}
        call = {"Key": KEY, "ConditionExpression": text, "ExpressionAttributeNames": names, **more}
        answers.append([text, said(db.delete_item, TableName=TABLE, ReturnValuesOnConditionCheckFailure="ALL_OLD", **call)])
    return answers


def updates() -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    yield "SET #a = :v", {"#a": "state"}, {":v": {"S": "ended"}}
    yield "SET #a = :v, #b = :w", {"#a": "state", "#b": "new"}, {":v": {"S": "ended"}, ":w": {"M": {"x": {"L": []}}}}
    yield "SET #a = if_not_exists(#a, :v)", {"#a": "state"}, {":v": {"S": "ended"}}
    yield "SET #a = if_not_exists(#a, :v)", {"#a": "new"}, {":v": {"S": "ended"}}
    yield "SET #a = #a + :v", {"#a": "fence"}, {":v": {"N": "1"}}
    yield "SET #a = #a - :v", {"#a": "fence"}, {":v": {"N": "10"}}
    yield "SET #a = #b", {"#a": "new", "#b": "fence"}, {}
    yield "SET #a = if_not_exists(#b, :v) + :w", {"#a": "n", "#b": "count"}, {":v": {"N": "0"}, ":w": {"N": "2"}}
    yield "ADD #a :v", {"#a": "fence"}, {":v": {"N": "5"}}
    yield "ADD #a :v", {"#a": "new"}, {":v": {"N": "5"}}
    yield "ADD #a :v", {"#a": "members"}, {":v": {"NS": ["2", "3"]}}
    yield "ADD #a :v", {"#a": "new"}, {":v": {"NS": ["3"]}}
    yield "DELETE #a :v", {"#a": "members"}, {":v": {"NS": ["1"]}}
    yield "DELETE #a :v", {"#a": "members"}, {":v": {"NS": ["1", "2"]}}
    yield "DELETE #a :v", {"#a": "absent"}, {":v": {"NS": ["1"]}}
    yield "REMOVE #a, #b", {"#a": "state", "#b": "absent"}, {}
    yield (
        "SET #a = :v ADD #b :w DELETE #c :x REMOVE #d",
        {"#a": "state", "#b": "fence", "#c": "members", "#d": "flag"},
        {":v": {"S": "s"}, ":w": {"N": "1"}, ":x": {"NS": ["2"]}},
    )
    # refused
    yield "SET #a = :v", {"#a": "pk"}, {":v": {"S": "other"}}
    yield "SET #a = :v, #a = :v", {"#a": "state"}, {":v": {"S": "x"}}
    yield "SET #a = :v SET #b = :v", {"#a": "state", "#b": "new"}, {":v": {"S": "x"}}
    yield "SET #a = :w", {"#a": "state"}, {":v": {"S": "x"}}
    yield "SET #a = :v", {"#a": "state", "#b": "new"}, {":v": {"S": "x"}}
    yield "ADD #a :v", {"#a": "state"}, {":v": {"N": "1"}}
    yield "SET #a = :v", {"#a": "due"}, {":v": {"S": "not a number"}}
    yield "SET a.b = ", {}, {}


@behaviour
def updates_of_an_item(clients: Clients) -> Any:
    db = table(clients)
    answers = []
    for text, names, values in updates():
        db.put_item(TableName=TABLE, Item=ITEM)
        more = {"ExpressionAttributeNames": names} if names else {}
        more |= {"ExpressionAttributeValues": values} if values else {}
        answer = said(db.update_item, TableName=TABLE, Key=KEY, UpdateExpression=text, ReturnValues="ALL_NEW", **more)
        answers.append([text, answer, said(db.get_item, TableName=TABLE, Key=KEY)])
    return answers


@behaviour
def an_update_makes_an_item(clients: Clients) -> Any:
    db = table(clients)
    call = {"UpdateExpression": "SET #a = :v", "ExpressionAttributeNames": {"#a": "state"}, "ExpressionAttributeValues": {":v": {"S": "x"}}}
    return [said(db.update_item, TableName=TABLE, Key=KEY, **call), said(db.get_item, TableName=TABLE, Key=KEY)]


@behaviour
def updated_values_are_told_in_other_ways(clients: Clients) -> Any:
    db = table(clients)
    call = {"UpdateExpression": "SET #a = :v", "ExpressionAttributeNames": {"#a": "state"}, "ExpressionAttributeValues": {":v": {"S": "x"}}}
    answers = []
    for told in ("NONE", "ALL_OLD", "UPDATED_OLD", "UPDATED_NEW"):
        db.put_item(TableName=TABLE, Item=ITEM)
        answers.append(said(db.update_item, TableName=TABLE, Key=KEY, ReturnValues=told, **call))
    return answers


@behaviour
def a_delete_and_what_was_there(clients: Clients) -> Any:
    db = table(clients)
    db.put_item(TableName=TABLE, Item=ITEM)
    told = said(db.delete_item, TableName=TABLE, Key=KEY, ReturnValues="ALL_OLD")
    return [told, said(db.delete_item, TableName=TABLE, Key=KEY), said(db.get_item, TableName=TABLE, Key=KEY)]


@behaviour
def a_batch_of_reads(clients: Clients) -> Any:
    db = table(clients)
    for name in "abc":
        db.put_item(TableName=TABLE, Item={**KEY, "sk": {"S": name}})
    keys = [{**KEY, "sk": {"S": name}} for name in "abx"]
    answer = said(db.batch_get_item, RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    return sorted(json.dumps(item) for item in answer["Responses"][TABLE])


@behaviour
def a_batch_of_reads_with_a_key_twice_is_refused(clients: Clients) -> Any:
    return said(table(clients).batch_get_item, RequestItems={TABLE: {"Keys": [KEY, KEY]}})


def filled(clients: Clients) -> Any:
    db = table(clients)
    for n in range(6):
        item = {"pk": {"S": "run"}, "sk": {"S": f"{'ab'[n % 2]}{n}"}, "state": {"S": "s"}, "extra": {"S": "e"}}
        if n != 3:
            item |= {"due_shard": {"N": str(n % 2)}, "due": {"N": str(100 - n)}, "list_pk": {"S": "t"}, "list_sk": {"S": f"l{n}"}}
        db.put_item(TableName=TABLE, Item=item)
    db.put_item(TableName=TABLE, Item={"pk": {"S": "other"}, "sk": {"S": "z"}})
    return db


@behaviour
def queries_of_a_partition(clients: Clients) -> Any:
    db = filled(clients)
    values = {":p": {"S": "run"}}
    call = {"TableName": TABLE, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": values, "ConsistentRead": True}
    prefixed = {"KeyConditionExpression": "pk = :p AND begins_with(sk, :s)", "ExpressionAttributeValues": {**values, ":s": {"S": "a"}}}
    after = {"pk": {"S": "run"}, "sk": {"S": "a2"}}
    return [
        said(db.query, **call),
        said(db.query, **call, ScanIndexForward=False),
        said(db.query, **call, Limit=2),
        said(db.query, **call, Limit=2, ExclusiveStartKey=after),
        said(db.query, **call, Limit=2, ExclusiveStartKey=after, ScanIndexForward=False),
        said(db.query, **{**call, **prefixed}),
        said(db.query, **{**call, "ExpressionAttributeValues": {":p": {"S": "nobody"}}}),
    ]


@behaviour
def a_query_with_a_filter(clients: Clients) -> Any:
    values = {":p": {"S": "run"}, ":d": {"N": "98"}}
    expression = {"KeyConditionExpression": "pk = :p", "FilterExpression": "due < :d", "ExpressionAttributeValues": values}
    return said(filled(clients).query, TableName=TABLE, **expression)


@behaviour
def queries_of_a_sparse_index_of_keys(clients: Clients) -> Any:
    db = filled(clients)
    values = {":s": {"N": "0"}, ":u": {"N": "98"}}
    condition = "due_shard = :s AND due <= :u"
    call = {"TableName": TABLE, "IndexName": "due", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    return [said(db.query, **call), said(db.query, **call, Limit=1), said(db.query, **call, ConsistentRead=True)]


@behaviour
def an_index_follows_its_items(clients: Clients) -> Any:
    db = filled(clients)
    change = {"UpdateExpression": "SET #d = :d", "ExpressionAttributeNames": {"#d": "due"}, "ExpressionAttributeValues": {":d": {"N": "1"}}}
    db.update_item(TableName=TABLE, Key={"pk": {"S": "run"}, "sk": {"S": "a4"}}, **change)
    remove = {"UpdateExpression": "REMOVE #d", "ExpressionAttributeNames": {"#d": "due"}}
    db.update_item(TableName=TABLE, Key={"pk": {"S": "run"}, "sk": {"S": "a0"}}, **remove)
    db.batch_write_item(RequestItems={TABLE: [{"DeleteRequest": {"Key": {"pk": {"S": "run"}, "sk": {"S": "a2"}}}}]})
    values = {":s": {"N": "0"}, ":u": {"N": "1000"}}
    condition = "due_shard = :s AND due <= :u"
    return said(db.query, TableName=TABLE, IndexName="due", KeyConditionExpression=condition, ExpressionAttributeValues=values)


@behaviour
def queries_of_an_index_with_some_attributes(clients: Clients) -> Any:
    db = filled(clients)
    values = {":p": {"S": "t"}, ":a": {"S": "l1"}, ":b": {"S": "l4"}}
    condition = "list_pk = :p AND list_sk BETWEEN :a AND :b"
    call = {"TableName": TABLE, "IndexName": "list", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    upto = {"KeyConditionExpression": "list_pk = :p AND list_sk <= :b", "ExpressionAttributeValues": {":p": {"S": "t"}, ":b": {"S": "l2"}}}
    return [said(db.query, **call), said(db.query, **call, ScanIndexForward=False, Limit=2), said(db.query, **{**call, **upto})]


@behaviour
def a_scan_sees_all_that_was_written(clients: Clients) -> Any:
    return said(filled(clients).scan, TableName=TABLE)["Count"]


@behaviour
def a_transaction_and_a_plain_read(clients: Clients) -> Any:
    db = filled(clients)
    db.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": ITEM}}])
    return said(db.get_item, TableName=TABLE, Key=KEY)


@behaviour
def numbers_that_are_not_whole_and_binary(clients: Clients) -> Any:
    db = table(clients)
    db.put_item(TableName=TABLE, Item={**KEY, "half": {"N": "0.5"}, "raw": {"B": b"\x00\xff"}})
    change = {"UpdateExpression": "ADD #d :d", "ExpressionAttributeNames": {"#d": "half"}, "ExpressionAttributeValues": {":d": {"N": "1"}}}
    told = said(db.update_item, TableName=TABLE, Key=KEY, ReturnValues="ALL_NEW", **change)
    return [str(told), str(said(db.get_item, TableName=TABLE, Key=KEY))]


# ------------------------------------------------------------------------------------------------------------------ SQS


@behaviour
def messages_come_in_order_and_once(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    entries = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(3)]
    sent = said(sqs.send_message_batch, QueueUrl=url, Entries=entries)
    call = {"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]}
    return [sent, said(sqs.receive_message, **call), said(sqs.receive_message, **call)]


@behaviour
def one_message_at_a_time_by_default(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    for n in range(2):
        sqs.send_message(QueueUrl=url, MessageBody=f"m{n}")
    return said(sqs.receive_message, QueueUrl=url)


@behaviour
def a_group_is_shown(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="tenant")
    return said(sqs.receive_message, QueueUrl=url, AttributeNames=["All"])


@behaviour
def a_delayed_message_is_not_there_yet(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=60)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessages"])
    return [said(sqs.receive_message, QueueUrl=url), counts["Attributes"]]


@behaviour
def a_message_in_flight_is_counted(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m")
    sqs.receive_message(QueueUrl=url)
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"]


@behaviour
def a_deleted_message_is_gone_and_may_be_deleted_again(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m")
    receipt = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    deleted = [said(sqs.delete_message, QueueUrl=url, ReceiptHandle=receipt) for _ in range(2)]
    return [deleted, said(sqs.receive_message, QueueUrl=url)]


@behaviour
def deleting_with_a_made_up_receipt_is_refused(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    batch = said(sqs.delete_message_batch, QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "made-up"}])
    return [said(sqs.delete_message, QueueUrl=url, ReceiptHandle="made-up"), batch["Failed"][0]["Code"]]


@behaviour
def changing_visibility_with_a_made_up_receipt_is_refused(clients: Clients) -> Any:
    return said(clients.sqs.change_message_visibility, QueueUrl=clients.queue(), ReceiptHandle="made-up", VisibilityTimeout=1)


@behaviour
def a_visibility_over_twelve_hours_is_refused(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m")
    receipt = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    return said(sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=43_201)


@behaviour
def a_delay_over_fifteen_minutes_is_refused(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    batch = said(sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "m", "DelaySeconds": 901}])
    return [said(sqs.send_message, QueueUrl=url, MessageBody="m", DelaySeconds=901), batch]


@behaviour
def a_batch_that_is_empty_too_long_or_ambiguous_is_refused(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    entry = {"MessageBody": "m"}
    return [
        said(sqs.send_message_batch, QueueUrl=url, Entries=entries)
        for entries in ([], [{"Id": str(n), **entry} for n in range(11)], [{"Id": "1", **entry}, {"Id": "1", **entry}])
    ]


@behaviour
def a_message_over_one_mebibyte_is_refused(clients: Clients) -> Any:
    return said(clients.sqs.send_message, QueueUrl=clients.queue(), MessageBody="x" * 1_048_577)


@behaviour
def a_purged_queue_is_empty(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    sqs.send_message(QueueUrl=url, MessageBody="m")
    sqs.purge_queue(QueueUrl=url)
    return said(sqs.receive_message, QueueUrl=url)


@behaviour
def an_unknown_queue_is_refused(clients: Clients) -> Any:
    return said(clients.sqs.send_message, QueueUrl=clients.queue() + "-none", MessageBody="m")["refused"]


# ---------------------------------------------------------------------------------------------------------- EventBridge


@behaviour
def events_reach_the_queue_of_a_rule_that_matches(clients: Clients) -> Any:
    sqs, url = clients.sqs, clients.queue()
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events = clients.events
    pattern = {"source": ["s"], "detail": {"advance": [True], "kind": [{"prefix": "a"}]}}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
    details = [{"advance": True, "kind": "abc", "list": [1, {"x": None}]}, {"advance": False, "kind": "a"}, {"advance": True, "kind": "b"}]
    entries = [{"Source": "s", "DetailType": "T", "Detail": json.dumps(detail), "Resources": ["r1"]} for detail in details]
    told = said(events.put_events, Entries=entries)
    bodies = [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]
    kept = ("version", "detail-type", "source", "region", "resources", "detail")
    return [told, [{name: body[name] for name in kept} for body in bodies]]


@behaviour
def malformed_events_are_refused_one_by_one(clients: Clients) -> Any:
    entries = [
        {"Source": "s", "DetailType": "T", "Detail": "{"},
        {"DetailType": "T", "Detail": "{}"},
        {"Source": "s", "DetailType": "T", "Detail": "{}"},
    ]
    return said(clients.events.put_events, Entries=entries)


@behaviour
def more_than_ten_events_are_refused(clients: Clients) -> Any:
    return said(clients.events.put_events, Entries=[EVENT] * 11)["refused"]


@behaviour
def events_of_an_unknown_bus(clients: Clients) -> Any:
    return said(clients.events.put_events, Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}", "EventBusName": "none"}]).get(
        "refused"
    )


# ------------------------------------------------------------------------------------------------------------------- S3


@behaviour
def objects_come_back_and_missing_ones_are_refused(clients: Clients) -> Any:
    s3 = clients.s3
    s3.create_bucket(Bucket="some-bucket")
    s3.put_object(Bucket="some-bucket", Key="a/b", Body=b"content")
    got = s3.get_object(Bucket="some-bucket", Key="a/b")["Body"].read().decode()
    return [got, said(s3.get_object, Bucket="some-bucket", Key="nothing")["refused"]]


def run_all(clients: Clients) -> dict[str, Any]:
    found = {name: do(clients) for name, do in BEHAVIOURS.items()}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


class Stock:
    """Ordinary boto3 clients on ordinary moto."""

    def __init__(self) -> None:
        import boto3
        from botocore.config import Config

        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        self.dynamodb, self.sqs, self.events, self.s3 = (
            boto3.client(name, region_name="us-east-1", config=config)  # type: ignore[call-overload]
            for name in ("dynamodb", "sqs", "events", "s3")
        )
        self._queues = 0

    def queue(self) -> str:
        self._queues += 1
        return str(self.sqs.create_queue(QueueName=f"q{self._queues}")["QueueUrl"])


if __name__ == "__main__":
    from moto import mock_aws

    with mock_aws():
        json.dump(run_all(Stock()), sys.stdout)
