"""The page docs/reference/http-api.md names every address and every code, each with its status."""

from __future__ import annotations

import re
from pathlib import Path

from treadle.api.problems import CATALOGUE
from treadle.api.routes import ROUTES
from treadle.auth import Role

PAGE = (Path(__file__).parents[2] / "docs/reference/http-api.md").read_text()


def test_every_address_is_on_the_page_and_no_other() -> None:
    told = set(re.findall(r"^\| `((?:GET|POST|PATCH|DELETE) /v1[^`]*)`", PAGE, re.MULTILINE))
    assert told == {f"{route.method} /v1{route.path}" for route in ROUTES}


def test_every_code_is_on_the_page_with_its_status() -> None:
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| (\d{3}) \|", PAGE, re.MULTILINE)
    told = {code: int(status) for codes, status in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert told == {code: kind.status for code, kind in CATALOGUE.items()}


def test_every_role_is_on_the_page() -> None:
    assert all(f"| `{role}` |" in PAGE for role in Role)
