"""Settings as text: their names, lists, URLs."""

import ipaddress
import re
from urllib.parse import parse_qs, urlsplit

from agentvoicebox.loopback import is_loopback

PREFIX = "AVB_"
SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def comma_list(value: str) -> tuple[str, ...]:
    """The parts between commas, stripped; empty parts are left out."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def networks(value: str) -> str:
    """Check a comma-separated list of networks (`10.1.0.0/16`) and return it unchanged. Raises ValueError."""
    for each in comma_list(value):
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise ValueError(f"{error}; give networks like 10.1.0.0/16") from None
    return value


def without_password(url: str) -> str:
    """A URL as it may be shown: passwords, also those in the query, are replaced with `***`."""
    scheme, mark, rest = url.partition("://")
    user_info, at, place = rest.rpartition(
        "@"
    )  # the last one, so that a password with an unescaped @ or / is hidden, too
    if at and ":" in user_info:
        user_info = f"{user_info.partition(':')[0]}:***"
    return SECRET_PARAMETER.sub(r"\1***", f"{scheme}{mark}{user_info}{at}{place}")


def with_scheme(value: str, schemes: tuple[str, ...]) -> str:
    """Check the scheme of a URL and return it unchanged; "" is allowed.

    Raises:
        ValueError: the URL starts with none of `schemes`.
    """
    if value and not value.startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return value


def is_here(url: str) -> bool:
    """Whether a URL's server is on this machine: a Unix socket (PostgreSQL's is `?host=/folder`), or a loopback address."""
    parts = urlsplit(url)
    hosts = [parts.hostname] if parts.hostname else parse_qs(parts.query).get("host", [])
    return parts.scheme == "unix" or (bool(hosts) and all(each.startswith("/") or is_loopback(each) for each in hosts))
