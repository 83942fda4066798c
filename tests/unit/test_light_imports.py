"""Processes load no library that their role does not use: on a small machine NumPy and FastAPI cost 10 to 20 MB each time."""

import subprocess
import sys

import pytest

PROBE = """
import importlib, sys
importlib.import_module(sys.argv[1])
from agentvoicebox.kits.registry import load_kits
load_kits(("delivery",))
print(" ".join(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("role", "unused"),
    [
        ("agentvoicebox.supervisor.child", ("numpy", "fastapi", "asyncpg")),
        ("agentvoicebox.webhook.role", ("numpy",)),
        ("agentvoicebox.workers.tool", ("numpy", "fastapi")),
        ("agentvoicebox.workers.recorder", ("numpy", "fastapi")),
    ],
)
def test_a_role_with_a_kit_loads_no_library_that_it_does_not_use(role: str, unused: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, role, *unused], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
