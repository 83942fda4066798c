"""Language model servers by one word, additional keys of requests, and context sizes."""

from pathlib import Path
from typing import Any

import pytest

from agentvoicebox.agents import Agents
from agentvoicebox.errors import ProviderUnavailable, SettingsError
from agentvoicebox.providers.llm.registry import LanguageModels, Server
from agentvoicebox.settings import Settings
from agentvoicebox.settings.language_presets import OWN_KEYS, PRESETS

pytestmark = pytest.mark.requirement("A9")


@pytest.mark.parametrize("word", PRESETS)
def test_a_word_and_a_key_are_a_server(word: str) -> None:
    key = "k" if PRESETS[word].needs_key else ""
    (server,) = Settings.load(llm=f"{word}/some/model", llm_api_key=key).language_servers
    assert server[:5] == ("openai", "", key, "some/model", word)
    assert LanguageModels([Server(*server)]).get("openai")


def test_a_word_with_the_model_and_address_of_other_settings() -> None:
    (server,) = Settings.load(llm="ollama", llm_model="qwen3", llm_base_url="http://gpu:11434/v1").language_servers
    assert server[:5] == ("openai", "http://gpu:11434/v1", "", "qwen3", "ollama")


def test_further_servers_may_be_words_with_keys_extras_and_contexts() -> None:
    settings = Settings.load(
        llm="ollama/llama3.2",
        llm_extra='{"temperature": 0.3}',
        llm_servers="fast=groq#llama-3.3-70b, own=http://own/v1#q",
        llm_keys="fast=k",
        llm_servers_extra='{"own": {"chat_template_kwargs": {"enable_thinking": false}}}',
        llm_context_tokens="4096, own=8192",
    )
    first, fast, own = settings.language_servers
    assert (first.extra, first.context_tokens) == ({"temperature": 0.3}, 4096)
    assert fast[:5] == ("fast", "", "k", "llama-3.3-70b", "groq") and (fast.extra, fast.context_tokens) == ({}, 0)
    assert own.extra == {"chat_template_kwargs": {"enable_thinking": False}} and own.context_tokens == 8192


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"llm": "olama/x"}, "AVB_LLM: 'olama' is no known server: openai, groq, ollama, llama.cpp, vllm, gemini, mistral"),
        ({"llm": "groq/x"}, "AVB_LLM: groq needs a key: set AVB_LLM_API_KEY"),
        ({"llm": "ollama/x", "llm_model": "y"}, "AVB_LLM_MODEL names another model"),
        ({"llm_servers": "a=gorq#x"}, "known words: openai, groq"),
        ({"llm_servers": "a=groq#x"}, "AVB_LLM_KEYS: groq needs a key: add a=key"),
        ({"llm_servers": "a=groq"}, "should have an address and a model"),
        ({"llm_extra": "{"}, "AVB_LLM_EXTRA: should be JSON"),
        ({"llm_extra": "[1]"}, "AVB_LLM_EXTRA: should be an object"),
        ({"llm_extra": '{"temperature": NaN}'}, "AVB_LLM_EXTRA: only text, numbers"),
        ({"llm_servers_extra": '{"b": {}}'}, "'b' is no server of AVB_LLM_SERVERS"),
        ({"llm_servers": "b=http://h/v1#m", "llm_servers_extra": '{"b": {"stream": false}}'}, "b: stream is set by this server"),
        ({"llm_context_tokens": "many"}, "should be a number of tokens"),
        ({"llm_context_tokens": "8"}, "256 or more"),
        ({"llm_context_tokens": "b=4096"}, "'b' is no server"),
        *(({"llm_extra": f'{{"{key}": 1}}'}, f"{key} is set by this server") for key in sorted(OWN_KEYS)),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_setting(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load(**given)
    assert said in raised.value.message


def test_without_a_server_the_error_says_what_to_set() -> None:
    with pytest.raises(
        ProviderUnavailable,
        match=r"set AVB_LLM \(for example AVB_LLM=ollama/llama3\.2\), or AVB_LLM_BASE_URL and AVB_LLM_MODEL",
    ):
        LanguageModels().get("openai")


def agents(folder: Path, options: str) -> Agents:
    (folder / "florist.toml").write_text(f'instructions = "Flowers."\n[language_model_options]\n{options}\n')
    return Agents(folder=str(folder), default="florist")


def test_an_agents_file_has_options_of_its_model(tmp_path: Path) -> None:
    made = agents(
        tmp_path, 'reasoning_effort = "low"\ntemperature = 0.2\nchat_template_kwargs = {enable_thinking = false}'
    )
    options = made.by_name["florist"].profile().language_model_options
    assert options == {
        "reasoning_effort": "low",
        "temperature": 0.2,
        "chat_template_kwargs": {"enable_thinking": False},
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("messages = []", "language_model_options: messages is set by this server"),
        ("max_tokens = 5", "language_model_options: max_tokens is set by this server"),
        ("since = 2026-01-01", "language_model_options: only text, numbers"),
        ("temperature = nan", "language_model_options: only text, numbers"),
    ],
)
def test_options_that_can_not_be_sent_are_named(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        agents(tmp_path, options)
    assert said in raised.value.message


def test_the_page_names_each_word_with_its_address_and_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "language-models.md").read_text()
    rows = {
        cells[1].strip(" `"): cells
        for line in page.splitlines()
        if (cells := line.split("|"))[0] == "" and len(cells) == 6
    }
    for word, preset in PRESETS.items():
        assert rows[word][2].strip(" `") == (preset.base_url or "OpenAI's own")
        assert rows[word][3].strip() == ("needed" if preset.needs_key else "none")
        assert ("by name" in rows[word][4]) == (not preset.takes_named_tool)
        assert ("stream_options" in rows[word][4]) == (not preset.takes_stream_options)
    assert all(f"`{key}`" in page for key in OWN_KEYS)
