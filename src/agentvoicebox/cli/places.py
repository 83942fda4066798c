"""Folders on this machine, from the settings."""

from pathlib import Path

from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.settings import Settings


def model_cache(settings: Settings) -> Path:
    """Folder of models that were joined, split or downloaded."""
    return Path(settings.data_dir).resolve() / "models"


def catalogue(settings: Settings) -> ModelCatalogue:
    """The catalogue of models for this machine."""
    return ModelCatalogue.of(settings.models_dir, settings.data_dir)
