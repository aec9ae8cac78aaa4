"""Tokens: which are believed, and what is read from those that are."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from treadle.auth import DevelopmentKey, Principal, Role, Verifier, as_gateway_claims, principal
from treadle.core.errors import Rejected

KEY = DevelopmentKey()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
GOOD = {"sub": "ann", "iss": KEY.issuer, "aud": KEY.audience, "exp": int(time.time()) + 600}


def signed(claims: dict[str, Any], key: str = KEY.secret) -> str:
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm="HS256")


def unsigned(claims: dict[str, Any], algorithm: str = "none") -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def test_a_good_token_is_believed() -> None:
    assert KEY.verifier.claims("Bearer " + signed(GOOD))["sub"] == "ann"


def test_the_development_token_is_an_admins() -> None:
    claims = KEY.verifier.claims(f"Bearer {KEY.token()}")
    assert principal(claims) == Principal("developer", "local", frozenset({Role.ADMIN}))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="an empty header"),
        pytest.param("Bearer ", id="no token"),
        pytest.param("Basic YTpi", id="another scheme"),
        pytest.param("Bearer x.y.z", id="rubbish"),
        pytest.param("Bearer " + signed(GOOD, "another key of more than thirty-two bytes"), id="another key"),
        pytest.param("Bearer " + signed({**GOOD, "exp": int(time.time()) - 3600}), id="expired"),
        pytest.param("Bearer " + signed({**GOOD, "exp": None}), id="never expires"),
        pytest.param("Bearer " + signed({**GOOD, "nbf": int(time.time()) + 3600}), id="not valid yet"),
        pytest.param("Bearer " + signed({**GOOD, "iss": "somebody"}), id="another issuer"),
        pytest.param("Bearer " + signed({**GOOD, "iss": None}), id="no issuer"),
        pytest.param("Bearer " + signed({**GOOD, "aud": "something"}), id="another audience"),
        pytest.param("Bearer " + signed({**GOOD, "aud": None}), id="no audience"),
        pytest.param("Bearer " + signed({**GOOD, "sub": None}), id="nobody's"),
        pytest.param("Bearer " + unsigned(GOOD), id="alg none"),
        pytest.param("Bearer " + unsigned(GOOD, "None"), id="alg None"),
        pytest.param("Bearer " + unsigned(GOOD, "HS256"), id="no signature"),
        pytest.param("Bearer " + jwt.encode(GOOD, KEY.secret, algorithm="HS512"), id="another algorithm"),
        pytest.param("Bearer " + jwt.encode(GOOD, RSA, algorithm="RS256"), id="an asymmetric algorithm"),
    ],
)
def test_other_tokens_are_refused(header: str | None) -> None:
    with pytest.raises(Rejected) as refused:
        KEY.verifier.claims(header)
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")


def test_a_public_key_is_no_secret() -> None:
    """Key confusion: a token signed with the text of the public key as if it were a shared secret."""
    import hashlib
    import hmac

    verifier = Verifier(PUBLIC, "RS256", KEY.issuer, KEY.audience)
    assert verifier.claims("Bearer " + jwt.encode(GOOD, RSA, algorithm="RS256"))["sub"] == "ann"
    head = unsigned(GOOD, "HS256").rstrip(".")
    forged = base64.urlsafe_b64encode(hmac.new(PUBLIC, head.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    with pytest.raises(Rejected):
        verifier.claims(f"Bearer {head}.{forged}")


def test_a_refusal_says_nothing_of_the_token() -> None:
    token = signed({**GOOD, "iss": "somebody"})
    with pytest.raises(Rejected) as refused:
        KEY.verifier.claims(f"Bearer {token}")
    assert "somebody" not in str(refused.value)
    assert KEY.secret not in repr(KEY) + repr(KEY.verifier)


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        pytest.param({"cognito:groups": ["viewer", "author"]}, {Role.VIEWER, Role.AUTHOR}, id="groups"),
        pytest.param({"cognito:groups": "[viewer author]"}, {Role.VIEWER, Role.AUTHOR}, id="groups as the gateway writes them"),
        pytest.param({"scope": "openid treadle/operator"}, {Role.OPERATOR}, id="scopes of a resource server"),
        pytest.param({"roles": ["approver"], "scope": "auditor"}, {Role.APPROVER, Role.AUDITOR}, id="roles and scopes together"),
        pytest.param({"roles": ["Admin", "administrator", "other/admin", "superadmin"]}, set(), id="names that only look like roles"),
        pytest.param({"roles": {"admin": True}}, set(), id="a map"),
        pytest.param({}, set(), id="none"),
    ],
)
def test_roles_are_read_from_groups_and_scopes(claims: dict[str, Any], roles: set[Role]) -> None:
    assert principal({"sub": "ann", **claims}).roles == roles
    assert principal(as_gateway_claims({"sub": "ann", **claims})).roles == roles


@pytest.mark.parametrize(
    ("claims", "tenant"),
    [({"custom:tenant": "acme", "tenant": "x"}, "acme"), ({"tenant": "acme"}, "acme"), ({}, "default")],
)
def test_the_tenant_is_a_claim(claims: dict[str, Any], tenant: str) -> None:
    assert principal({"sub": "ann", **claims}).tenant == tenant


@pytest.mark.parametrize("tenant", ["a#b", "a/b", "../x", "a b", "é", "-a", "a" * 65, "a\n"])
def test_a_tenant_that_could_not_be_a_key_is_refused(tenant: str) -> None:
    with pytest.raises(Rejected) as refused:
        principal({"sub": "ann", "tenant": tenant})
    assert refused.value.code == "forbidden"
