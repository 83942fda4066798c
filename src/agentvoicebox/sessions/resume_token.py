"""The token that a browser must show to resume its session.

All secrets of a key may open sessions, so a session's id, which may be in a support ticket or a page's log, must not be enough to
take it over. A token of 256 random bits is sent once, to the session's first connection; the directory has its hash.
"""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """A fresh token, of URL-safe characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What the directory stores of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_token(token: str, stored_hash: str) -> bool:
    """Whether this is the token with that hash, in constant time."""
    return hmac.compare_digest(token_hash(token), stored_hash)
