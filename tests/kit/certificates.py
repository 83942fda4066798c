"""Certificates for servers of tests, and clients that trust them."""

import datetime
import ssl
from pathlib import Path

import msgspec

from agentvoicebox.http_server.tls import LOCAL_NAMES, self_signed, server_context


class Certificate(msgspec.Struct, frozen=True):
    """A certificate and its key, as paths of PEM files."""

    cert: str
    key: str

    @property
    def server(self) -> ssl.SSLContext:
        """For a server that shows it."""
        return server_context(self.cert, self.key)

    @property
    def client(self) -> ssl.SSLContext:
        """For a client that trusts it."""
        return ssl.create_default_context(cafile=self.cert)


def certificate(folder: Path, *names: str) -> Certificate:
    """A new one of these names, by default of this machine."""
    cert, key = self_signed(names or LOCAL_NAMES, days=1, now=datetime.datetime.now(datetime.UTC))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    return Certificate(str(folder / "cert.pem"), str(folder / "key.pem"))
