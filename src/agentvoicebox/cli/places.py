"""Where things lie on this machine, by the settings."""

from pathlib import Path

from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.settings import Settings


def model_cache(settings: Settings) -> Path:
    """Where models that were joined, split or fetched are kept."""
    return Path(settings.data_dir).resolve() / "models"


def catalogue(settings: Settings) -> ModelCatalogue:
    """The models this machine can use."""
    return ModelCatalogue(
        models_dir=Path(settings.models_dir) if settings.models_dir else None, cache_dir=model_cache(settings)
    )
