"""The synthesised template, for every test in this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra import synthesis
from tests.infra.template import Template


@pytest.fixture(scope="session")
def assembly() -> Path:
    return synthesis.assembly(config=synthesis.EVERYTHING)


@pytest.fixture(scope="session")
def template(assembly: Path) -> Template:
    return Template(synthesis.template(assembly))
