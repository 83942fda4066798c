"""The result of one check."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import variable, without_password

# ok; optional: not here, and not needed; taken: another process has it now; warning: it works, but should be changed; error.
State = Literal["ok", "optional", "taken", "warning", "error"]


class Finding(msgspec.Struct, frozen=True):
    """What one check found.

    Attributes:
        what: was checked, for people: "data folder".
        detail: what was found, or what is wrong.
        fix: how to correct it, as an instruction; empty when it is right.
        setting: the setting that is wrong, with its value: "AVB_PORT=8000"; empty if the detail names it.
    """

    what: str
    state: State
    detail: str
    fix: str = ""
    setting: str = ""

    @property
    def sentence(self) -> str:
        """Setting, fault and fix on one line."""
        return ": ".join(filter(None, (self.setting, "; ".join(filter(None, (self.detail, self.fix))))))


def assignment(settings: Settings, name: str) -> str:
    """A setting with its value, as in a shell; passwords in URLs are hidden. Not for fields that are secrets as a whole."""
    return f"{variable(name)}={without_password(str(getattr(settings, name)))}"


def from_error(what: str, error: SettingsError) -> list[Finding]:
    """One finding for each fault of an error, whose sentences name the setting."""
    return [Finding(what, "error", fault) for fault in error.faults]


def refuse(findings: Iterable[Finding]) -> None:
    """Raise SettingsError with every finding that keeps a server from starting, if there is one."""
    faults = [each.sentence for each in findings if each.state in ("error", "taken")]
    if faults:
        raise SettingsError("the server can't start:", faults)
