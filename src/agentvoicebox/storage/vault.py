"""Encrypts records, and decrypts them for their owner: AES-256-GCM, one key per tenant, derived by HKDF.

An encrypted record is bound to its place (tenant, session, record): it can't be decrypted at another. The first key encrypts and
every key decrypts, so keys are rotated by putting a new one in front; an old one may be removed once no record needs it.
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
    """A record must be encrypted and there is no key: it is not stored."""

    code = "no_history_key"
    retryable = False


class HistorySealed(InfrastructureError):
    """A record was encrypted with a key that is not configured any more, or it was modified."""

    code = "history_sealed"
    retryable = False


class Vault:
    """Holds the keys, each of `KEY_BYTES`; without keys nothing can be encrypted."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._first = _key_id(keys[0]) if keys else None
        self._ciphers: dict[tuple[str, str], AESGCM] = {}

    def seal(self, place: tuple[str, str, str], body: dict[str, object]) -> dict[str, object]:
        """Encrypt a body.

        Args:
            place: tenant, session and record.
            body: JSON-able.

        Raises:
            NoHistoryKey: there is no key.
        """
        key, sealed = self.seal_bytes(place, msgspec.json.encode(body))
        return {SEALED: {"key": key, "data": base64.b64encode(sealed).decode()}}

    def seal_bytes(self, place: tuple[str, str, str], data: bytes) -> tuple[str, bytes]:
        """Encrypt bytes: the id of the key, and what is stored. Raises NoHistoryKey as `seal`."""
        if self._first is None:
            raise NoHistoryKey(f"Records of tenant {place[0]} are to be encrypted; set AVB_HISTORY_KEYS.")
        nonce = os.urandom(NONCE_BYTES)
        return self._first, nonce + self._cipher(self._first, place[0]).encrypt(nonce, data, _bound(place))

    def open_bytes(self, place: tuple[str, str, str], key: str, sealed: bytes) -> bytes:
        """Decrypt what `seal_bytes` made. Raises HistorySealed as `open`."""
        if key not in self._keys:
            raise HistorySealed(f"Records were encrypted with the key {key}, which AVB_HISTORY_KEYS does not hold.")
        try:
            return self._cipher(key, place[0]).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(place))
        except InvalidTag as error:
            raise HistorySealed("A record can't be decrypted with the key that it names.") from error

    def open(self, place: tuple[str, str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Decrypt a body; one that is not encrypted is returned unchanged.

        Raises:
            HistorySealed: none of the keys decrypts it.
        """
        match body:
            case {"sealed": {"key": str(key), "data": str(data)}} if len(body) == 1:
                pass
            case _:
                return body
        return msgspec.json.decode(self.open_bytes(place, key, base64.b64decode(data)), type=dict[str, Any])

    def _cipher(self, key: str, tenant_id: str) -> AESGCM:
        found = self._ciphers.get((key, tenant_id))
        if found is None:
            if len(self._ciphers) >= MOST_REMEMBERED:
                self._ciphers.clear()
            derived = HKDF(SHA256(), KEY_BYTES, None, _INFO + tenant_id.encode()).derive(self._keys[key])
            found = self._ciphers[key, tenant_id] = AESGCM(derived)
        return found


def _key_id(key: bytes) -> str:
    """The key's id, stored beside an encrypted record; reveals nothing about the key."""
    return hashlib.sha256(_INFO + key).hexdigest()[:8]


def _bound(place: tuple[str, str, str]) -> bytes:
    return msgspec.json.encode(place)
