// @ts-check
// A request as a person would write it in curl, Python or JavaScript. `base` is the gateway's own address.

/** @typedef {{model: string, messages: {role: string, content: string}[], temperature?: number, max_tokens?: number}} Ask */

/**
 * @param {"curl" | "python" | "js"} language
 * @param {string} base
 * @param {Ask} ask
 * @returns {string}
 */
export function snippet(language, base, ask) {
  return { curl, python, js }[language](base, ask);
}

/**
 * @param {string} base
 * @param {Ask} ask
 */
function curl(base, ask) {
  const body = JSON.stringify({ ...ask, stream: true }, null, 2).replaceAll("'", "'\\''");
  return `curl -N ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer $JATEVO_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${body}'`;
}

/**
 * @param {string} base
 * @param {Ask} ask
 */
function python(base, ask) {
  const given = fields(ask).map(([name, value]) => `    ${name}=${pythonValue(value, 1)},`);
  return [
    "import os",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${base}/v1", api_key=os.environ["JATEVO_KEY"])`,
    "stream = client.chat.completions.create(",
    ...given,
    "    stream=True,",
    ")",
    "for chunk in stream:",
    "    if chunk.choices:",
    '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
  ].join("\n");
}

/**
 * @param {string} base
 * @param {Ask} ask
 */
function js(base, ask) {
  const given = fields(ask).map(([name, value]) => `  ${name}: ${JSON.stringify(value, null, 2).replaceAll("\n", "\n  ")},`);
  return [
    'import OpenAI from "openai";',
    "",
    `const client = new OpenAI({ baseURL: "${base}/v1", apiKey: process.env.JATEVO_KEY });`,
    "const stream = await client.chat.completions.create({",
    ...given,
    "  stream: true,",
    "});",
    "for await (const chunk of stream) {",
    '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
    "}",
  ].join("\n");
}

/** @param {Ask} ask */
const fields = (ask) => Object.entries(ask).filter(([, value]) => value !== undefined);

/**
 * @param {unknown} value
 * @param {number} depth
 * @returns {string}
 */
function pythonValue(value, depth) {
  const pad = "    ".repeat(depth + 1);
  if (Array.isArray(value)) {
    return `[\n${value.map((each) => `${pad}${pythonValue(each, depth + 1)},\n`).join("")}${"    ".repeat(depth)}]`;
  }
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonValue(each, depth)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
