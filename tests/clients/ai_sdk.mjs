// The Vercel AI SDK over its OpenAI provider, which speaks the Responses API: text, a stream, an object, and a tool loop.
// Prints what each gave, as one line of JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [name] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const model = openai.responses(name);
const counted = (usage) => [usage.inputTokens, usage.outputTokens];
const common = { model, maxRetries: 0 };
const told = {};

const plain = await generateText({ ...common, prompt: "hello" });
told.plain = { text: plain.text, usage: counted(plain.usage) };

const stream = streamText({ ...common, prompt: "hello" });
let streamed = "";
for await (const piece of stream.textStream) streamed += piece;
told.stream = { text: streamed, usage: counted(await stream.usage) };

const parsed = await generateText({
  ...common,
  prompt: "parse",
  output: Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) }),
});
told.parse = { parsed: parsed.output, usage: counted(parsed.usage) };

const tools = {
  look_up: tool({
    description: "Look a city's weather up.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `rain in ${city}`,
  }),
};
const looped = await generateText({ ...common, prompt: "tool", tools, stopWhen: stepCountIs(4) });
told.tool = { text: looped.text, usage: looped.steps.map((step) => counted(step.usage)) };

// A later turn of the same chat: what was stored is referred to by its id.
const later = await generateText({
  ...common,
  tools,
  messages: [
    { role: "user", content: "tool" },
    ...looped.steps.flatMap((step) => step.response.messages),
    { role: "user", content: "hello" },
  ],
});
told.later = { text: later.text, usage: counted(later.usage) };
console.log(JSON.stringify(told));
