"""The OpenAPI document: valid, and the same as what is served."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from treadle.api import openapi
from treadle.api.problems import CATALOGUE
from treadle.api.routes import ROUTES

from tests.api.fakes import FakeOperations, ask

DOCUMENT: dict[str, Any] = openapi.document()


def test_it_is_a_valid_openapi_31_document() -> None:
    assert [fault.message for fault in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_has_every_route_and_no_other() -> None:
    shown = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert shown == {(route.method, "/v1" + route.path) for route in ROUTES}


def test_every_schema_is_used() -> None:
    text = json.dumps(DOCUMENT)
    unused = [name for name in DOCUMENT["components"]["schemas"] if f'"#/components/schemas/{name}"' not in text]
    assert unused == []


def test_only_the_public_routes_go_without_a_token() -> None:
    open_to_all = {op["operationId"] for ops in DOCUMENT["paths"].values() for op in ops.values() if op.get("security") == []}
    assert open_to_all == {"getHealth", "getOpenApi", "succeedCallback", "failCallback", "beatCallback"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_codes_that_a_route_names_are_in_the_catalogue(route: Any) -> None:
    operation = DOCUMENT["paths"]["/v1" + route.path][route.method.lower()]
    for status, response in operation["responses"].items():
        if response["description"].startswith("Refused: "):
            for code in response["description"].removeprefix("Refused: ").rstrip(".").split(", "):
                assert CATALOGUE[code].status == int(status)


def test_the_served_document_is_this_one() -> None:
    assert ask(FakeOperations(), "GET", "/v1/openapi.json", roles=None).body == DOCUMENT


def test_titles_are_sentences_without_a_full_stop() -> None:
    assert all(re.match(r"[A-Z].*[^.]$", kind.title) for kind in CATALOGUE.values())
