"""Speech engines, language model servers, and how many jobs a worker runs at a time."""

import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import comma_list, with_scheme

SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class EngineSettings(BaseModel):
    """Speech engines, language model servers, and how many jobs a worker runs at a time.

    Attributes:
        stt_profile: the recogniser; `scripted` is for benchmarks.
        tts_order: comma-separated speech engines in the order in which they are tried.
        tts_voice: voice that overrides those of the agents; empty: each agent's voice.
        models_dir: folder that is searched before other sources of models; empty: none.
        llm_base_url, llm_api_key, llm_model: an OpenAI-compatible language model server; empty: none.
        llm_servers: comma-separated further servers, `name=https://host/v1#model`; each is used when those before it fail.
        llm_keys: comma-separated keys of these servers, `name=key`.
        stt_slots, tts_slots, llm_slots, tool_slots: jobs one worker process of that kind runs at a time.
    """

    stt_profile: Literal["fast", "accurate", "moonshine", "faster-whisper", "scripted"] = "fast"
    tts_order: str = "piper,kokoro,espeak"
    tts_voice: str = ""
    models_dir: str = ""
    llm_base_url: str = ""
    llm_api_key: str = Field(default="", repr=False)
    llm_model: str = ""
    llm_servers: str = ""
    llm_keys: str = Field(default="", repr=False)
    stt_slots: int = Field(default=2, ge=1, le=256)
    tts_slots: int = Field(default=2, ge=1, le=256)
    llm_slots: int = Field(default=32, ge=1, le=4096)  # they wait for the network, so one process can run many
    tool_slots: int = Field(default=32, ge=1, le=4096)

    @field_validator("llm_base_url")
    @classmethod
    def _llm_base_url_is_http(cls, value: str) -> str:
        return with_scheme(value, ("http://", "https://"))

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
            if not address.startswith(("http://", "https://")) or not address.partition("#")[2]:
                raise ValueError(f"{name} should have an address and a model, like https://host/v1#model")
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
        return value

    @field_validator("tts_order")
    @classmethod
    def _tts_order_names_an_engine(cls, value: str) -> str:
        if not comma_list(value):
            raise ValueError("name at least one speech engine, for example piper,espeak")
        return value

    @property
    def language_servers(self) -> tuple[tuple[str, str, str, str], ...]:
        """The language model servers in order of preference: (name, base URL, key, model); the first may be `openai`."""
        keys = dict(each.split("=", 1) for each in comma_list(self.llm_keys))
        servers = []
        if self.llm_base_url or self.llm_api_key:
            servers.append(("openai", self.llm_base_url, self.llm_api_key, self.llm_model))
        for each in comma_list(self.llm_servers):
            name, _, address = each.partition("=")
            base_url, _, model = address.partition("#")
            servers.append((name, base_url, keys.get(name, ""), model))
        return tuple(servers)

    @property
    def tts_engines(self) -> tuple[str, ...]:
        """Speech engines in the order in which they are tried; at least one."""
        return comma_list(self.tts_order)
