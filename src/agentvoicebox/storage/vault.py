"""Seals records, and opens them again for their owner: AES-256-GCM, a key of each tenant's own, derived by HKDF.

A sealed record is bound to its place (tenant, session, record): moved elsewhere it opens no more. The first key seals and every
key opens, so keys are changed by putting a new one in front; an old one can go once the last record that it sealed is gone.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentvoicebox.errors import InfrastructureError

KEY_BYTES = 32
NONCE_BYTES = 12  # random; NIST SP 800-38D allows 2**32 records a key, and each tenant has its own
MOST_REMEMBERED = 1_000
SEALED = "sealed"

_INFO = b"agentvoicebox history "


class NoHistoryKey(InfrastructureError):
    """A record shall be sealed and there is no key: it is not stored."""

    code = "no_history_key"
    retryable = False


class HistorySealed(InfrastructureError):
    """A record was sealed with a key that is not here any more, or it was tampered with."""

    code = "history_sealed"
    retryable = False


class Vault:
    """Knows the keys, each of `KEY_BYTES`; none is allowed, and then nothing can be sealed."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._first = _key_id(keys[0]) if keys else None
        self._ciphers: dict[tuple[str, str], AESGCM] = {}

    @property
    def can_seal(self) -> bool:
        """Whether there is a key."""
        return self._first is not None

    def seal(self, place: tuple[str, str, str], body: dict[str, object]) -> dict[str, object]:
        """A body that tells nothing.

        Args:
            place: tenant, session and record.
            body: JSON-able.

        Raises:
            NoHistoryKey: there is no key.
        """
        if self._first is None:
            raise NoHistoryKey(f"Records of tenant {place[0]} are to be encrypted; set AVB_HISTORY_KEYS.")
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher(self._first, place[0]).encrypt(nonce, msgspec.json.encode(body), _bound(place))
        return {SEALED: {"key": self._first, "data": base64.b64encode(sealed).decode()}}

    def open(self, place: tuple[str, str, str], body: dict[str, Any]) -> dict[str, Any]:
        """The body as it was before; one that is not sealed is returned as it is.

        Raises:
            HistorySealed: none of the keys opens it.
        """
        match body:
            case {"sealed": {"key": str(key), "data": str(data)}} if len(body) == 1:
                pass
            case _:
                return body
        if key not in self._keys:
            raise HistorySealed(f"Records were encrypted with the key {key}, which AVB_HISTORY_KEYS holds no more.")
        sealed = base64.b64decode(data)
        try:
            opened = self._cipher(key, place[0]).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(place))
        except InvalidTag as error:
            raise HistorySealed("A record does not open with the key that it names.") from error
        return msgspec.json.decode(opened, type=dict[str, Any])

    def _cipher(self, key: str, tenant_id: str) -> AESGCM:
        found = self._ciphers.get((key, tenant_id))
        if found is None:
            if len(self._ciphers) >= MOST_REMEMBERED:
                self._ciphers.clear()
            derived = HKDF(SHA256(), KEY_BYTES, None, _INFO + tenant_id.encode()).derive(self._keys[key])
            found = self._ciphers[key, tenant_id] = AESGCM(derived)
        return found


def _key_id(key: bytes) -> str:
    """What is written beside a sealed record; tells nothing of the key."""
    return hashlib.sha256(_INFO + key).hexdigest()[:8]


def _bound(place: tuple[str, str, str]) -> bytes:
    return msgspec.json.encode(place)
