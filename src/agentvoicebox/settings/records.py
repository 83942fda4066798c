"""Records of conversations: what is stored, for how long, and in which form."""

import base64
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import comma_list

KEY_BYTES = 32  # AES-256


class RecordSettings(BaseModel):
    """Records of conversations: what is stored, for how long, and in which form.

    Attributes:
        record_days: days for which recorded interactions (`interactions` in the data folder) stay readable; older files are
            archived (gzip).
        record_words: whether recorded interactions keep words and complete identifiers, so that replay is exact; otherwise
            they are masked.
        history_days: days for which sessions and their items stay in PostgreSQL; a tenant may have its own value.
        audit_days: days for which the audit log and usage stay there.
        gate_audit_days: days for which refusals of unknown callers, with their addresses, stay in the audit log.
        history_words: how people's words are stored in PostgreSQL: `keep`, `mask` or `encrypt`.
        history_keys: comma-separated keys (each 32 bytes in base64) for `encrypt`; the first one encrypts, all of them
            decrypt.
    """

    record_days: int = Field(default=30, ge=1, le=3_650)
    record_words: bool = False
    history_days: int = Field(default=90, ge=1, le=3_650)
    audit_days: int = Field(default=365, ge=1, le=3_650)
    gate_audit_days: int = Field(default=30, ge=1, le=3_650)
    history_words: Literal["keep", "mask", "encrypt"] = "keep"
    history_keys: str = Field(
        default="", repr=False, validate_default=True
    )  # after history_words, which its validator reads

    @field_validator("history_keys")
    @classmethod
    def _history_keys_encrypt(cls, value: str, info: ValidationInfo) -> str:
        for place, key in enumerate(comma_list(value), start=1):
            if not _is_key(key):
                raise ValueError(f"key {place} is not {KEY_BYTES} bytes in base64; `openssl rand -base64 32` makes one")
        if info.data.get("history_words") == "encrypt" and not comma_list(value):
            raise ValueError("AVB_HISTORY_WORDS=encrypt needs a key; `openssl rand -base64 32` makes one")
        return value

    @property
    def history_key_list(self) -> tuple[bytes, ...]:
        """The keys of encrypted records; the first one encrypts."""
        return tuple(base64.b64decode(key) for key in comma_list(self.history_keys))


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False
