"""One emulator and one deployment for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ministack.deployment import Deployed, deploy
from tests.ministack.emulator import running


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder: Path = tmp_path_factory.mktemp("ministack")
    with running(folder) as emulator:
        yield deploy(emulator)
