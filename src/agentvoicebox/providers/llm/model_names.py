"""What the name of a language model in an agent's file means, and whether the settings provide it. Loads no client.

`openai` is all configured servers in their order; `openai/<model>` and `<server>/<model>` name a model of one; a kit's model has
a name of its own; several names, separated by commas, are tried in order.
"""

from collections.abc import Collection, Mapping

OPENAI = "openai"
CONFIGURE = "set AVB_LLM (for example AVB_LLM=ollama/llama3.2), or AVB_LLM_BASE_URL and AVB_LLM_MODEL"


def parts_of(name: str, servers: Collection[str]) -> list[str]:
    """The single models that a name means, in order of preference. `servers`: names of the configured servers."""
    parts = [part.strip() for part in name.split(",") if part.strip()]
    return [each for part in parts for each in ((list(servers) or [part]) if part == OPENAI else [part])]


def what_is_missing(name: str, servers: Mapping[str, str], others: Collection[str]) -> str:
    """What to set so that the model can be used; empty if it can be.

    Args:
        name: as an agent's file names it.
        servers: the default model of each configured server, or "".
        others: names of models that need no server.
    """
    parts = parts_of(name, servers)
    if not parts:
        return f"it names no language model; {CONFIGURE}"
    return next(filter(None, (_missing(part, servers, others) for part in parts)), "")


def _missing(part: str, servers: Mapping[str, str], others: Collection[str]) -> str:
    provider, _, model = part.partition("/")
    if provider in others:
        return ""
    if provider not in servers:
        if provider == OPENAI:
            which = "the first language model server is not" if servers else "no language model server is"
            return f"{which} configured; {CONFIGURE}"
        known = ", ".join(sorted((*servers, *others))) or "none"
        return f"there is no language model {part!r} (there are: {known}); add it to AVB_LLM_SERVERS"
    if not (model or servers[provider]):
        where = "AVB_LLM_MODEL" if provider == OPENAI else "it in AVB_LLM_SERVERS"
        return f"no model of the server {provider} is chosen; write `{provider}/<model>` in the agent's file, or set {where}"
    return ""
