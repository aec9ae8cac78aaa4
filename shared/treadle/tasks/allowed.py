"""What the built-in tasks `http`, `lambda` and `aws` may reach: named by whoever deploys, nothing by default.

Data, so that the same value is given to workers (`TREADLE_ALLOW`), to the local engine and to tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

WEB_PORTS = (80, 443)


@dataclass(frozen=True, slots=True)
class Allowed:
    """`hosts`: `api.example.com`, `*.example.com` (its subdomains), `*` (any), each at ports 80 and 443, or with a port of its own:
    `api.example.com:8443`. `networks`: CIDR ranges that are not public and may be reached all the same (`10.1.0.0/16`);
    link-local and metadata addresses stay refused. `functions`: names or ARNs of Lambdas, `*` for any part. `actions`: boto3
    calls, `sns.publish` or `s3.*`.
    """

    hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, given: Any) -> Allowed:
        """`{"hosts": [...], "functions": [...]}`. Raises ValueError for anything that is not such a map of lists of strings."""
        names = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping) or not given.keys() <= set(names):
            raise ValueError(f"what tasks may reach is a map of {', '.join(names)}, not {given!r}")
        for name, entries in given.items():
            if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) and entry for entry in entries):
                raise ValueError(f"{name} of what tasks may reach must be a list of strings, not {entries!r}")
        return cls(**{name: tuple(entries) for name, entries in given.items()})

    def has_host(self, host: str, port: int) -> bool:
        """`host` in lower case, without brackets and without a dot at its end."""
        return any(_is_host(entry.lower(), host, port) for entry in self.hosts)

    def has_function(self, function: str) -> bool:
        """A name stands for the listed ARN that ends with it. An ARN, even a part of one, has to be listed as such: the same name may be
        another account's. `*` stands for one part only: a name is not any of its versions and aliases."""
        if "*" in self.functions:
            return True
        if ":function:" in function:
            return any(_fits(function, entry) for entry in self.functions if ":function:" in entry)
        return any(_fits(function, entry.rpartition(":function:")[2]) for entry in self.functions)

    def has_action(self, service: str, action: str) -> bool:
        return any(fnmatchcase(f"{service}.{action}", entry) for entry in self.actions)


NOTHING = Allowed()


def _fits(function: str, entry: str) -> bool:
    parts, wanted = function.split(":"), entry.split(":")
    return len(parts) == len(wanted) and all(fnmatchcase(part, each) for part, each in zip(parts, wanted, strict=True))


def _is_host(entry: str, host: str, port: int) -> bool:
    name, colon, its_port = entry.rpartition(":")
    has_port = bool(colon) and its_port.isdigit() and (":" not in name or name.endswith("]"))
    if port != int(its_port) if has_port else port not in WEB_PORTS:
        return False
    name = (name if has_port else entry).strip("[]")
    if name == "*":
        return True
    return host.endswith(name[1:]) and len(host) >= len(name) if name.startswith("*.") else host == name
