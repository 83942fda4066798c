"""Applies a tenant's rule for words to a record: kept, masked, or encrypted.

Ids, names of tools, times, statuses and counts are no words. Usage is counted before masking.
"""

from typing import Any

from agentvoicebox.engine.effects import Persist
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.privacy.masks import masked_json, masked_words
from agentvoicebox.storage.records import TURN, VERDICT
from agentvoicebox.storage.rules import Words
from agentvoicebox.storage.vault import Vault

_WORDLESS = frozenset({TURN, VERDICT})
# any other field of a session may identify a person
_SESSION_FACTS = frozenset({"agent", "model", "opened_s", "code", "reason"})


def protected(
    record: Persist, *, words: Words, vault: Vault, mask: IdentifierMask, tenant_id: str, session_id: str
) -> dict[str, object]:
    """The body of a record as it may be stored.

    Raises:
        NoHistoryKey: it must be encrypted and there is no key.
    """
    if record.kind in _WORDLESS:
        return record.body
    match words:
        case "keep":
            return record.body
        case "mask":
            return _masked(record, mask)
        case "encrypt":
            return vault.seal(place_of(tenant_id, session_id, record.kind, record.record_id), record.body)


def place_of(tenant_id: str, session_id: str, kind: str, record_id: str) -> tuple[str, str, str]:
    """The context that an encrypted record is bound to. A session's records have no id of their own but their kind."""
    return (tenant_id, session_id, kind if kind.startswith("session_") else record_id)


def _masked(record: Persist, mask: IdentifierMask) -> dict[str, object]:
    if record.kind.startswith("session_"):
        return {name: value if name in _SESSION_FACTS else mask.arguments(value) for name, value in record.body.items()}
    masked: dict[str, Any] = masked_words(record.body, keeps_abbreviations=False)
    item: Any = record.body.get("item")
    if isinstance(item, dict):  # facts of tools are kept, as in recorded interactions
        if isinstance(item.get("arguments"), str):
            masked["item"]["arguments"] = masked_json(item["arguments"], mask.arguments)
        if isinstance(item.get("output"), str):
            masked["item"]["output"] = masked_json(item["output"], mask.output)
    return masked
