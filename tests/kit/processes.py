"""A server's processes as the kernel sees them: who is there, and how much memory each holds."""

from dataclasses import dataclass
from pathlib import Path

PAGE_KB = 4  # Linux on x86-64 and arm64


@dataclass(frozen=True)
class Member:
    """One process. `name` is its role, or the program's name."""

    pid: int
    name: str
    rss_kb: int


def family(root: int) -> list[Member]:
    """A process and all its descendants, oldest first. Linux only."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found, wave = [root] if root in parents else [], {root}
    while wave:
        wave = {pid for pid, parent in parents.items() if parent in wave}
        found += sorted(wave)
    return [member for pid in found if (member := _member(pid))]


def _member(pid: int) -> Member | None:
    try:
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        resident = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    name = words[0].split(":")[0]
    if "agentvoicebox.supervisor.child" in words:
        name = next(word for word in words[words.index("agentvoicebox.supervisor.child") + 1 :] if word[:2] != "--")
    elif "agentvoicebox.cli" in words:
        name = "supervisor"
    return Member(pid, Path(name).name, resident * PAGE_KB)


def pid_of(root: int, name: str) -> int:
    """The process of a role."""
    return next(member.pid for member in family(root) if member.name == name)
