"""msgspec structs as tables of their fields."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec.inspect as mi
from msgspec import NODEFAULT, UNSET

from tests.kit.reference.docstrings import attributes, summary
from tests.kit.reference.markdown import code, section, table

Struct = type[Any]


def tag_of(kind: Struct) -> str:
    """The `type` of a tagged struct, or "" for one that is identified by its place."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return str(info.tag or "")


def fields_of(kind: Struct) -> tuple[mi.Field, ...]:
    """Its fields, in the order of the code, without the `event_id` that all events have."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return tuple(field for field in info.fields if field.name != "event_id" or not info.tag)


def type_name(kind: mi.Type, shown: Mapping[Struct, str]) -> str:
    """A type for people. `shown`: structs that have a section of their own, with its title."""
    match kind:
        case mi.StrType():
            return "string"
        case mi.BytesType():
            return "base64 string"
        case mi.BoolType():
            return "boolean"
        case mi.IntType(ge=least, le=most):
            return "integer" + _range(least, most)
        case mi.FloatType():
            return "number"
        case mi.NoneType():
            return "null"
        case mi.LiteralType(values=values):
            return ", ".join(code(str(value)) for value in values)
        case mi.DictType():
            return "object"
        case mi.VarTupleType(item_type=item):
            return f"array of {type_name(item, shown)}"
        case mi.UnionType(types=types):
            return " or ".join(dict.fromkeys(type_name(each, shown) for each in types))
        case mi.StructType(cls=cls):
            return f"[{shown[cls]}](#{anchor(shown[cls])})" if cls in shown else "object"
        case _:
            return "any"


def _range(least: int | None, most: int | None) -> str:
    if least is None:
        return ""
    return f", {least} or more" if most is None else f", {least} to {most}"


def anchor(title: str) -> str:
    """The address of a heading on its page."""
    return title.lower().replace("`", "").replace(" ", "-").replace(".", "").replace("(", "").replace(")", "")


def default_of(field: mi.Field) -> str:
    """The default of a field, "" when it has none or is simply absent."""
    if field.default in (NODEFAULT, UNSET, None, ""):
        return ""
    if isinstance(field.default, tuple):
        return "[" + ", ".join(map(str, field.default)) + "]" if field.default else "empty"
    return code(str(field.default).lower() if isinstance(field.default, bool) else str(field.default))


def meaning_of(kind: Struct, name: str, said: Mapping[str, str]) -> str:
    """`said` by `struct.field` or by `field`, else what the docstring says.

    Raises:
        KeyError: nothing says what the field means.
    """
    key = f"{tag_of(kind) or kind.__name__}.{name}"
    if key in said:
        return said[key]
    documented = attributes(kind)
    return documented[name] if name in documented else said[name]


def client_fields(kind: Struct, shown: Mapping[Struct, str], said: Mapping[str, str]) -> list[str]:
    """The table of what a client sends."""
    rows = [
        (
            code(field.name),
            type_name(field.type, shown),
            "yes" if field.required else "no",
            default_of(field),
            meaning_of(kind, field.name, said),
        )
        for field in fields_of(kind)
    ]
    return table(("field", "type", "required", "default", "meaning"), rows)


def server_fields(kind: Struct, shown: Mapping[Struct, str], said: Mapping[str, str]) -> list[str]:
    """The table of what the server sends."""
    rows = [
        (code(field.name), type_name(field.type, shown), meaning_of(kind, field.name, said))
        for field in fields_of(kind)
    ]
    return table(("field", "type", "meaning"), rows)


def shape_sections(shown: Mapping[Struct, str], said: Mapping[str, str], *, is_sent_by_client: bool) -> Iterator[str]:
    """A section for each struct."""
    fields = client_fields if is_sent_by_client else server_fields
    for kind, title in shown.items():
        tag = f' `"type": "{tag_of(kind)}"`.' if tag_of(kind) else ""
        yield from section(title, summary(kind) + tag, level=3)
        yield from fields(kind, shown, said)


def unused(said: Mapping[str, str], kinds: Sequence[Struct]) -> set[str]:
    """Names that no field has: their sentences are out of date."""
    used = {f"{tag_of(kind) or kind.__name__}.{field.name}" for kind in kinds for field in fields_of(kind)}
    used |= {field.name for kind in kinds for field in fields_of(kind)}
    return set(said) - used
