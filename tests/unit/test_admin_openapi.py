"""The published description of the administration is that of the code."""

from pathlib import Path

import pytest

from agentvoicebox.gateway.http.admin_openapi import admin_openapi, as_text

pytestmark = pytest.mark.requirement("A18")

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi-admin.json"


def test_the_document_is_current() -> None:
    again = f"python -m agentvoicebox.gateway.http.admin_openapi > {DOCUMENT.name}"
    assert DOCUMENT.read_text(encoding="utf-8") == as_text(admin_openapi()), f"write it again: {again}"


def test_every_operation_tells_who_may_and_how_a_no_looks() -> None:
    document = admin_openapi()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["security"], (method, path)
            assert {"400", "401", "403", "404", "409", "503"} <= operation["responses"].keys(), (method, path)
            assert "422" not in operation["responses"], (method, path)
