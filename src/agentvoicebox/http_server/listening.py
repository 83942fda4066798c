"""A socket to listen on, or one error that says why there is none."""

import errno
import socket
from typing import Literal

from agentvoicebox.errors import InfrastructureError


class AddressUnavailable(InfrastructureError):
    """The address can't be listened on.

    Attributes:
        cause: another program listens there, the port needs more rights, or the host is not an address of this machine.
    """

    code = "address_unavailable"
    retryable = False  # a program that listens there goes on

    def __init__(self, host: str, port: int, setting: str, error: OSError) -> None:
        """`setting` names the port's."""
        causes: dict[int | None, Literal["taken", "forbidden"]] = {
            errno.EADDRINUSE: "taken",
            errno.EACCES: "forbidden",
            errno.EPERM: "forbidden",
        }
        self.cause: Literal["taken", "forbidden", "foreign"] = causes.get(error.errno, "foreign")
        hints = {
            "taken": f"stop the program that listens there, or set {setting} to another port",
            "forbidden": f"set {setting} to 1024 or higher",
            "foreign": "choose an address of this machine",
        }
        super().__init__(f"{setting}={port}: can't listen on {host}:{port} ({error.strerror}); {hints[self.cause]}")


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """A bound TCP socket. Bound here because uvicorn exits the process when it can't listen.

    Args:
        host: address to listen on, IPv4 or IPv6.
        port: 0 lets the system choose.
        setting: names the setting to change in the error.

    Raises:
        AddressUnavailable: the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio disables Nagle's algorithm: otherwise answers wait up to 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressUnavailable(host, port, setting, error) from error
    return listener
