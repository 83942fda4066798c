"""How many cores this process may use: those it may run on, and no more than its container's quota."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of the process's own group, as a container sees it


MOST_SLOTS = 16  # that are taken without being asked for: more need memory


def usable_cores(quota: Path = QUOTA) -> int:
    """The number of cores, at least one.

    Args:
        quota: file of the control group: `max 100000`, or microseconds of processor time for each period of so many.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        cores = min(cores, int(allowed) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # no control group, or one without a quota
    return max(1, cores)


def slots(asked: int | None) -> int:
    """How many pieces of work one worker computes at a time: as asked, or one on each core."""
    return min(MOST_SLOTS, usable_cores()) if asked is None else asked
