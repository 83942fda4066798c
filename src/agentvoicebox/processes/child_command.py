"""The command line of a child process that ends with this one."""

import signal
import sys
from pathlib import Path

_SHIM = str(Path(__file__).with_name("exec_shim.py"))


def child_command(program: list[str], *, die_with: signal.Signals, identity: str = "") -> list[str]:
    """The command that becomes `program` and gets the signal `die_with` when this process ends, even by kill -9 (Linux only).

    Args:
        program: path of the executable, then its arguments.
        die_with: the signal.
        identity: an option of `exec_shim` that changes the user; empty keeps it.
    """
    options = [f"--die-with={int(die_with)}", *([identity] if identity else [])]
    return [sys.executable, "-I", "-S", _SHIM, *options, "--", *program]
