"""`.env.example`: every setting with its meaning and its default, generated from the settings classes.

python -m agentvoicebox.kits.env_example > .env.example
"""

import inspect
import re

from pydantic import BaseModel

from agentvoicebox.kits.registry import Kits, load_kits
from agentvoicebox.settings.settings import Settings
from agentvoicebox.settings.values import variable

HEAD = """\
# Every setting with its default, generated from the code. Copy this file to .env, remove the `# ` where you want another value,
# and load it before the start:
#
#   set -a; . ./.env; set +a; agentvoicebox serve
"""
_ENTRY = re.compile(r"\n {4}(?=[a-z0-9_]+(?:, [a-z0-9_]+)*:|[a-z0-9_]+(?:, [a-z0-9_]+)*,\n)")


def example(kits: Kits) -> str:
    """The text of `.env.example`: settings of the platform, then those of the kits."""
    groups = [(group.__doc__ or "", group) for group in Settings.__bases__ if group.__name__ != "BaseSettings"]
    own = [(kit.name, kit.settings) for kit in kits if kit.settings is not None]
    groups += [(f"Agent kit {name}: {group.__doc__ or ''}", group) for name, group in own]
    return HEAD + "".join(_group(title.partition("\n")[0], group) for title, group in groups)


def _group(title: str, group: type[BaseModel]) -> str:
    lines = [f"\n\n#: {title.rstrip('.')}\n"]
    meanings = _meanings(group)
    for name, field in group.model_fields.items():
        if meanings.get(name):
            lines.append(f"#: {meanings[name]}")
        lines.append(f"# {variable(name)}={'' if field.default is None else field.default}")
    return "\n".join(lines) + "\n"


def _meanings(group: type[BaseModel]) -> dict[str, str]:
    """Text of each `Attributes:` entry, by the first of its names."""
    attributes = inspect.getdoc(group) or ""
    entries = _ENTRY.split(attributes.partition("Attributes:")[2])
    found: dict[str, str] = {}
    for entry in entries:
        names, colon, text = " ".join(entry.split()).partition(": ")
        if colon:
            found[names.split(", ")[0]] = text.rstrip(".")
    return found


if __name__ == "__main__":
    print(example(load_kits(("delivery",))), end="")
