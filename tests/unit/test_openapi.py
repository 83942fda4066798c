"""The published descriptions of all ports are those of the code, and tell of every operation who may and what may come."""

from typing import Any

import pytest
from tests.kit.reference import openapi
from tests.kit.reference.markdown import COMMAND
from tests.kit.reference.pages import FOLDER

pytestmark = pytest.mark.requirement("A18")

DOCUMENTS = openapi.documents()
INTERNAL = {openapi.GATEWAY_INTERNAL, openapi.WEBHOOK_INTERNAL}
OPERATIONS = [
    (name, f"{method.upper()} {path}", operation)
    for name, document in DOCUMENTS.items()
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == openapi.as_text(DOCUMENTS[name]), COMMAND


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_names_its_servers_and_its_credentials(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["openapi"].startswith("3.1")
    assert document["servers"] and all(each["description"] for each in document["servers"])
    schemes = document["components"].get("securitySchemes", {})
    assert document["security"] == [{scheme: []} for scheme in schemes]
    assert bool(schemes) != (name in INTERNAL)


@pytest.mark.parametrize(("name", "operation", "described"), OPERATIONS, ids=[f"{o[0]} {o[1]}" for o in OPERATIONS])
def test_every_answer_of_an_operation_has_a_typed_body(name: str, operation: str, described: dict[str, Any]) -> None:
    responses = described["responses"]
    assert "default" not in responses
    assert {"408", "431", "500"} <= responses.keys()
    is_open = name in INTERNAL or described.get("security") == []
    if not is_open:
        assert {"401", "429"} <= responses.keys()
    for status, response in responses.items():
        assert ("content" in response) == (status != "204")
        for kind, content in response.get("content", {}).items():
            assert kind.startswith("audio/") or content["schema"], status
    for status in {"429"} & responses.keys():
        assert responses[status]["headers"]["Retry-After"]["required"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_operations_have_ids_of_their_own(name: str) -> None:
    ids = [described["operationId"] for document, _, described in OPERATIONS if document == name]
    assert len(ids) == len(set(ids))
