// The OpenAI SDK for JavaScript: a plain response, a stream, a parsed one, and a tool call that goes round by the previous
// response. Prints what each gave, as one line of JSON.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const [model] = process.argv.slice(2);
const client = new OpenAI({ maxRetries: 0 });
const counted = ({ usage }) => [usage.input_tokens, usage.output_tokens];
const told = {};

const plain = await client.responses.create({ model, input: "hello" });
told.plain = { text: plain.output_text, usage: counted(plain) };

let streamed = "";
const stream = client.responses.stream({ model, input: "hello" });
stream.on("response.output_text.delta", (event) => (streamed += event.delta));
const final = await stream.finalResponse();
told.stream = { text: streamed, final: final.output_text, usage: counted(final) };

const Weather = z.object({ city: z.string(), degrees: z.number() });
const parsed = await client.responses.parse({
  model,
  input: "parse",
  text: { format: zodTextFormat(Weather, "weather") },
});
told.parse = { parsed: parsed.output_parsed, usage: counted(parsed) };

const tools = [
  {
    type: "function",
    name: "look_up",
    strict: false,
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
];
const first = await client.responses.create({ model, input: "tool", tools });
const call = first.output.find((item) => item.type === "function_call");
const second = await client.responses.create({
  model,
  tools,
  previous_response_id: first.id,
  input: [{ type: "function_call_output", call_id: call.call_id, output: "rain" }],
});
told.tool = { arguments: JSON.parse(call.arguments), text: second.output_text, usage: [counted(first), counted(second)] };

try {
  await client.responses.create({ model, input: "x", previous_response_id: "resp_unknown" });
} catch (error) {
  told.unknown = { status: error.status, code: error.code, param: error.param };
}
console.log(JSON.stringify(told));
