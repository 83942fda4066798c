"""Parses the text of settings."""

import re

HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def comma_list(value: str) -> tuple[str, ...]:
    """The parts between commas, stripped; empty parts are left out."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def with_scheme(value: str, schemes: tuple[str, ...]) -> str:
    """Check the scheme of a URL and return it unchanged; "" is allowed.

    Raises:
        ValueError: the URL starts with none of `schemes`.
    """
    if value and not value.startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return value
