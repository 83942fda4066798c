"""`docs/reference/rest-….md`: each OpenAPI document as a page, so that it is read, searched and linked like every other."""

from collections.abc import Iterator
from typing import Any

from tests.kit.reference import openapi
from tests.kit.reference.markdown import code, head, section, table, text_of
from tests.kit.reference.shapes import anchor

Json = dict[str, Any]
Rows = list[tuple[str, ...]]

PAGES = {
    openapi.GATEWAY: "rest-gateway.md",
    openapi.ADMIN: "rest-administration.md",
    openapi.GATEWAY_INTERNAL: "rest-gateway-internal.md",
    openapi.WEBHOOK: "rest-webhooks.md",
    openapi.WEBHOOK_INTERNAL: "rest-webhooks-internal.md",
}
BOUNDS = {
    "minimum": "{} or more",
    "maximum": "{} or less",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "maxItems": "up to {} entries",
    "pattern": "as `{}`",
}


def page(name: str) -> str:
    """The page of a document."""
    document = openapi.documents()[name]
    operations = [
        (f"{method.upper()} {path}", each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]
    common = set.intersection(*({status for status, _ in _answers(each)} for _, each in operations))
    about = document["info"]["description"].split("\n\n")
    lines = head(
        document["info"]["title"],
        f"[{name}]({name}), the OpenAPI 3.1 document of this port,",
        *about,
        "Servers: " + "; ".join(f"{code(each['url'])} ({each['description']})" for each in document["servers"]) + ".",
    )
    lines += _credentials(document)
    lines += section("Routes")
    lines += table(
        ("route", "what it does"),
        [(f"[{code(name)}](#{_address(name)})", each.get("summary", "")) for name, each in operations],
    )
    lines += ["", "Each of them may also answer:"]
    lines += table(("status", "body", "when"), [row for key, row in _answers(operations[0][1]) if key in common])
    for name, each in operations:
        lines += section(code(name), each.get("summary", ""))
        if each.get("security") == []:
            lines += ["", "It asks for no credential, or checks its sender by itself."]
        lines += _parameters(each)
        lines += _bodies(each)
        lines += ["", "Answers:"]
        lines += table(("status", "body", "when"), [row for key, row in _answers(each) if key not in common])
    lines += section("Shapes")
    for name, schema in document["components"]["schemas"].items():
        lines += section(_title(name), schema.get("description", ""), level=3)
        lines += _fields(schema)
    return text_of(lines)


def _address(operation: str) -> str:
    """Of its heading."""
    return "".join(letter for letter in operation.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _credentials(document: Json) -> list[str]:
    schemes = document["components"].get("securitySchemes", {})
    shown = [
        (code("Authorization: Bearer …" if each["type"] == "http" else each["name"]), each["description"])
        for each in schemes.values()
    ]
    return (
        [*section("Credentials", "One of these is enough."), *table(("header", "what it holds"), shown)]
        if shown
        else []
    )


def _answers(operation: Json) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each with a key that is equal for equal answers."""
    for status, each in operation["responses"].items():
        kinds = each.get("content", {})
        bodies = dict.fromkeys(
            _type(content["schema"]) if kind == "application/json" else code(kind) for kind, content in kinds.items()
        )
        headers = "".join(f" Header {code(name)}." for name in each.get("headers", {}))
        row = (status, " or ".join(bodies), each["description"] + headers)
        yield str(row), row


def _parameters(operation: Json) -> list[str]:
    rows = [
        (code(each["name"]), each["in"], _type(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", ())
    ]
    return table(("parameter", "in", "type", "meaning"), rows)


def _bodies(operation: Json) -> Iterator[str]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        yield from ("", f"Body ({code(kind)}): {_type(schema)}")
        for variant in schema.get("anyOf", [schema]):
            yield from _fields(variant, needed="required")


def _fields(schema: Json, *, needed: str = "always") -> list[str]:
    required = schema.get("required", ())
    rows = [
        (code(name), _type(each), "yes" if name in required else "no", each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]
    return table(("field", "type", needed, "meaning"), rows)


def _type(schema: Json) -> str:
    """A type for people, with its bounds."""
    if "$ref" in schema:
        name = _title(schema["$ref"].rpartition("/")[2])
        return f"[{name}](#{anchor(name)})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(str(each)) for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    text = (
        " or ".join(kind) if isinstance(kind, list) else str(schema.get("format", kind) if kind == "string" else kind)
    )
    bounds = [said.format(_number(schema[name])) for name, said in BOUNDS.items() if name in schema]
    return ", ".join([text, *bounds])


def _number(bound: object) -> object:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _title(name: str) -> str:
    """`Listed_TenantBody_` is "Listed Tenant Body"."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name.replace("_", ""))
    return spaced.strip()
