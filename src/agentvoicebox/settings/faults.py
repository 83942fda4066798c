"""What is wrong with a setting, in a sentence of ours instead of Pydantic's."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from agentvoicebox.settings.values import variable

CLOSE_MATCH = 0.6  # difflib's own default cutoff: one or two wrong letters in a name of eight
SHOWN_CHARACTERS = 60  # of a wrong value


def no_such_setting(name: str, known: Sequence[str]) -> str:
    """A variable that no field has; `name` is without the prefix, in lower case."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE_MATCH)
    hint = f"; did you mean {variable(near[0])}?" if near else ""
    return f"{variable(name)}: no such setting{hint}"


def explained(fault: ErrorDetails, known: Sequence[str], secret: Sequence[str]) -> str:
    """`AVB_PORT: 'abc' is not a whole number`.

    Args:
        fault: one of Pydantic's.
        known: all fields.
        secret: fields whose values are not shown.
    """
    name = ".".join(str(part) for part in fault["loc"])
    if name not in known:
        return no_such_setting(name, known)
    shown = "the value" if name in secret else repr(str(fault["input"])[:SHOWN_CHARACTERS])
    return f"{variable(name)}: {_sentence(fault, shown, fault.get('ctx', {}))}"


def _sentence(fault: ErrorDetails, shown: str, limits: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "int_parsing" | "int_from_float" | "int_type" | "int_parsing_size":
            return f"{shown} is not a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return f"{shown} is not a number"
        case "bool_parsing" | "bool_type":
            return f"{shown} should be true or false"
        case "literal_error":
            return f"{shown} should be {limits['expected'].replace(chr(39), '')}"
        case "greater_than_equal":
            return f"{shown} should be {limits['ge']} or more"
        case "less_than_equal":
            return f"{shown} should be {limits['le']} or less"
        case "string_too_short":
            return "it should not be empty"
        case "value_error":
            return str(limits["error"])
    return f"{shown} is not valid ({fault['type']})"
