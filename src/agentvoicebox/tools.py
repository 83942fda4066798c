"""The tools this server runs itself: what a language model is told of each, and whether it may run before a turn is certain.

Which tools there are is decided here; what one takes and does, in `delivery` and `workers/tool`.
"""

from agentvoicebox.delivery import tool_schema
from agentvoicebox.engine.inputs import ServerTool

GET_DELIVERY_STATUS = ServerTool(
    name=tool_schema.NAME,
    description=tool_schema.DESCRIPTION,
    parameters=tool_schema.PARAMETERS,
    is_read_only=True,
)

SERVER_TOOLS: dict[str, ServerTool] = {tool.name: tool for tool in (GET_DELIVERY_STATUS,)}
