"""A certificate and its key: read for a server, with one error for what is wrong with them; and made for a test or a home."""

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agentvoicebox.errors import SettingsError

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
CLOCK_SKEW = datetime.timedelta(hours=1)  # of machines that read the certificate


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """TLS for a server, 1.2 or later.

    Args:
        cert: path of a PEM file with the certificate, and the chain that leads to its authority.
        key: path of a PEM file with its key, not encrypted.

    Raises:
        SettingsError: a file can't be read, holds something else, or they don't belong together; it names the setting.
    """
    certificate = _certificate(cert)
    private = _private_key(key)
    if certificate.public_key() != private.public_key():
        raise SettingsError(f"AVB_TLS_KEY: {key} is the key of another certificate than {cert}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:  # for example a key that is too short for this OpenSSL
        raise SettingsError(f"AVB_TLS_CERT: {cert} can't be used: {error}") from error
    return context


def valid_until(cert: str) -> datetime.datetime:
    """When a server's certificate ends. Raises SettingsError as `server_context`."""
    return _certificate(cert).not_valid_after_utc


def self_signed(names: Sequence[str], *, days: int, now: datetime.datetime) -> tuple[bytes, bytes]:
    """A new certificate that signs itself, and its key, both as PEM. It is an authority for nothing else.

    Args:
        names: host names and addresses by which clients call the server; at least one.
        days: for which it is valid.
        now: with a time zone.

    Raises:
        ValueError: a name is no host name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _certificate(path: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(path, "AVB_TLS_CERT"))[0]
    except ValueError as error:
        raise SettingsError(
            f"AVB_TLS_CERT: {path} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ) from error


def _private_key(path: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read(path, "AVB_TLS_KEY"), None)
    except TypeError as error:
        raise SettingsError(
            f"AVB_TLS_KEY: {path} is encrypted; `openssl pkey -in {path} -out key.pem` writes it without a password"
        ) from error
    except ValueError as error:
        raise SettingsError(f"AVB_TLS_KEY: {path} holds no private key in PEM (-----BEGIN PRIVATE KEY-----)") from error


def _read(path: str, setting: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}: {path} can't be read: {error.strerror}") from error


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
