"""How the text of a setting is read."""


def comma_list(value: str) -> tuple[str, ...]:
    """The parts between commas, stripped, empty ones left out."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def with_scheme(value: str, schemes: tuple[str, ...]) -> str:
    """A URL as it was given; empty is allowed.

    Raises:
        ValueError: it starts with none of `schemes`.
    """
    if value and not value.startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return value
