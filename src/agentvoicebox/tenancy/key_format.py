"""The format of our API keys, and how they are stored: `sk-avb-<prefix>-<secret>`.

The prefix (48 random bits) is public: it finds the row and names the key in lists and logs. The secret (256 random bits) is
stored as a hash and never shown again. It can't be guessed, so a fast hash is enough: BLAKE2b, keyed by the prefix, so that equal
secrets of two keys would have different hashes. Keys of earlier versions have an Argon2id hash, which is still accepted.
Log filters, ours included, recognise secrets by the `sk-`.
"""

import hashlib
import hmac
import re
import secrets

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PREFIX_BYTES, SECRET_BYTES = 6, 32
LEAD = "sk-avb-"
_KEY = re.compile(r"sk-avb-([0-9a-f]{12})-([A-Za-z0-9_-]{43})")

FAST = "b2:"  # the scheme's tag before 64 hex digits
_PERSON = b"avb-api-key"  # no other use of BLAKE2b gives the same hash


class NewKey(msgspec.Struct, frozen=True):
    """A key as it is shown once.

    Attributes:
        text: the whole key, for its owner.
        prefix: its public part.
        secret_hash: the stored hash.
    """

    text: str
    prefix: str
    secret_hash: str


def new_key() -> NewKey:
    """Create a key."""
    prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return NewKey(f"{LEAD}{prefix}-{secret}", prefix, hash_of(prefix, secret))


def read_key(text: str) -> tuple[str, str] | None:
    """(prefix, secret), or None for text that is not a key of ours."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def key_id(prefix: str) -> str:
    """The id of the key with this prefix, as used in principals and the audit log."""
    return f"key_{prefix}"


def prefix_of(key_id: str) -> str | None:
    """The prefix of a stored key's id; None for a configured key's."""
    prefix = key_id.removeprefix("key_")
    return prefix if re.fullmatch(r"[0-9a-f]{12}", prefix) else None


def hash_of(prefix: str, secret: str) -> str:
    """The stored form of a secret: `b2:` and 64 hex digits."""
    digest = hashlib.blake2b(secret.encode(), digest_size=32, key=prefix.encode(), person=_PERSON)
    return FAST + digest.hexdigest()


def is_fast(secret_hash: str) -> bool:
    """Whether a stored hash has the present form; else it is an Argon2id hash of an earlier version."""
    return secret_hash.startswith(FAST)


def is_secret(prefix: str, secret: str, secret_hash: str) -> bool:
    """Whether the secret is the one that was hashed, in constant time. False for an Argon2id hash."""
    return hmac.compare_digest(hash_of(prefix, secret), secret_hash)


def is_slow_secret(secret: str, secret_hash: str) -> bool:
    """Whether the secret is the one of an Argon2id hash. Takes some 25 ms of a core and 19 MiB: call it in a thread."""
    try:
        return PasswordHasher().verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False
