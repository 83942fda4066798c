"""Folders on this machine, from the settings."""

from pathlib import Path

from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.settings import Settings

MODELS = "models"  # in the data folder


def model_cache(settings: Settings) -> Path:
    """Folder of models that were joined, split or downloaded."""
    return Path(settings.data_dir).resolve() / MODELS


def share_models(cache: Path, data_dir: Path) -> None:
    """Let a temporary server with this data folder use a model cache, and keep what it adds to it."""
    cache.mkdir(parents=True, exist_ok=True)
    (data_dir / MODELS).symlink_to(cache.resolve(), target_is_directory=True)


def catalogue(settings: Settings) -> ModelCatalogue:
    """The catalogue of models for this machine."""
    return ModelCatalogue.of(settings.models_dir, settings.data_dir)
