"""Which languages the recogniser of a profile knows, and whether it reads prompts: known without loading it."""

import msgspec

from agentvoicebox.providers.catalogue import ModelCatalogue

ENGLISH = "en"
# The languages of the multilingual Whisper models, without those that large-v3 added.
_OTHERS = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is it ja jw ka kk km
kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg
th tk tl tr tt uk ur uz vi yi yo zh
"""
WHISPER_LANGUAGES = (ENGLISH, *_OTHERS.split())


class SttSkills(msgspec.Struct, frozen=True):
    """What a recogniser can do.

    Attributes:
        languages: ISO-639-1 codes, the default one first; empty: not known.
        has_prompts: it reads the words to expect.
    """

    languages: tuple[str, ...] = ()
    has_prompts: bool = True


def stt_skills(profile: str, catalogue: ModelCatalogue) -> SttSkills:
    """The skills of the recogniser that `registry.build_stt` makes of a profile; those of a plug-in are not known."""
    match profile:
        case "fast" | "moonshine":
            return SttSkills((ENGLISH,), has_prompts=False)
        case "accurate":
            return SttSkills(WHISPER_LANGUAGES, has_prompts=False)
        case "faster-whisper":
            has_base = any(s.model.name == "whisper-base" and s.folder for s in catalogue.list_models())
            return SttSkills(WHISPER_LANGUAGES if has_base else (ENGLISH,))
        case _:
            return SttSkills()
