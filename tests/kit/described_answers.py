"""HTTP clients that fail a test when the server's answer is not as its OpenAPI document says."""

from collections.abc import Callable
from functools import cache
from typing import Any

from tests.kit.openapi import Document
from tests.kit.reference import openapi


def described_answers(*names: str) -> dict[str, list[Callable[..., Any]]]:
    """`event_hooks` of a client. `names`: of the documents; by default both of the gateway's public port."""
    hooks = [hook for name in names or (openapi.GATEWAY, openapi.ADMIN) for hook in _document(name).hooks()["response"]]
    return {"response": hooks}


@cache
def _document(name: str) -> Document:
    return Document(openapi.documents()[name])
