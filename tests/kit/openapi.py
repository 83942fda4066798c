"""Requests made from an OpenAPI document, valid ones and damaged ones, and whether an answer is as the document says."""

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from jsonschema import Draft202012Validator

from tests.kit.mutation import EXTREMES, Mutator

NO_ROUTE = ("unknown_url", "method_not_allowed")
CONTENT = {400, 404, 422}
METHODS = ("get", "post", "put", "patch", "delete")
PLAIN = string.ascii_lowercase + string.digits
ODD_TEXTS = (
    "",
    "x",
    "\x00",
    "a/b",
    "a..b",
    "é",
    "%",
    "x" * 300,
    "-1",
    "²",
    "2026-11-01",
    "9" * 30,
    "\ud83d",
    "sess_" + "0" * 20,
)


@dataclass
class Operation:
    """One method of one path."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def operation_id(self) -> str:
        """Its name."""
        return str(self.described["operationId"])

    def caused_by_clients(self) -> set[int]:
        """The described refusals that depend on the content of the request alone, whatever the server holds."""
        return {int(status) for status in self.described["responses"]} & CONTENT


@dataclass
class Attempt:
    """A request, ready to be sent."""

    operation: Operation
    url: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Document:
    """An OpenAPI 3.1 document.

    Args:
        described: its JSON.
    """

    def __init__(self, described: dict[str, Any]) -> None:
        self._described = described
        self.operations = [
            Operation(method, path, operation)
            for path, operations in described["paths"].items()
            for method, operation in operations.items()
            if method in METHODS
        ]

    def operation_of(self, method: str, path: str) -> Operation | None:
        """The operation that a request is for; the one with the fewest parameters. None: the document has none."""
        found = [
            each
            for each in self.operations
            if each.method == method.lower() and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", each.path), path)
        ]
        return min(found, key=lambda each: each.path.count("{"), default=None)

    def attempt(self, chance: random.Random, operation: Operation, known: dict[str, list[str]]) -> Attempt:
        """A request for an operation; about half of them are valid as far as the document says.

        Args:
            known: values of path parameters that exist, by name.
        """
        is_damaged = chance.random() < 0.5
        url, query = operation.path, []
        for each in operation.described.get("parameters", ()):
            if each["in"] == "header" or (each["in"] == "query" and chance.random() < 0.5):
                continue
            values = known.get(each["name"], []) if each["in"] == "path" else []
            value = chance.choice(values) if values and chance.random() < 0.8 else self._value(chance, each["schema"])
            if is_damaged and chance.random() < 0.4:
                value = chance.choice(ODD_TEXTS)
            text = quote(str(value).encode(errors="replace"), safe="")
            if each["in"] == "path":
                url = url.replace("{" + each["name"] + "}", text or "_")
            else:
                query.append(f"{each['name']}={text}")
        attempt = Attempt(operation, url + ("?" + "&".join(query) if query else ""))
        content = operation.described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None or (operation.method == "post" and chance.random() < 0.9):
            body = self._value(chance, content["schema"]) if content else {}
            mutator = Mutator(chance, (*EXTREMES, "realtime", "x" * 20_000), ("id", "name", "type", "session"))
            for _ in range(chance.randrange(1, 4) if is_damaged else 0):
                body = mutator.bend(body)
            attempt.body = mutator.written(body, damaged=0.3 if is_damaged else 0.0)
            is_odd = is_damaged and chance.random() < 0.05
            attempt.headers["content-type"] = chance.choice(("text/plain", "", "a")) if is_odd else "application/json"
        return attempt

    def faults_of(self, operation: Operation, answer: httpx.Response) -> list[str]:
        """What of an answer the document does not say: its status, content type, headers or body.

        An answer that no route has taken the request is not the operation's: the document's introduction describes it.
        """
        request = answer.request
        told = f"{request.method} {str(request.url)[:200]} → {answer.status_code}"
        described = operation.described["responses"].get(str(answer.status_code))
        kind = answer.headers.get("content-type", "").partition(";")[0]
        body = None
        if kind == "application/json":
            try:
                body = answer.json()
            except ValueError:
                return [f"{told}: no JSON: {answer.text[:100]!r}"]
        if isinstance(body, dict) and isinstance(error := body.get("error"), dict) and error.get("code") in NO_ROUTE:
            return []
        if described is None:
            return [f"{told}: the status is not described: {answer.text[:200] if body is not None else kind}"]
        wrong = list(_faults_of_headers(told, described.get("headers", {}), answer))
        content = described.get("content", {})
        if not content:
            return wrong if not kind else [*wrong, f"{told}: there is a body, and none is described"]
        if kind not in content:
            return [*wrong, f"{told}: the content type {kind!r} is not described"]
        if body is not None and (schema := content[kind].get("schema")):
            checked = {**schema, "components": self._described.get("components", {})}
            wrong += [f"{told}: {error.message[:200]}" for error in Draft202012Validator(checked).iter_errors(body)]
        return wrong

    def hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """`event_hooks` of an HTTP client: a test fails when an answer to it is not as the document says."""

        async def check(answer: httpx.Response) -> None:
            operation = self.operation_of(answer.request.method, answer.request.url.path)
            if operation is None:
                return
            if answer.headers.get("content-type", "").startswith("application/json"):
                await answer.aread()
            if wrong := self.faults_of(operation, answer):
                raise AssertionError("\n".join(wrong))

        return {"response": [check]}

    def _value(self, chance: random.Random, schema: dict[str, Any]) -> Any:
        """A value that a schema allows, as far as this reads schemas."""
        if "$ref" in schema:
            return self._value(chance, self._described["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return chance.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._value(chance, chance.choice(schema[several]))
        if "allOf" in schema:
            return self._value(chance, schema["allOf"][0])
        match schema.get("type"):
            case "object":
                given = schema.get("properties", {})
                needed = schema.get("required", ())
                return {
                    name: self._value(chance, each)
                    for name, each in given.items()
                    if name in needed or chance.random() < 0.6
                }
            case "array":
                return [
                    self._value(chance, schema.get("items", {}))
                    for _ in range(schema.get("minItems", 0) + chance.randrange(3))
                ]
            case "integer":
                return chance.choice(
                    (schema.get("minimum", 0), schema.get("maximum", 10**6), schema.get("minimum", 1) + 1)
                )
            case "number":
                return chance.choice((schema.get("minimum", 0), schema.get("maximum", 10.5)))
            case "boolean":
                return chance.random() < 0.5
            case "null":
                return None
            case "string":
                return _text(chance, schema)
        return chance.choice((None, {}, "x", 1))


def _faults_of_headers(told: str, described: dict[str, Any], answer: httpx.Response) -> Iterator[str]:
    for name, each in described.items():
        given = answer.headers.get(name)
        if given is None and each.get("required"):
            yield f"{told}: the header {name} is missing"
        if given is not None and not (given.isdigit() and int(given) >= each["schema"]["minimum"]):
            yield f"{told}: {name} is {given!r}"


def _text(chance: random.Random, schema: dict[str, Any]) -> str:
    if schema.get("format") == "date":
        return f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    text = "".join(chance.choices(PLAIN, k=chance.choice((1, 5, 20))))
    pattern = schema.get("pattern")
    return text if pattern is None or re.search(pattern, text) else "a"


def described(document: dict[str, Any]) -> str:
    """For a failing test: the document's operations."""
    return json.dumps(list(document["paths"]))
