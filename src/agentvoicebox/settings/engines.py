"""Speech engines, language model servers, and how many jobs a worker runs at a time."""

import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.language_presets import KNOWN, PRESETS, LanguageServer, check_options, read_options
from agentvoicebox.settings.values import comma_list, with_scheme

LEAST_CONTEXT_TOKENS = 256
SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class EngineSettings(BaseModel):
    """Speech engines, language model servers, and how many jobs a worker runs at a time.

    Attributes:
        stt_profile: the recogniser; `scripted` is for benchmarks.
        tts_order: comma-separated speech engines in the order in which they are tried.
        tts_voice: voice that overrides those of the agents; empty: each agent's voice.
        models_dir: folder that is searched before other sources of models; empty: none.
        llm_base_url, llm_api_key, llm_model: an OpenAI-compatible language model server; empty: none.
        llm: the same in one word, with the model: `ollama/llama3.2`; the words are openai, groq, ollama, llama.cpp, vllm, gemini
            and mistral. AVB_LLM_BASE_URL, if it is set, is the address.
        llm_extra: additional keys of each request to this server, as JSON: `{"temperature": 0.3}`.
        llm_servers: comma-separated further servers, `name=https://host/v1#model` or `name=groq#model`; each is used when those
            before it fail.
        llm_keys: comma-separated keys of these servers, `name=key`.
        llm_servers_extra: additional keys of each request to these servers, as JSON: `{"name": {"temperature": 0.3}}`.
        llm_context_tokens: comma-separated context sizes of the models: `8192` for the first server, `name=8192` for a further
            one; empty: learnt from the servers' refusals.
        stt_slots, tts_slots, llm_slots, tool_slots: jobs one worker process of that kind runs at a time.
    """

    stt_profile: Literal["fast", "accurate", "moonshine", "faster-whisper", "scripted"] = "fast"
    tts_order: str = "piper,kokoro,espeak"
    tts_voice: str = ""
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
    stt_slots: int = Field(default=2, ge=1, le=256)
    tts_slots: int = Field(default=2, ge=1, le=256)
    llm_slots: int = Field(default=32, ge=1, le=4096)  # they wait for the network, so one process can run many
    tool_slots: int = Field(default=32, ge=1, le=4096)

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
        return comma_list(self.tts_order)
