"""Let the agent call a function of this program.

The agent needs a language model that calls functions (AVB_LLM_BASE_URL at the server).

pip install openai
AVB_LLM_BASE_URL=http://127.0.0.1:11434/v1 AVB_LLM_MODEL=… agentvoicebox serve      # elsewhere
python tools.py "What is the price of a red rose?"
"""

import asyncio
import json
import os
import sys

from openai import AsyncOpenAI

PRICES = {"red rose": "seven euros"}
GET_PRICE = {
    "type": "function",
    "name": "get_price",
    "description": "The price of a flower.",
    "parameters": {"type": "object", "properties": {"flower": {"type": "string"}}, "required": ["flower"]},
}


async def main(question: str) -> None:
    """One question; the answer needs the function."""
    url, key = os.environ.get("AVB_URL", "http://127.0.0.1:8000/v1"), os.environ.get("AVB_KEY", "none")
    client = AsyncOpenAI(base_url=url, api_key=key)
    async with client.realtime.connect(model=os.environ.get("AVB_MODEL", "assistant")) as connection:
        session = {"type": "realtime", "output_modalities": ["text"], "tools": [GET_PRICE]}
        await connection.session.update(session=session)
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.function_call_arguments.done":
                price = PRICES.get(json.loads(event.arguments)["flower"], "unknown")
                await connection.conversation.item.create(
                    item={"type": "function_call_output", "call_id": event.call_id, "output": price}
                )
            elif event.type == "response.output_text.done":
                print(event.text)
            elif event.type == "response.done":
                if event.response.output[-1].type == "message":
                    break
                await connection.response.create()  # it ended with the call: now it may answer
            elif event.type == "error":
                sys.exit(event.error.message)


asyncio.run(main(*sys.argv[1:]))
