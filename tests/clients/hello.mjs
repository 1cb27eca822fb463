// One answer through each JavaScript SDK. Prints both, as one line of JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
import OpenAI from "openai";

const [name] = process.argv.slice(2);
const answer = await new OpenAI({ maxRetries: 0 }).responses.create({
  model: name,
  input: "Say hello.",
  max_output_tokens: 16,
});
const provider = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const made = await generateText({
  model: provider.responses(name),
  prompt: "Say hello.",
  maxOutputTokens: 16,
  maxRetries: 0,
});
console.log(
  JSON.stringify({
    openai: { text: answer.output_text, usage: [answer.usage.input_tokens, answer.usage.output_tokens] },
    vercel: { text: made.text, usage: [made.usage.inputTokens, made.usage.outputTokens] },
  }),
);
