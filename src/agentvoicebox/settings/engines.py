"""Speech engines, language model servers, and how many jobs a worker runs at a time."""

import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.language_presets import KNOWN, PRESETS, LanguageServer, check_options, read_options
from agentvoicebox.settings.values import comma_list, with_scheme

LEAST_CONTEXT_TOKENS = 256
AUTO = "auto"  # left to the machine
USUAL_ORDER = "piper,kokoro,espeak"
SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class EngineSettings(BaseModel):
    """Speech engines, language model servers, and how many jobs a worker runs at a time.

    Attributes:
        stt_profile: the recogniser; `auto` chooses by what is installed and how fast this machine is; `scripted` is for
            benchmarks.
        stt_device: where Whisper runs: `cpu`, `cuda`, or `auto`, which is a GPU that CTranslate2 sees, else the CPU.
        stt_compute_type: number format of Whisper, such as `int8`, `int8_float16` or `float16`. Empty: `int8` on a CPU, `float16`
            on a GPU.
        tts_order: comma-separated speech engines, in order of preference: `piper`, `kokoro`, `espeak`. `auto`: in this order,
            with Kokoro first where the machine is fast enough for it.
        tts_voice: voice that overrides those of the agents. Empty: each agent's voice.
        tts_speed: speed of all voices, 0.5 to 2; the speed of a session or a request is multiplied by it. All speech workers need
            the same.
        models_dir: folder that is searched for models before other sources. Empty: none.
        llm_base_url: address of an OpenAI-compatible language model server. Empty: none.
        llm_api_key: its key.
        llm_model: its model.
        llm: a well-known server and its model in one word: `ollama/llama3.2`; servers are openai, groq, ollama, llama.cpp,
            vllm, gemini and mistral. AVB_LLM_BASE_URL, if it is set, is the address.
        llm_extra: additional keys of each request to this server, as JSON: `{"temperature": 0.3}`.
        llm_servers: comma-separated further servers, `name=https://host/v1#model` or `name=groq#model`; each is used when
            those before it fail.
        llm_keys: comma-separated keys of these servers, `name=key`.
        llm_servers_extra: additional keys of each request to these servers, as JSON: `{"name": {"temperature": 0.3}}`.
        llm_context_tokens: comma-separated context sizes of the models: `8192` for the first server, `name=8192` for a
            further one. Empty: learned from the servers' refusals.
        stt_slots: utterances that one recognition worker decodes at a time. Empty: as many as it has cores, 16 at most.
        tts_slots: sentences that one synthesis worker synthesises at a time. Empty: as many as it has cores, 16 at most.
        llm_slots: jobs that one language model worker runs at a time.
        tool_slots: jobs that one tool worker runs at a time.
        self_test: whether `serve` measures the engines, once, where a setting leaves a choice to the machine; it takes some
            seconds and is kept in AVB_DATA_DIR.
    """

    stt_profile: Literal["auto", "fast", "accurate", "moonshine", "faster-whisper", "scripted"] = "auto"
    stt_device: Literal["auto", "cpu", "cuda"] = "auto"
    stt_compute_type: Literal[
        "", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
    ] = ""
    tts_order: str = AUTO
    tts_voice: str = ""
    tts_speed: float = Field(default=1.0, ge=0.5, le=2.0)
    models_dir: str = ""
    llm_base_url: str = ""
    llm_api_key: str = Field(default="", repr=False)
    llm_model: str = ""
    llm: str = ""
    llm_extra: str = ""
    llm_servers: str = ""
    llm_keys: str = Field(default="", repr=False, validate_default=True)
    llm_servers_extra: str = ""
    llm_context_tokens: str = ""
    stt_slots: int | None = Field(default=None, ge=1, le=256)
    tts_slots: int | None = Field(default=None, ge=1, le=256)
    llm_slots: int = Field(default=32, ge=1, le=4096)  # they wait for the network, so one process can run many
    tool_slots: int = Field(default=32, ge=1, le=4096)
    self_test: bool = True

    @field_validator("llm_base_url")
    @classmethod
    def _llm_base_url_is_http(cls, value: str) -> str:
        return with_scheme(value, ("http://", "https://"))

    @field_validator("llm")
    @classmethod
    def _llm_is_a_known_word(cls, value: str, info: ValidationInfo) -> str:
        word, _, model = value.partition("/")
        if not value:
            return value
        if word not in PRESETS:
            raise ValueError(
                f"{word!r} is no known server: {KNOWN}; for another one set AVB_LLM_BASE_URL and AVB_LLM_MODEL"
            )
        if PRESETS[word].needs_key and not info.data.get("llm_api_key"):
            raise ValueError(f"{word} needs a key: set AVB_LLM_API_KEY")
        if model and info.data.get("llm_model") not in (None, "", model):
            raise ValueError(f"AVB_LLM_MODEL names another model than {value}; set one of them")
        return value

    @field_validator("llm_extra")
    @classmethod
    def _llm_extra_is_an_object(cls, value: str) -> str:
        read_options(value)
        return value

    @field_validator("llm_servers")
    @classmethod
    def _llm_servers_have_names_and_addresses(cls, value: str) -> str:
        names = ["openai", "dialogue"]
        for each in comma_list(value):
            name, _, address = each.partition("=")
            if not SERVER_NAME.fullmatch(name):
                raise ValueError(
                    f"{each!r} should look like name=https://host/v1#model; a name has only a-z, 0-9 and -"
                )
            if name in names:
                raise ValueError(f"the name {name} is taken; each server needs its own")
            place, _, model = address.partition("#")
            if not (place.startswith(("http://", "https://")) or place in PRESETS) or not model:
                raise ValueError(
                    f"{name} should have an address and a model, like https://host/v1#model or groq#model; known words: {KNOWN}"
                )
            names.append(name)
        return value

    @field_validator("llm_keys")
    @classmethod
    def _llm_keys_belong_to_servers(cls, value: str, info: ValidationInfo) -> str:
        servers = info.data.get("llm_servers")  # absent when it was itself invalid
        known = {each.partition("=")[0] for each in comma_list(servers or "")}
        for place, each in enumerate(comma_list(value), start=1):
            name, equals, _ = each.partition("=")
            if not equals:  # it may be a key alone, which must not be printed
                raise ValueError(f"entry {place} should look like name=key")
            if servers is not None and name not in known:
                raise ValueError(f"entry {place} does not name a server of AVB_LLM_SERVERS")
        named = {each.partition("=")[0] for each in comma_list(value)}
        for each in comma_list(servers or ""):
            name, _, address = each.partition("=")
            word = address.partition("#")[0]
            if word in PRESETS and PRESETS[word].needs_key and name not in named:
                raise ValueError(f"{word} needs a key: add {name}=key")
        return value

    @field_validator("llm_servers_extra")
    @classmethod
    def _llm_servers_extra_is_by_server(cls, value: str, info: ValidationInfo) -> str:
        known = {each.partition("=")[0] for each in comma_list(info.data.get("llm_servers") or "")}
        for name, options in read_options(value).items():
            if name not in known:
                raise ValueError(f"{name!r} is no server of AVB_LLM_SERVERS; for the first server set AVB_LLM_EXTRA")
            try:
                check_options(options)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @field_validator("llm_context_tokens")
    @classmethod
    def _llm_context_tokens_are_numbers(cls, value: str, info: ValidationInfo) -> str:
        known = {each.partition("=")[0] for each in comma_list(info.data.get("llm_servers") or "")}
        for each in comma_list(value):
            name, equals, number = each.rpartition("=")
            if equals and name not in known:
                raise ValueError(f"{name!r} is no server of AVB_LLM_SERVERS; write a number alone for the first server")
            if not number.isdecimal() or int(number) < LEAST_CONTEXT_TOKENS:
                raise ValueError(f"{each!r} should be a number of tokens, {LEAST_CONTEXT_TOKENS} or more")
        return value

    @field_validator("tts_order")
    @classmethod
    def _tts_order_names_an_engine(cls, value: str) -> str:
        if not comma_list(value):
            raise ValueError("name at least one speech engine, for example piper,espeak")
        return value

    @property
    def language_servers(self) -> tuple[LanguageServer, ...]:
        """The language model servers in order of preference; the first may be `openai`."""
        keys = dict(each.split("=", 1) for each in comma_list(self.llm_keys))
        sizes = {
            name: int(size) for name, _, size in (each.rpartition("=") for each in comma_list(self.llm_context_tokens))
        }
        extras = read_options(self.llm_servers_extra)
        servers = []
        if self.llm_base_url or self.llm_api_key or self.llm:
            preset, _, model = self.llm.partition("/")
            extra = read_options(self.llm_extra)
            first = ("openai", self.llm_base_url, self.llm_api_key, model or self.llm_model, preset, extra)
            servers.append(LanguageServer(*first, context_tokens=sizes.get("", 0)))
        for each in comma_list(self.llm_servers):
            name, _, address = each.partition("=")
            place, _, model = address.partition("#")
            preset, base_url = (place, "") if place in PRESETS else ("", place)
            further = (name, base_url, keys.get(name, ""), model, preset, extras.get(name, {}))
            servers.append(LanguageServer(*further, context_tokens=sizes.get(name, 0)))
        return tuple(servers)

    @property
    def tts_engines(self) -> tuple[str, ...]:
        """Speech engines in the order in which they are tried; at least one."""
        return comma_list(USUAL_ORDER if self.tts_order == AUTO else self.tts_order)
