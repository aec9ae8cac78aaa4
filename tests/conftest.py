"""What every test shares: how Hypothesis searches, and an environment from which no call can leave this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

# `ci` finds the same examples every time; `dev` looks for new ones and remembers what failed.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", database=DirectoryBasedExampleDatabase(".cache/hypothesis"), deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(autouse=True, scope="session")
def _no_real_credentials() -> Iterator[None]:
    """Tests see credentials that are good for nothing, whatever the developer's own environment holds."""
    before = {name: os.environ.get(name) for name in (*FAKE_AWS, "AWS_PROFILE")}
    os.environ.update(FAKE_AWS)
    os.environ.pop("AWS_PROFILE", None)
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
