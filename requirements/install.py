"""Installs a file of pinned, hashed packages into the environment of the Python that runs this, and shows how far it is.

`python requirements/install.py requirements/run.txt`. On a terminal one line is rewritten; elsewhere a line is printed every few
seconds. Needs pip and nothing else. After an interruption, or a failure of the network, the same command goes on.
"""

import csv
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Set
from pathlib import Path
from typing import TextIO

from pip._vendor.packaging.requirements import Requirement  # the environment holds nothing but pip yet

PAUSE_S = {True: 0.2, False: 5.0}  # between two lines; True: on a terminal
TAIL_LINES = 30  # of pip's output, shown when it fails
INTERRUPTED = 130  # the exit code of shells for Ctrl-C
PIN = re.compile(r"^[A-Za-z0-9][^\\#]*==[^\\#]*")
STARTED = re.compile(r"^\s*(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")
FETCHING = re.compile(r"^\s*(?:Downloading|Using cached) \S+ \(([\d.]+ [kMG]?B)\)")


class Progress:
    """How far pip is: packages that it has found, then packages that are in place, and their MB.

    Args:
        names: canonical names of all packages.
        folder: `site-packages`.
    """

    def __init__(self, names: Set[str], folder: Path) -> None:
        self._names = names
        self._folder = folder
        self._began_s = time.monotonic()
        self._found: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._current = ""
        self._is_installing = False
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def read(self, line: str) -> None:
        """Take a line of pip's output."""
        self.tail.append(line)
        if line.startswith("Installing collected packages"):
            self._is_installing = True
        elif match := STARTED.match(line):
            name = canonical(match[1])
            self._found |= {name} & self._names
            self._current = name
        elif match := FETCHING.match(line):
            self._current = f"{self._current.partition(' ')[0]} ({match[1]})"

    def end(self) -> None:
        """Pip has finished; what is in place counts from now on."""
        self._is_installing = True

    def __str__(self) -> str:
        """One line, such as `  installing   41 of 96 packages    52 s  388 MB`."""
        seconds = f"{time.monotonic() - self._began_s:5.0f} s"
        if not self._is_installing:
            return f"  fetching   {len(self._found):4} of {len(self._names)} packages {seconds}  {self._current}"
        self._look()
        size_mb = sum(self._sizes.values()) / 1e6
        return f"  installing {len(self._sizes):4} of {len(self._names)} packages {seconds}  {size_mb:.0f} MB"

    def _look(self) -> None:
        """Read the records of new packages; pip writes a package's record last."""
        for record in self._folder.glob("*.dist-info/RECORD"):
            name = canonical(record.parent.name.partition("-")[0])
            if name in self._names and name not in self._sizes:
                self._sizes[name] = recorded_bytes(record)


def canonical(name: str) -> str:
    """A package's name in the one form that indexes use."""
    return re.sub(r"[-_.]+", "-", name).lower()


def recorded_bytes(record: Path) -> int:
    """Bytes of a package's files, by its record; compiled files are not among them."""
    with record.open(newline="", encoding="utf-8") as file:
        return sum(int(row[2]) for row in csv.reader(file) if len(row) > 2 and row[2].isdigit())


def pinned(path: Path) -> set[str]:
    """Canonical names of the packages of a file that belong on this machine."""
    with path.open(encoding="utf-8") as lines:
        pins = [Requirement(match[0].strip()) for line in lines if (match := PIN.match(line))]
    return {canonical(each.name) for each in pins if each.marker is None or each.marker.evaluate()}


def show(progress: Progress, out: TextIO) -> None:
    """Write how far it is: over the last line on a terminal."""
    out.write(f"\r\033[K{str(progress)[:79]}" if out.isatty() else f"{progress}\n")
    out.flush()


def install(path: Path, out: TextIO) -> int:
    """Install the packages of a file; returns the exit code."""
    progress = Progress(pinned(path), Path(sysconfig.get_path("purelib")))
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "-r", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        reader = threading.Thread(target=_read, args=(pip, progress))
        reader.start()
        try:
            while reader.is_alive():
                show(progress, out)
                reader.join(PAUSE_S[out.isatty()])
        except KeyboardInterrupt:  # the terminal has sent it to pip, too
            pip.wait()
            out.write("\nInterrupted. The same command goes on from here.\n")
            return INTERRUPTED
    if pip.returncode:
        out.write("\n".join(["", "pip failed. Its last lines:", *progress.tail, ""]))
        return pip.returncode
    progress.end()
    show(progress, out)
    out.write("\n" if out.isatty() else "")
    return 0


def _read(pip: subprocess.Popen[str], progress: Progress) -> None:
    for line in pip.stdout or ():
        progress.read(line.rstrip())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python requirements/install.py requirements/run.txt")
    sys.exit(install(Path(sys.argv[1]), sys.stdout))
