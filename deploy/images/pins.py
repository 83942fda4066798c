"""`python deploy/images/pins.py base speech`: the pins, with hashes, of some packages and of all that they need.

Each argument is `base` (what every role needs), an extra of `pyproject.toml`, or a package. Versions and hashes are those of
`requirements/run.txt`, of `dev.txt` for optional engines, and of `gpu.txt`: an image gets exactly what was tested. Who needs whom
is in the notes of these files ("via …"), so nothing is resolved again.
"""

import re
import sys
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ("run.txt", "dev.txt", "gpu.txt")
THIS = "agentvoicebox"

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==")
_NAME = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")


def pins(wanted: Collection[str], root: Path = ROOT) -> list[str]:
    """The blocks of the lock files, by name.

    Raises:
        ValueError: something that is wanted has no pin.
    """
    blocks: dict[str, list[str]] = {}  # several where the version depends on Python's
    needs: dict[str, set[str]] = {}
    for lock in LOCKS:
        here: dict[str, list[str]] = {}
        for name, block in _blocks((root / "requirements" / lock).read_text(encoding="utf-8")):
            here.setdefault(name, []).append(block)
            for parent in _parents(block):
                needs.setdefault(parent, set()).add(name)
        blocks = here | blocks
    left, found = list(_roots(wanted, root)), set[str]()
    while left:
        name = left.pop()
        if name not in blocks:
            raise ValueError(
                f"{name} has no pin in {' or '.join(LOCKS)}: add it to requirements/*.in and run `make lock`"
            )
        if name not in found:
            found.add(name)
            left += needs.get(name, ())
    return [block for name in sorted(found) for block in blocks[name]]


def _roots(wanted: Collection[str], root: Path) -> Iterator[str]:
    """Canonical names of the packages that the arguments mean."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = {"base": project["dependencies"], **project["optional-dependencies"]}
    for each in wanted:
        for requirement in extras.get(each, [each]):
            match = _NAME.match(requirement)
            if match is None:
                raise ValueError(f"{requirement!r} names no package")
            if match[1] == THIS:
                yield from _roots(match[2].split(","), root)
            else:
                yield canonical(match[1])


def _blocks(lock: str) -> Iterator[tuple[str, str]]:
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        if match := _PIN.match(block):
            yield canonical(match[1]), block.rstrip() + "\n"


def _parents(block: str) -> Iterator[str]:
    """The packages that need this one: `# via x`, or lines `#   x`."""
    for line in block.splitlines():
        words = (
            line.strip().removeprefix("#").strip().removeprefix("via").strip() if line.strip().startswith("#") else ""
        )
        if words and not words.startswith("-"):
            yield canonical(words.partition("[")[0])


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write("".join(pins(sys.argv[1:] or ["base"])))
