"""JSON schemas of tool arguments: made from a type, and used to validate and convert the arguments that a model wrote.

Lenient in form, because models write the arguments: a number for a text, digits for a number, another spelling of a name, null
for a missing value. Strict in meaning: an invalid value is a Misfit that names the argument. Supports the keywords that
function schemas use; the tool must check the others.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_JOINTS = re.compile(r"[\s_-]+")
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
KINDS = ("object", "array", "string", "integer", "number", "boolean", "null")
LIMITS = ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
MOST_DEPTH = 16  # of a schema; models do not fill in deeper ones


class Misfit(ValueError):
    """An invalid argument.

    Attributes:
        where: dotted path of the argument.
        problem: `missing`, `not a string`, `too long`, …
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class Unreadable(ValueError):
    """The arguments are not an object."""


def parameters_of(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a type's fields, without references, titles and empty defaults."""
    (root,), parts = msgspec.json.schema_components((arguments,))
    plain: dict[str, Any] = _plain(root, parts)
    return plain


def _plain(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_plain(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(parts[schema["$ref"].rpartition("/")[2]], parts)
    properties = schema.get("properties")
    left_out = {"title", "properties"} if properties is None else {"title", "properties", "description"}  # a docstring
    kept = {
        name: _plain(value, parts)
        for name, value in schema.items()
        if name not in left_out and not (name == "default" and value in ([], {}, "", None))
    }
    if properties is not None:
        kept["properties"] = {name: _plain(value, parts) for name, value in properties.items()}
    return kept


def fault_of(parameters: Mapping[str, Any]) -> str | None:
    """The fault of a schema for tool arguments, for its author; None if it is valid."""
    if parameters.get("type", "object") != "object":
        return 'the type of the parameters should be "object"'
    return _fault(parameters, 0)


def _fault(schema: Any, depth: int) -> str | None:
    if not isinstance(schema, Mapping):
        return "a schema should be a table"
    if depth > MOST_DEPTH:
        return f"nested deeper than {MOST_DEPTH}"
    if "$ref" in schema:
        return "$ref is not followed; write the schema out"
    kinds = schema.get("type", "object")
    if any(kind not in KINDS for kind in (kinds if isinstance(kinds, list) else [kinds])):
        return f"type should be one of {', '.join(KINDS)}"
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping):
        return "properties should be a table"
    if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
        return "required should be a list of names from properties"
    for name in LIMITS:
        if not isinstance(schema.get(name, 0), int | float):
            return f"{name} should be a number"
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError):
        return f"{schema['pattern']!r} is not a valid pattern"
    lists = [schema.get(name, []) for name in ("anyOf", "oneOf", "enum")]
    if not all(isinstance(each, list) for each in lists):
        return "anyOf, oneOf and enum should be lists"
    below = [*properties.values(), *([schema["items"]] if "items" in schema else []), *lists[0], *lists[1]]
    return next((fault for each in below if (fault := _fault(each, depth + 1))), None)


def decode(raw: Any) -> dict[str, Any]:
    """Decode arguments to an object; missing arguments (absent, null, empty text) become {}.

    Args:
        raw: an object, its JSON, or its JSON encoded again as a string.

    Raises:
        Unreadable: a list, a number, incomplete JSON.
    """
    for _ in range(3):
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return {}
        if isinstance(raw, dict):
            return raw
        if not isinstance(raw, str):
            break
        try:
            raw = msgspec.json.decode(raw.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            break
    raise Unreadable


def fit(schema: Mapping[str, Any], value: Any, where: str = "") -> Any:
    """Convert a value to what the schema expects. Raises Misfit for an invalid value."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _first_that_fits(choices, value, where)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _first_that_fits([{**schema, "type": each} for each in kind], value, where)
    if "enum" in schema:
        return _choice(schema["enum"], value, where)
    match kind:
        case "object":
            return _object(schema, value, where)
        case "array":
            items = value if isinstance(value, list) else [value]
            _within(schema, len(items), ("minItems", "maxItems"), ("too few", "too many"), where)
            return [fit(schema.get("items", {}), each, f"{where}[{index}]") for index, each in enumerate(items)]
        case "string":
            text = _text(value, where)
            _within(schema, len(text), ("minLength", "maxLength"), ("too short", "too long"), where)
            if "pattern" in schema and not re.search(schema["pattern"], text):
                raise Misfit(where, "not of the expected form")
            return text
        case "integer" | "number":
            number = _number(value, where, is_whole=kind == "integer")
            _within(schema, number, ("minimum", "maximum"), ("too small", "too large"), where)
            return number
        case "boolean":
            if isinstance(value, str):
                value = _BOOLEANS.get(value.strip().lower())
            if not isinstance(value, bool):
                raise Misfit(where, "neither true nor false")
            return value
        case "null":
            if value is not None:
                raise Misfit(where, "not null")
    return value


def _object(schema: Mapping[str, Any], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Misfit(where, "not an object")
    properties: Mapping[str, Any] = schema.get("properties", {})
    spelled = {_plain_name(name): name for name in properties}
    given: dict[str, Any] = {}
    for name, each in value.items():
        known = name if name in properties else spelled.get(_plain_name(name))
        if known is None:
            if schema.get("additionalProperties", True) is not False:
                given.setdefault(name, each)
        elif known == name or known not in value:
            given[known] = each
    required = schema.get("required", ())
    fitted: dict[str, Any] = {}
    for name, each in given.items():
        path = f"{where}.{name}" if where else name
        if name not in properties:
            fitted[name] = each
        elif each is not None or name in required:
            fitted[name] = fit(properties[name], each, path)
        elif _accepts_null(properties[name]):
            fitted[name] = None  # otherwise null means a missing value, as models write it
    for name in required:
        if name not in fitted:
            raise Misfit(f"{where}.{name}" if where else name, "missing")
    return fitted


def _accepts_null(schema: Mapping[str, Any]) -> bool:
    try:
        return fit(schema, None) is None
    except Misfit:
        return False


def _first_that_fits(choices: Any, value: Any, where: str) -> Any:
    problem = Misfit(where, "not of the expected kind")
    for choice in choices:
        try:
            return fit(choice, value, where)
        except Misfit as misfit:
            problem = misfit
    raise problem


def _choice(choices: Any, value: Any, where: str) -> Any:
    for choice in choices:
        if choice == value and isinstance(choice, bool) is isinstance(value, bool):
            return choice
    if isinstance(value, str):
        for choice in choices:
            if isinstance(choice, str) and _plain_name(choice) == _plain_name(value):
                return choice
    raise Misfit(where, "none of the choices")


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Misfit(where, "not a text")


def _number(value: Any, where: str, *, is_whole: bool) -> int | float:
    if isinstance(value, str):
        try:
            value = float(value) if not value.strip().lstrip("+-").isdigit() else int(value)
        except ValueError:
            value = None
    if isinstance(value, float) and value.is_integer() and is_whole:
        value = int(value)
    is_number = isinstance(value, int) or (isinstance(value, float) and not is_whole and abs(value) < float("inf"))
    if isinstance(value, bool) or not is_number:
        raise Misfit(where, "not a whole number" if is_whole else "not a number")
    assert isinstance(value, int | float)
    return value


def _within(
    schema: Mapping[str, Any], size: float, limits: tuple[str, str], problems: tuple[str, str], where: str
) -> None:
    if size < schema.get(limits[0], size):
        raise Misfit(where, problems[0])
    if size > schema.get(limits[1], size):
        raise Misfit(where, problems[1])


def _plain_name(name: object) -> str:
    return _JOINTS.sub("", str(name)).lower()
