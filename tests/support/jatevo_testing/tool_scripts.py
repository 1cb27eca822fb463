"""Scripted upstreams that call a tool and answer with what it said, over chat, streamed or not."""

import json
from typing import Any

from jatevo_testing.streams import DONE, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, answering, chunk, completion, usage


def calling(name: str, arguments: dict[str, Any], *, prompt: int = 10, output: int = 20) -> Script:
    """Call the tool `name` until its output is there, then answer with the output."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}

    async def script(asked: Asked, connection: Connection) -> None:
        last = asked.body["messages"][-1]
        if last["role"] == "tool":
            await answering(f"it says: {last['content']}", usage(prompt, output))(asked, connection)
        elif asked.body.get("stream"):
            delta = {"role": "assistant", "tool_calls": [{"index": 0, **call}]}
            frame = event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            end = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
            await sending(frame, end, event(chunk(None, counted=usage(prompt, output))), DONE)(asked, connection)
        else:
            answer = completion("", usage(prompt, output))
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            answer["choices"][0] |= {"message": message, "finish_reason": "tool_calls"}
            await connection.reply(200, answer)

    return script
