"""The files that the package carries are what `web/` builds, and its own tests pass. Only where Node and its packages are."""

import filecmp
import subprocess
from pathlib import Path

import pytest
from tests.kit.client_program import ROOT, node_version

WEB = ROOT / "web"
STATIC = ROOT / "src" / "agentvoicebox" / "console" / "static"

pytestmark = [
    pytest.mark.requirement("C6"),
    pytest.mark.skipif(
        not (WEB / "node_modules" / ".package-lock.json").exists() or node_version() < 20,
        reason="needs Node 20 or later and npm, and the packages that `make test` installs into web/node_modules",
    ),
]


def npm(*command: str) -> None:
    run = subprocess.run(["npm", "run", "--silent", *command], cwd=WEB, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_sources_are_well_typed_and_their_tests_pass() -> None:
    npm("types")
    npm("test")


def test_the_committed_files_are_those_that_the_sources_build(tmp_path: Path) -> None:
    for part in ("build:page", "build:client"):
        npm(part, "--", "--outDir", str(tmp_path))
    names = sorted(each.name for each in STATIC.iterdir())
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    same, different, failed = filecmp.cmpfiles(STATIC, tmp_path, names, shallow=False)
    assert (different, failed) == ([], []) and same, "run `make console` and commit what it writes"
