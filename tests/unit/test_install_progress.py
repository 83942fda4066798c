"""What `make` shows while pip installs follows what pip says and what is in place."""

from pathlib import Path

import pytest
from requirements.install import Progress, pinned

PINS = """\
alembic==1.20.1 \\
    --hash=sha256:00 \\
    # via -r run.in
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:01
ruamel_yaml==1.0 ; python_version >= '3.11' \\
    --hash=sha256:02
"""


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress({"alembic", "ruamel-yaml"}, tmp_path)


def in_place(folder: Path, name: str, size: int) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(f'"{name}/a,b.py",sha256=0,{size}\n{name}/c.pyc,,\n{name}-1.0.dist-info/RECORD,,\n')


def test_packages_of_other_systems_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text(PINS)
    assert pinned(tmp_path / "run.txt") == {"alembic", "ruamel-yaml"}


def test_it_names_what_is_being_fetched_and_its_size(progress: Progress) -> None:
    assert str(progress).split()[:5] == ["fetching", "0", "of", "2", "packages"]
    progress.read("Collecting alembic==1.20.1")
    progress.read("  Downloading alembic-1.20.1-py3-none-any.whl (1.3 MB)")
    assert str(progress).startswith("  fetching      1 of 2 packages") and str(progress).endswith("  alembic (1.3 MB)")
    progress.read("Requirement already satisfied: ruamel.yaml==1.0 in somewhere")
    progress.read("Collecting of-no-interest")
    assert str(progress).startswith("  fetching      2 of 2 packages") and str(progress).endswith("  of-no-interest")


def test_it_counts_packages_in_place_and_their_mb(progress: Progress, tmp_path: Path) -> None:
    in_place(tmp_path, "pip", 9_000_000)
    progress.read("Installing collected packages: alembic, ruamel.yaml")
    assert str(progress).startswith("  installing    0 of 2 packages") and str(progress).endswith("  0 MB")
    in_place(tmp_path, "ruamel.yaml", 3_000_000)
    (tmp_path / "alembic-1.20.1.dist-info").mkdir()  # pip has not written its record yet
    assert str(progress).startswith("  installing    1 of 2 packages") and str(progress).endswith("  3 MB")


def test_what_was_in_place_before_counts_at_the_end(progress: Progress, tmp_path: Path) -> None:
    in_place(tmp_path, "alembic", 2_000_000)
    in_place(tmp_path, "ruamel_yaml", 1_000_000)
    progress.end()
    assert str(progress).startswith("  installing    2 of 2 packages") and str(progress).endswith("  3 MB")
