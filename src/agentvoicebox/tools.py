"""The tools this server runs itself, each defined once: what a language model is told, and what a worker is asked for.

Decides names and argument schemas. What a tool does is `workers/tool` and `delivery`.
"""

from agentvoicebox.engine.inputs import ServerTool

GET_DELIVERY_STATUS = ServerTool(
    name="get_delivery_status",
    description=(
        "Look up where a parcel is. Call it as soon as the caller has given a whole tracking number; never guess one. "
        "Say nothing about a parcel that this tool did not return."
    ),
    parameters={
        "type": "object",
        "properties": {
            "tracking_id": {
                "type": "string",
                "pattern": "^[A-Z0-9]{6,32}$",  # requirements, B1.2
                "description": "The tracking number: capital letters and digits, no spaces.",
            }
        },
        "required": ["tracking_id"],
        "additionalProperties": False,
    },
    is_read_only=True,
)

SERVER_TOOLS: dict[str, ServerTool] = {tool.name: tool for tool in (GET_DELIVERY_STATUS,)}
