"""What figures are taken on: the machine and the commit."""

import os
import platform
import subprocess
from pathlib import Path

from agentvoicebox.providers.processor import this_processor

ROOT = Path(__file__).parents[2]


def machine() -> dict[str, str]:
    """Processor, cores, flags, memory, system, Python, load: name → value for people."""
    processor = this_processor()
    return {
        "processor": processor.name,
        "cores": str(processor.cores),
        "flags": ", ".join(processor.flags) or "none of those that matter",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
    }


def load_average() -> float:
    """Processes that wanted a core in the last minute: well above the cores' number, figures are upper bounds."""
    return round(os.getloadavg()[0], 1)


def commit() -> str:
    """The commit of the sources, short; with `+` when files differ from it; "unknown" outside a checkout."""
    try:
        short = _git("rev-parse", "--short=10", "HEAD")
        return short + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
