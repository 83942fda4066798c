"""Ids that a conversation generates: unique, opaque, and the same again in every replay."""

import hashlib

import msgspec

DEFAULT_TENANT = "default"  # the tenant of callers and data while no tenants are set up
ID_HEX = 20  # 80 bits; with the prefix an id stays below OpenAI's 32 characters


class IdSource(msgspec.Struct):
    """A counted, seeded source of ids. Part of the engine's state, so a restored session never repeats one.

    Attributes:
        seed: random text chosen once per session by its opener (never by the engine).
        count: how many ids were generated.
    """

    seed: str
    count: int = 0

    def next(self, prefix: str) -> str:
        """A fresh id such as `item_3f9c…` (prefix, underscore, 20 hex digits)."""
        self.count += 1
        digest = hashlib.blake2b(f"{self.seed}/{self.count}".encode(), digest_size=ID_HEX // 2)
        return f"{prefix}_{digest.hexdigest()}"
