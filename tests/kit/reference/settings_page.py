"""`docs/reference/settings.md`: every setting, its default, its range, its meaning, and who reads it."""

from typing import Any, Literal, get_args, get_origin

import annotated_types as at
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agentvoicebox.kits.registry import load_kits
from agentvoicebox.settings import PREFIX
from agentvoicebox.settings.settings import Settings
from tests.kit.reference.docstrings import attributes, summary
from tests.kit.reference.markdown import code, head, section, table, text_of
from tests.kit.reference.setting_readers import READERS

KITS = ("delivery",)


def groups() -> list[tuple[str, type[BaseModel]]]:
    """The title and the class of each group: the platform's, then those of the kits that come with it."""
    found = [
        (summary(group).partition("\n")[0].rstrip("."), group)
        for group in Settings.__bases__
        if group.__name__ != "BaseSettings"
    ]
    for kit in load_kits(KITS):
        if kit.settings is not None:
            found.append((f"Settings of the agent kit `{kit.name}`", kit.settings))
    return found


def page() -> str:
    """The page. Raises ValueError when a setting has no reader, or a reader no setting."""
    names = {name for _, group in groups() for name in group.model_fields}
    if old := names ^ set(READERS):
        raise ValueError(f"out of date: {old}")
    lines = head(
        "Settings",
        "`settings/` and the settings of the kits",
        "Settings are environment variables, read once at start. An empty variable means the default (`AVB_KITS=` "
        "means no kit). All "
        "invalid settings are reported together at start, each with its fix; an unknown `AVB_…` name is one of them. "
        "`.env` is not "
        "read by itself: copy `.env.example`, then `set -a; . ./.env; set +a`.",
        "“Read by” names the roles that use a setting: give it to these processes. `serve` without `--role` gives "
        "every setting to "
        "every role. “serve” is the supervisor itself, “commands” are others such as `agentvoicebox keys`.",
    )
    for title, group in groups():
        meanings = attributes(group)
        rows = [
            (
                code(f"{PREFIX}{name.upper()}"),
                _default(field),
                _range(field),
                _meaning(meanings, name),
                ", ".join(READERS[name]),
            )
            for name, field in group.model_fields.items()
        ]
        lines += section(title)
        lines += table(("variable", "default", "values", "meaning", "read by"), rows)
    return text_of(lines)


def _meaning(meanings: dict[str, str], name: str) -> str:
    if name not in meanings:
        raise ValueError(f"{name} is not documented")
    return meanings[name]


def _default(field: FieldInfo) -> str:
    if field.default in ("", None):
        return "empty"
    return code(str(field.default).lower() if isinstance(field.default, bool) else str(field.default))


def _range(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(code(str(value)) for value in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind is str:
        return "text"
    low = next((rule.ge for rule in field.metadata if isinstance(rule, at.Ge)), None)
    high = next((rule.le for rule in field.metadata if isinstance(rule, at.Le)), None)
    match low, high:
        case None, None:
            return "number"
        case _, None:
            return f"{low} or more"
        case _:
            return f"{low} to {high}"
