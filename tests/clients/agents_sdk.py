"""
The OpenAI Agents SDK, as anybody sets it up: an agent with a tool, run to its end, streamed, and by a stored response.

Runs in an environment of its own (`.tools/clients`). Prints what each run gave, as one line of JSON.
"""

import asyncio
import json
import sys
from typing import Any

from agents import Agent, ModelSettings, Runner, function_tool, set_tracing_disabled


@function_tool
def look_up(city: str) -> str:
    """Look a city's weather up."""
    return f"rain in {city}"


def counted(result: Any) -> list[list[int]]:
    return [[answer.usage.input_tokens, answer.usage.output_tokens] for answer in result.raw_responses]


async def main(model: str) -> None:
    set_tracing_disabled(disabled=True)
    agent = Agent(name="demo", instructions="Be brief.", model=model, tools=[look_up], model_settings=ModelSettings())
    plain = await Runner.run(agent, "tool")
    told: dict[str, Any] = {"plain": {"text": plain.final_output, "usage": counted(plain)}}

    streamed = Runner.run_streamed(agent, "tool")
    kinds = [event.type async for event in streamed.stream_events()]
    told["stream"] = {"text": streamed.final_output, "usage": counted(streamed), "events": sorted(set(kinds))}

    later = await Runner.run(agent, "hello", previous_response_id=plain.last_response_id)
    told["later"] = {"text": later.final_output, "usage": counted(later)}
    print(json.dumps(told))


asyncio.run(main(sys.argv[1]))
