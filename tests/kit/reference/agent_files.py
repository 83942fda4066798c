"""`docs/reference/agent-files.md`: every key of an agent's file."""

from agentvoicebox.agents import AGENT_NAME, BUILT_IN, AgentFile
from agentvoicebox.settings.language_presets import OWN_KEYS
from agentvoicebox.tools import declaration
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.wire.audio_config import TurnDetection
from tests.kit.reference.markdown import code, head, section, table, text_of
from tests.kit.reference.shapes import client_fields, default_of, fields_of, meaning_of, type_name

SAID = {
    "TurnDetection.type": "`server_vad`: a fixed silence; `semantic_vad`: one that depends on how finished the sentence sounds",
}
TYPES = {"tools": "array of names, or `[[tools]]` tables", "turn_detection": 'table, or `"manual"`'}


def page() -> str:
    """The page."""
    lines = head(
        "Agent files",
        "`agents.py` and `tools/declaration.py`",
        f"An agent is one TOML file; its file name without `.toml` is the agent's name, which clients send as `model` "
        f"(`{AGENT_NAME.pattern}`). The server reads the built-in files, those of the agent kits, and those in "
        "`AVB_AGENTS_DIR`, in this "
        "order; a later file replaces one of the same name. Files are read at start; an unknown key or an invalid "
        "value is reported "
        "with the file's name, and the server does not start. `agentvoicebox agents list` shows the agents.",
    )
    rows = [
        (
            code(field.name),
            TYPES.get(field.name) or type_name(field.type, {}),
            "yes" if field.required else "no",
            default_of(field),
            meaning_of(AgentFile, field.name, {}),
        )
        for field in fields_of(AgentFile)
    ]
    lines += table(("key", "type", "required", "default", "meaning"), rows)
    lines += section("The built-in general agent", "`assistant.toml`:")
    lines += ["", "```toml", (BUILT_IN / "assistant.toml").read_text(encoding="utf-8").strip(), "```"]
    lines += section(
        "`[[tools]]`",
        "A tool of a kit needs only its name (`tools = [\"get_delivery_status\"]`). A tool that your server answers "
        "over HTTP is "
        "declared in a table; [tools](../tools.md) says what is sent and what may come back. All tools of kits that "
        "one agent has "
        "belong to one kit.",
    )  # fmt: skip
    lines += client_fields(ToolDeclaration, {}, SAID)
    reserved = ", ".join(map(code, sorted(declaration.RESERVED_HEADERS)))
    lines += ["", f"Headers that the server sets itself are refused: {reserved}."]
    lines += section(
        "`[turn_detection]`",
        '`turn_detection = "manual"` leaves the turns to the client. A table has the fields of the protocol '
        "([ranges](session.md)):",
    )
    lines += client_fields(TurnDetection, {}, SAID)
    lines += section(
        "`[language_model_options]`",
        "Additional keys of each request to the language model's server, such as `temperature`. Keys that the server "
        "sets itself are "
        f"refused: {', '.join(map(code, sorted(OWN_KEYS)))}.",
    )
    return text_of(lines)
