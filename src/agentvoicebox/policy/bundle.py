"""The rules as files: read from a folder, or as shipped, with a digest that identifies their version."""

import hashlib
from importlib.resources import files
from pathlib import Path

import msgspec

from agentvoicebox.errors import SettingsError

MOST_FILES = 256
MOST_BYTES = 4 * 1024 * 1024  # of all files together; ours are 2 kB
DATA_FILE = "data.json"  # at the top of the folder, where OPA expects it too
PACKAGE = "agentvoicebox.access"
ENTRY = "agentvoicebox/access/decision"
"""The deciding rule, as a path of OPA's Data API."""


class Bundle(msgspec.Struct, frozen=True):
    """One version of the rules.

    Attributes:
        origin: the folder, for messages.
        modules: (name, Rego text), sorted by name; tests (`…_test.rego`) are left out, as OPA's own bundles do.
        data: JSON object that the rules read as `data`.
    """

    origin: str
    modules: tuple[tuple[str, str], ...]
    data: str = "{}"

    @property
    def digest(self) -> str:
        """The same for the same rules, on every machine."""
        return hashlib.blake2b(msgspec.json.encode([self.modules, self.data]), digest_size=12).hexdigest()


def shipped_rules() -> Path:
    """The folder of the rules that come with the package."""
    return Path(str(files(__package__).joinpath("rules")))


def read_bundle(folder: str = "") -> Bundle:
    """The rules of a folder and its subfolders; empty: the shipped ones.

    Raises:
        SettingsError: there is nothing to read, too much of it, or it is no text.
    """
    root = Path(folder) if folder else shipped_rules()
    if not root.is_dir():
        raise SettingsError(f"AVB_POLICY_DIR: there is no folder {root}")
    paths = sorted(path for path in root.rglob("*.rego") if not path.name.endswith("_test.rego"))
    if not paths:
        raise SettingsError(
            f"AVB_POLICY_DIR: no .rego file in {root}; `agentvoicebox policy export {root}` puts ours there"
        )
    if len(paths) > MOST_FILES:
        raise SettingsError(f"AVB_POLICY_DIR: {len(paths)} .rego files in {root}; {MOST_FILES} at most")
    left = MOST_BYTES
    modules: list[tuple[str, str]] = []
    for path in paths:
        text, left = _read(path, left)
        modules.append((str(path.relative_to(root)), text))
    data = "{}"
    if (root / DATA_FILE).is_file():
        data, left = _read(root / DATA_FILE, left)
        try:
            msgspec.json.decode(data, type=dict)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{root / DATA_FILE}: not a JSON object ({error})") from None
    return Bundle(str(root), tuple(modules), data)


def _read(path: Path, most_bytes: int) -> tuple[str, int]:
    """(the text, how many bytes the rest may have)."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise SettingsError(f"{path}: the rules hold more than {MOST_BYTES} bytes")
        text = content.decode("utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: no UTF-8 text") from None
    return text, most_bytes - len(content)
