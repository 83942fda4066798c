"""The format of our API keys, and how they are stored: `sk-avb-<prefix>-<secret>`.

The prefix (48 random bits) is public: it finds the row and names the key in lists and logs. The secret (256 random bits) is
stored as an Argon2id hash and never shown again. Log filters, ours included, recognise secrets by the `sk-`.
"""

import functools
import re
import secrets

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

PREFIX_BYTES, SECRET_BYTES = 6, 32
LEAD = "sk-avb-"
_KEY = re.compile(r"sk-avb-([0-9a-f]{12})-([A-Za-z0-9_-]{43})")

# OWASP's minimum cost for Argon2id (19 MiB, two passes, one lane): some 25 ms of a core. Against guessing 256 random bits even
# that is more than enough; it is more important that uncached checks stay below the 50 ms a connect may take.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


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
    """Create a key. Takes some 25 ms of a core."""
    prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return NewKey(f"{LEAD}{prefix}-{secret}", prefix, _hasher.hash(secret))


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


def is_secret(secret: str, secret_hash: str) -> bool:
    """Whether the secret is the one that was hashed, in constant time. Blocks some 25 ms: call it in a thread."""
    try:
        return _hasher.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def dummy_hash() -> str:
    """Compared with when a prefix is unknown, so that the response time does not reveal whether it exists."""
    return _hasher.hash(secrets.token_urlsafe(SECRET_BYTES))
