"""A folder with a real Asterisk and a real SIP caller (sipp): Debian's, installed once by debootstrap, used by chroot as root.

`python -m tests.kit.asterisk_folder` makes it, and says what it needs, how long it takes and how large it becomes. It is kept in
TELEPHONE_CACHE (default /var/tmp/agentvoicebox-telephone). Debian's stable releases have no Asterisk with a WebSocket channel,
so it is the one of `sid`, from the mirror that this machine's apt uses.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

CACHE = Path(os.environ.get("TELEPHONE_CACHE", "/var/tmp/agentvoicebox-telephone"))
ROOT = CACHE / "root"
SUITE = "sid"
PACKAGES = ("asterisk", "sip-tester")
NEEDED = ("debootstrap", "chroot")
LEAST_FREE_MB = 1_000
# Services are not started in the folder.
POLICY = "#!/bin/sh\nexit 101\n"
MIRROR = (
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI)",
    "Created-By: Packages",
    "Origin: Debian",
    "Component: main",
)


class NoAsterisk(Exception):
    """The folder can't be made here. The message says what to do."""


def what_is_missing() -> str:
    """Why the folder can't be made or used here; "" when it can."""
    if os.geteuid() != 0:
        return "run it as root: Asterisk runs in a folder of its own, by chroot"
    if (ROOT / "usr/sbin/asterisk").exists():
        return ""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is missing: apt-get install {missing[0]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(CACHE).free // 1_000_000
    if free_mb < LEAST_FREE_MB:
        return (
            f"{CACHE} has {free_mb} MB free, and {LEAST_FREE_MB} are needed; name another folder with TELEPHONE_CACHE"
        )
    return ""


def prepare() -> Path:
    """The folder, made unless it is there. Raises NoAsterisk."""
    if missing := what_is_missing():
        raise NoAsterisk(missing)
    if (ROOT / "usr/sbin/asterisk").exists():
        return ROOT
    draft = CACHE / "root.draft"  # renamed when it is whole
    shutil.rmtree(draft, ignore_errors=True)
    mirrors = subprocess.run(MIRROR, capture_output=True, text=True, check=False).stdout.split()
    _run("debootstrap", "--variant=minbase", SUITE, str(draft), *mirrors[:1])
    policy = draft / "usr/sbin/policy-rc.d"
    policy.write_text(POLICY)
    policy.chmod(0o755)
    install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES)
    _run("chroot", str(draft), "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", *install)
    _run("chroot", str(draft), "apt-get", "clean")
    draft.rename(ROOT)
    return ROOT


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoAsterisk(f"{' '.join(command[:4])} … failed:\n{(done.stdout + done.stderr)[-2000:]}")


def main() -> None:
    """Make the folder, and tell about it."""
    began_s = time.monotonic()
    if not ROOT.exists():
        print(f"Installing Asterisk and sipp into {ROOT}: 0.6 GB, one to five minutes, once", flush=True)
    try:
        prepare()
    except NoAsterisk as error:
        sys.exit(f"make telephone: {error}")
    version = subprocess.run(["chroot", str(ROOT), "asterisk", "-V"], capture_output=True, text=True, check=True).stdout
    print(f"{version.strip()} is in {ROOT} ({time.monotonic() - began_s:.0f} s)")


if __name__ == "__main__":
    main()
