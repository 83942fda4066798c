"""Every state machine of the engine, for the diagrams and for the test that walks the tables."""

from typing import Any

from agentvoicebox.engine.machine import Machine
from agentvoicebox.engine.response import RESPONSE
from agentvoicebox.engine.segment_queue import SEGMENT
from agentvoicebox.engine.tool_call import TOOL_CALL
from agentvoicebox.engine.turn import TURN

MACHINES: tuple[Machine[Any, Any], ...] = (TURN, RESPONSE, SEGMENT, TOOL_CALL)
