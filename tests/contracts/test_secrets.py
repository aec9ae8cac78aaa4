"""`secrets.NAME` in Secrets Manager: read once for a while, anew when asked, never another tenant's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from treadle.aws import Clients
from treadle.aws.secrets import ANEW_S, FRESH_S, AwsSecrets
from treadle.core.errors import NotFound, Rejected, Unavailable
from treadle.simulation.memory import MemorySecrets


@dataclass
class Counted:
    """A client whose calls are counted. `fails`: what it answers instead."""

    client: Any
    calls: int = 0
    fails: Exception | None = None

    def get_secret_value(self, **parameters: Any) -> Any:
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        return self.client.get_secret_value(**parameters)


class Watch:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(moto_clients: Clients) -> Counted:
    for name, text in {"orders/a/KEY": "one", "orders/b/KEY": "two", "KEY": "nobody's"}.items():
        moto_clients.secrets.create_secret(Name=name, SecretString=text)
    moto_clients.secrets.create_secret(Name="orders/a/BYTES", SecretBinary=b"\x00")
    return Counted(moto_clients.secrets)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def secrets(client: Counted, watch: Watch) -> AwsSecrets:
    return AwsSecrets(client, "orders", watch)  # type: ignore[arg-type]


def rotate(client: Counted, text: str) -> None:
    client.client.put_secret_value(SecretId="orders/a/KEY", SecretString=text)


def test_a_tenant_has_its_own(secrets: AwsSecrets) -> None:
    assert Counter({tenant: secrets.get(tenant, "KEY") for tenant in "ab"}) == {"a": "one", "b": "two"}


def test_it_is_read_once_for_a_while(secrets: AwsSecrets, client: Counted, watch: Watch) -> None:
    assert [secrets.get("a", "KEY") for _ in range(3)] == ["one"] * 3
    rotate(client, "new")
    watch.now += FRESH_S
    assert (secrets.get("a", "KEY"), client.calls) == ("one", 1)
    watch.now += 1
    assert (secrets.get("a", "KEY"), client.calls) == ("new", 2)


def test_an_attempt_after_a_failed_one_gets_what_was_rotated_meanwhile(secrets: AwsSecrets, client: Counted, watch: Watch) -> None:
    assert secrets.get("a", "KEY") == "one"
    rotate(client, "new")
    assert secrets.get("a", "KEY", anew=True) == "one", "many that ask at once share one reading"
    watch.now += ANEW_S * 2
    assert secrets.get("a", "KEY", anew=True) == "new"
    assert (secrets.get("a", "KEY"), client.calls) == ("new", 2)


@pytest.mark.parametrize("name", ["NOPE", "b/KEY", "", "a b", "x" * 600])
def test_what_is_not_there_is_said_so_and_asked_for_again(secrets: AwsSecrets, client: Counted, name: str) -> None:
    for _ in range(2):
        with pytest.raises(NotFound, match="there is no secret"):
            secrets.get("a", name)
    assert client.calls == 2


def test_bytes_are_no_text(secrets: AwsSecrets) -> None:
    with pytest.raises(Rejected, match="holds bytes"):
        secrets.get("a", "BYTES")


def refusal(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


@pytest.mark.parametrize(
    ("fails", "becomes"),
    [
        (refusal("ThrottlingException"), Unavailable),
        (refusal("InternalServiceError", 500), Unavailable),
        (EndpointConnectionError(endpoint_url="https://secretsmanager"), Unavailable),
        (refusal("AccessDeniedException"), Rejected),
        (refusal("DecryptionFailure"), Rejected),
        (refusal("InvalidRequestException"), Rejected),  # it is marked for deletion
    ],
    ids=["throttled", "broken", "unreachable", "not allowed", "another key", "deleted"],
)
def test_whose_fault_it_is(secrets: AwsSecrets, client: Counted, fails: Exception, becomes: type[Exception]) -> None:
    client.fails = fails
    with pytest.raises(becomes):
        secrets.get("a", "KEY")
    client.fails = None
    assert secrets.get("a", "KEY") == "one"


def test_an_outage_is_not_seen_while_what_was_read_is_fresh(secrets: AwsSecrets, client: Counted) -> None:
    secrets.get("a", "KEY")
    client.fails = refusal("ThrottlingException")
    assert secrets.get("a", "KEY") == "one"


def test_in_memory_every_name_is_a_text_of_its_own() -> None:
    secrets = MemorySecrets()
    assert len({secrets.get(tenant, name) for tenant in "ab" for name in "cd"}) == 4
