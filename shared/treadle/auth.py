"""Who is asking, and what they may do.

Rule 1: the tenant and the roles come from the verified token, never from a path, a header or a body.
Rule 2: POLICY is the only place that says which role may do what; a route names permissions, never roles.

Behind API Gateway the token has been verified before a request gets here; locally `Verifier` makes the same checks.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .core.errors import Rejected

DEFAULT_TENANT = "default"  # of tokens without a tenant claim: a deployment for one tenant needs none
TENANT_CLAIMS = ("custom:tenant", "tenant")
ROLE_CLAIMS = ("cognito:groups", "groups", "roles", "scope")
SUBJECT_CLAIMS = ("cognito:username", "username", "sub")
CLOCK_LEEWAY_S = 30

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")  # it becomes part of keys, so no `#` and no `/`
_ROLE_PREFIX = re.compile(r"treadle[/:.-]")  # `treadle/operator`, as resource servers name scopes


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    AUTHOR = "author"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    READ = "read"  # workflows, runs, counts
    HISTORY = "history"  # who did what in one run
    START = "start"
    CONTROL = "control"  # signal, pause, resume, cancel, retry, decide, patch, checkpoint
    REGISTER = "register"
    APPROVE = "approve"  # approve and reject
    HOLD = "hold"  # keep a run from being removed, and let it go
    AUDIT = "audit"  # read the audit trail


_PEOPLE_OF_RUNS = frozenset({Role.VIEWER, Role.OPERATOR, Role.AUTHOR, Role.APPROVER, Role.ADMIN})

POLICY: Mapping[Permission, frozenset[Role]] = MappingProxyType(
    {
        Permission.READ: _PEOPLE_OF_RUNS,
        Permission.HISTORY: _PEOPLE_OF_RUNS | {Role.AUDITOR},
        Permission.START: frozenset({Role.OPERATOR, Role.ADMIN}),
        Permission.CONTROL: frozenset({Role.OPERATOR, Role.ADMIN}),
        Permission.REGISTER: frozenset({Role.AUTHOR, Role.ADMIN}),
        Permission.APPROVE: frozenset({Role.APPROVER, Role.ADMIN}),
        Permission.HOLD: frozenset({Role.ADMIN}),
        Permission.AUDIT: frozenset({Role.AUDITOR, Role.ADMIN}),
    }
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `subject` is what approvals and the history show."""

    subject: str
    tenant: str
    roles: frozenset[Role]

    def may(self, permission: Permission) -> bool:
        return not self.roles.isdisjoint(POLICY[permission])


def principal(claims: Mapping[str, Any]) -> Principal:
    """From verified claims, as a token has them or as API Gateway passes them on. Raises Rejected (401, 403)."""
    subject = next((str(claims[name]) for name in SUBJECT_CLAIMS if claims.get(name)), None)
    if subject is None:
        raise unauthenticated("the token does not say whose it is (no `sub`)")
    tenant = next((str(claims[name]) for name in TENANT_CLAIMS if claims.get(name)), DEFAULT_TENANT)
    if not _TENANT.match(tenant):
        raise Rejected("forbidden", "the token's tenant is not a name that a tenant can have", status=403)
    words = {word for name in ROLE_CLAIMS for word in _words(claims.get(name))}
    return Principal(subject, tenant, frozenset(role for role in Role if role.value in words))


def _words(value: Any) -> set[str]:
    """A list, `"a b"`, or `"[a b]"`, which is how API Gateway writes a list; `treadle/` before a role is dropped."""
    if isinstance(value, str):
        value = value.strip("[]").replace(",", " ").split()
    return {_ROLE_PREFIX.sub("", str(word), count=1) for word in value} if isinstance(value, list | tuple) else set()


def as_gateway_claims(claims: Mapping[str, Any]) -> dict[str, str]:
    """Claims as API Gateway's JWT authorizer puts them into an event: every value a string, a list `[a b]`."""
    return {name: f"[{' '.join(map(str, value))}]" if isinstance(value, list) else str(value) for name, value in claims.items()}


def unauthenticated(why: str) -> Rejected:
    return Rejected("unauthenticated", why, status=401)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks tokens of one issuer for one audience, signed with one algorithm: the token's own header chooses nothing."""

    key: str | bytes = field(repr=False)
    algorithm: str
    issuer: str
    audience: str

    def claims(self, authorization: str | None) -> dict[str, Any]:
        """The claims of an `Authorization: Bearer ...` header. Raises Rejected (401)."""
        import jwt  # PyJWT: only where tokens are checked here and not by the gateway

        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("send a token: `Authorization: Bearer TOKEN`")
        try:
            claims: dict[str, Any] = jwt.decode(
                token.strip(),
                self.key,
                algorithms=[self.algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=CLOCK_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise unauthenticated("the token is not valid now: it has expired or is not valid yet") from None
        except jwt.PyJWTError:
            raise unauthenticated("the token is not valid here") from None
        return claims


@dataclass(frozen=True, slots=True)
class DevelopmentKey:
    """The key of one engine on this machine: made at its start, gone at its end."""

    secret: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(48))
    issuer: str = "treadle-dev"
    audience: str = "treadle"

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.secret, "HS256", self.issuer, self.audience)

    def token(
        self, subject: str = "developer", *, tenant: str = "local", roles: tuple[Role, ...] = (Role.ADMIN,), lifetime_s: int = 30 * 86_400
    ) -> str:
        import jwt

        now = int(time.time())
        claims = {
            "sub": subject,
            "tenant": tenant,
            "roles": [role.value for role in roles],
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + lifetime_s,
        }
        return jwt.encode(claims, self.secret, algorithm="HS256")
