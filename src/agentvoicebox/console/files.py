"""The files of the page, read once, with what a browser needs to cache and to trust them."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

PAGE = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class StaticFile(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        gzipped: the same bytes, compressed.
        etag: changes with the content.
    """

    content_type: str
    body: bytes
    gzipped: bytes
    etag: str


@cache
def load_files() -> Mapping[str, StaticFile]:
    """All files by name, read and compressed once a process. Empty when the package was built without them."""
    folder = files(__package__) / "static"
    if not folder.is_dir():
        return {}
    found = {}
    for each in folder.iterdir():
        content_type = TYPES.get("." + each.name.rpartition(".")[2])
        if content_type is not None:
            body = each.read_bytes()
            etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
            found[each.name] = StaticFile(content_type, body, gzip.compress(body, mtime=0), etag)
    return found
