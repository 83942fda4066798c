"""Settings of the clinic's agent."""

from typing import Self

from pydantic import BaseModel, Field

from agentvoicebox.settings import Settings


class ClinicSettings(BaseModel):
    """Settings of the clinic's agent. They become fields of `Settings` when the kit is chosen.

    Attributes:
        clinic_name: as the agent says it.
        clinic_book: JSON file with a list of appointments that a new book starts with; empty: three example patients.
    """

    clinic_name: str = Field(default="the Elm Street clinic", min_length=1)
    clinic_book: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The kit's own part of a deployment's settings."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})
