"""Prepares this process, then replaces it by another program. Run by path, so that nothing of the package is imported.

    python -I -S exec_shim.py [--die-with=SIGNAL] [--user-namespace | --setuid=UID:GID] -- program argument…

`--die-with`: the kernel sends that signal (a number) when the parent ends, even by kill -9. `--user-namespace`: root
outside is uid 1000 inside, because PostgreSQL refuses to run as root; files still belong to root. This is a program of its
own because such calls between fork and exec of a threaded parent could deadlock.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CLONE_NEWUSER = 0x10000000  # linux/sched.h
INSIDE_ID = 1000


def _enter_user_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"no user namespace: {os.strerror(ctypes.get_errno())}")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE_ID} {uid} 1"),
        ("gid_map", f"{INSIDE_ID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def main(arguments: list[str]) -> None:
    """Apply the options, then exec the program."""
    split = arguments.index("--")
    options, program = arguments[:split], arguments[split + 1 :]
    parent = os.getppid()
    for option in options:
        if option == "--user-namespace":
            _enter_user_namespace()
        elif option.startswith("--setuid="):
            uid, gid = (int(part) for part in option.removeprefix("--setuid=").split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
    # Last, because a change of identity clears it.
    for option in options:
        if option.startswith("--die-with=") and sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(option.removeprefix("--die-with=")), 0, 0, 0)
            if os.getppid() != parent:  # it ended in the meantime
                sys.exit("the parent has ended")
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
