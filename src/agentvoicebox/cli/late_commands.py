"""Commands that are loaded when they are used: each alone takes up to a second, and a program has a dozen."""

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import typer
from typer.main import get_command, get_group


class LateCommands(MutableMapping[str, Any]):
    """Commands by name, for `TyperGroup.commands`.

    Args:
        places: `module:attribute` of each: a function, or a Typer with commands of its own.
        loaded: commands that are there already.
    """

    def __init__(self, places: Mapping[str, str], loaded: Mapping[str, Any]) -> None:
        self._places = dict(places)
        self._loaded = dict(loaded)

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._places.pop(name, None)
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._loaded)))

    def __len__(self) -> int:
        return len(self._places.keys() | self._loaded.keys())


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    single.command(name)(found)
    return get_command(single)
