"""The recorder asks the judge of the kit whose tools an interaction used, before the words are removed."""

import json
from pathlib import Path

import msgspec
from tests.kit.kits import DELIVERY
from tests.kit.recorded import scenario, simulated

from agentvoicebox.interactions.interaction import Interaction, Judgement
from agentvoicebox.kits.recording import interaction_recorder
from agentvoicebox.kits.registry import Kits, load_settings


def answered() -> Interaction:
    """An interaction with a tool's result, as the webhook server records it: not judged yet."""
    return msgspec.structs.replace(simulated(scenario("happy")), judgement=None)


def finished(interaction: Interaction, kits: Kits, folder: Path) -> Judgement | None:
    recorder = interaction_recorder(load_settings(data_dir=str(folder)), kits)
    return recorder.finished(interaction).judgement


def test_answers_of_a_kits_tool_are_judged(tmp_path: Path) -> None:
    judgement = finished(answered(), DELIVERY, tmp_path)
    assert judgement is not None
    assert (judgement.claims, judgement.unfounded) == (1, ())


def test_a_sentence_that_its_own_data_does_not_support_is_unfounded(tmp_path: Path) -> None:
    honest = answered()
    use = next(use for use in honest.tool_calls if use.code == "FOUND")
    output = json.dumps({**json.loads(use.output), "speech": "Your parcel was delivered."})
    false = msgspec.structs.replace(honest, tool_calls=(msgspec.structs.replace(use, output=output),))
    judgement = finished(false, DELIVERY, tmp_path)
    assert judgement is not None
    assert judgement.unfounded != ()


def test_answers_of_tools_without_a_kit_are_not_judged(tmp_path: Path) -> None:
    assert finished(answered(), Kits(), tmp_path) is None


def test_a_tool_that_a_platform_knows_under_another_name_is_judged(tmp_path: Path) -> None:
    honest = answered()
    uses = tuple(msgspec.structs.replace(use, name="track") for use in honest.tool_calls)
    renamed = msgspec.structs.replace(honest, tool_calls=uses)
    assert finished(renamed, DELIVERY, tmp_path) is None
    own_name, *_ = DELIVERY.definitions
    recorder = interaction_recorder(load_settings(data_dir=str(tmp_path)), DELIVERY, aliases={"track": own_name})
    assert recorder.finished(renamed).judgement == finished(honest, DELIVERY, tmp_path)
