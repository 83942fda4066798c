"""A voice of a speech engine. Apart from `providers`, so that lists of voices load no NumPy."""

import msgspec


class Voice(msgspec.Struct, frozen=True):
    """A voice of the catalogue."""

    name: str
    engine: str
    language: str
    description: str = ""
