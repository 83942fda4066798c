"""Every benchmark starts from its file alone, from any folder, and says what it does."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_benchmark_starts_from_any_folder(script: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0 and "usage:" in run.stdout, run.stderr[-2000:]
