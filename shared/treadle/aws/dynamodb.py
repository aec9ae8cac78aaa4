"""The state table in DynamoDB: `ports.Store`, one AWS call per method.

A condition that fails is an answer: DynamoDB returns the item that stands with it, so that nobody has to read again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .. import topology
from ..core.errors import Unavailable
from ..ports import Change, Condition, Item, Key, Page, Written
from .calls import ask, code_of
from .clauses import expressions
from .values import WireItem, from_wire, from_wire_item, to_wire_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS_PER_CALL = 100  # BatchGetItem's limit
_ROUNDS = 6  # of asking for unprocessed keys: about 0.8 s of pauses, then the queue may try again
_FIRST_PAUSE_S = 0.025


class AwsStore:
    def __init__(self, client: DynamoDBClient, table: str, pause: Callable[[float], None] = time.sleep) -> None:
        """`pause`: how to wait between the rounds of a BatchGetItem that leaves keys unprocessed."""
        self._client = client
        self._table = table
        self._pause = pause

    # ------------------------------------------------------------------------------------------------------- reads

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        answer = ask(self._client.get_item, TableName=self._table, Key=_wire_key(key), ConsistentRead=consistent)
        return from_wire_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for first in range(0, len(keys), _KEYS_PER_CALL):
            for item in self._get_batch([_wire_key(key) for key in keys[first : first + _KEYS_PER_CALL]], consistent):
                found[item["pk"], item["sk"]] = item
        return found

    def _get_batch(self, keys: list[WireItem], consistent: bool) -> list[Item]:
        items: list[Item] = []
        for attempt in range(_ROUNDS):
            if attempt:
                self._pause(random.uniform(0.5, 1) * _FIRST_PAUSE_S * 2 ** (attempt - 1))
            answer = ask(self._client.batch_get_item, RequestItems={self._table: {"Keys": keys, "ConsistentRead": consistent}})
            items += [from_wire_item(item) for item in answer["Responses"].get(self._table, ())]
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                return items
        raise Unavailable(f"BatchGetItem left {len(keys)} keys unprocessed {_ROUNDS} times")

    # ------------------------------------------------------------------------------------------------------ writes

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._write(self._client.put_item, condition, Item=to_wire_item(item))

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        return self._write(self._client.update_item, condition, change, Key=_wire_key(key), ReturnValues="ALL_NEW")

    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        return self._write(self._client.delete_item, condition, Key=_wire_key(key))

    def _write(
        self, operation: Callable[..., Any], condition: Condition | None, change: Change | None = None, **parameters: Any
    ) -> Written:
        parameters |= expressions(condition, change)
        if condition:
            parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            answer = ask(operation, TableName=self._table, **parameters)
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            standing: WireItem | None = error.response.get("Item")  # type: ignore[assignment]  # stubs do not know it
            if standing is not None and standing == parameters.get("Item") and error.response["ResponseMetadata"].get("RetryAttempts"):
                return Written(True, None)
            return Written(False, from_wire_item(standing) if standing else None)
        new = answer.get("Attributes")
        return Written(True, from_wire_item(new) if new else None)

    # ----------------------------------------------------------------------------------------------------- queries

    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        """One call: a page also ends at 1 MiB, so it may hold fewer than `limit` items and yet not be the last."""
        parameters: dict[str, Any] = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": pk}}}
        if prefix:  # begins_with refuses an empty string
            parameters["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            parameters["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        if after:
            parameters["ExclusiveStartKey"] = _wire_key(after)
        answer = self._query(parameters, limit=limit, ScanIndexForward=ascending, ConsistentRead=True)
        last = answer.get("LastEvaluatedKey")
        return Page([from_wire_item(item) for item in answer["Items"]], (last["pk"]["S"], last["sk"]["S"]) if last else None)

    def query_due(self, shard: int, until: int, *, limit: int = 100) -> list[tuple[Key, int]]:
        parameters = {
            "IndexName": topology.DUE.name,
            "KeyConditionExpression": "due_shard = :shard AND due <= :until",
            "ExpressionAttributeValues": {":shard": {"N": str(shard)}, ":until": {"N": str(until)}},
        }
        items = self._query(parameters, limit=limit)["Items"]
        return [((item["pk"]["S"], item["sk"]["S"]), from_wire(item["due"])) for item in items]

    def query_list(self, partition: str, *, start: str = "", end: str = "\uffff", after: str | None = None, limit: int = 100) -> Page:
        # An ExclusiveStartKey would need the whole item's key. `after` is unique in its partition, so it is made the upper
        # bound, which is inclusive: one more is asked for, and it is left out.
        if after is not None:
            end = min(end, after)
        if start > end:
            return Page([], None)  # BETWEEN refuses bounds in the wrong order
        values = {":partition": {"S": partition}, ":end": {"S": end}}
        bounds = "list_sk <= :end"
        if start:
            bounds = "list_sk BETWEEN :start AND :end"
            values[":start"] = {"S": start}
        parameters = {
            "IndexName": topology.LIST.name,
            "KeyConditionExpression": f"list_pk = :partition AND {bounds}",
            "ExpressionAttributeValues": values,
        }
        answer = self._query(parameters, limit=limit + (after is not None), ScanIndexForward=False)
        items = [item for item in map(from_wire_item, answer["Items"]) if item["list_sk"] != after]
        is_last = "LastEvaluatedKey" not in answer and len(items) <= limit
        items = items[:limit]
        return Page(items, None if is_last or not items else (partition, items[-1]["list_sk"]))

    def _query(self, parameters: dict[str, Any], *, limit: int, **more: Any) -> Any:
        return ask(self._client.query, TableName=self._table, Limit=limit, **parameters, **more)


def _wire_key(key: Key) -> WireItem:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
