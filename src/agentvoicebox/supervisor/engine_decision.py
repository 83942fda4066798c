"""Asks what is installed and how fast it is, measures what is not known yet, and has `engine_choice` decide. Blocks."""

from collections.abc import Callable, Collection

import msgspec

from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.engine_speed import MachineSpeed, known_speed, measured_speed
from agentvoicebox.providers.needs import STT_NEEDS, TTS_NEEDS
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.engine_choice import EngineChoice, choose, engines_to_measure


class EngineDecision(msgspec.Struct, frozen=True):
    """What was decided, and on what.

    Attributes:
        choice: the settings with their reasons.
        speed: the measurement; None: nothing was measured.
        fault: why not, where it was tried.
    """

    choice: EngineChoice
    speed: MachineSpeed | None = None
    fault: str = ""


def decide_engines(
    settings: Settings,
    roles: Collection[str],
    *,
    may_measure: bool = True,
    on_measuring: Callable[[], None] = lambda: None,
) -> EngineDecision:
    """Decide what the settings leave to the machine.

    Args:
        settings: of the deployment.
        roles: that run on this machine.
        may_measure: whether engines may be measured if no measurement is kept; AVB_SELF_TEST must allow it, too.
        on_measuring: called before.
    """
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    installed = [f"stt/{name}" for name, needs in STT_NEEDS.items() if not needs.missing(catalogue)]
    installed += [f"tts/{name}" for name, needs in TTS_NEEDS.items() if not needs.missing(catalogue)]
    engines, speed, fault = engines_to_measure(settings, installed, roles), None, ""
    if engines:
        speed = known_speed(settings.data_dir, engines)
        if speed is None and may_measure and settings.self_test:
            on_measuring()
            try:
                speed = measured_speed(settings.models_dir, settings.data_dir, engines)
            except ProviderUnavailable as error:
                fault = error.message
    return EngineDecision(choose(settings, speed, installed, roles), speed, fault)
