// The official Node SDK, as its users write it. The server is where OPENAI_BASE_URL says.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { report } from "./report.mjs";

const model = "hansard-tiny";
const metadata = { team: "search", run: process.env.RUN };
const france = [{ role: "user", content: "What is the capital of France?" }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Get the current weather in a city",
      parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] },
    },
  },
];

const client = new OpenAI();

await report({
  async create() {
    const completion = await client.chat.completions.create({ model, messages: france });
    return completion.choices[0].message.content;
  },

  async stream() {
    const pieces = [];
    for await (const chunk of await client.chat.completions.create({ model, messages: france, stream: true })) {
      pieces.push(chunk.choices[0].delta.content ?? "");
    }
    return pieces;
  },

  async call_a_tool() {
    const messages = [{ role: "user", content: "What is the weather in Paris today?" }];
    const asked = await client.chat.completions.create({ model, messages, tools, temperature: 0 });
    const [call] = asked.choices[0].message.tool_calls;
    const result = { role: "tool", tool_call_id: call.id, content: '{"temperature": 21, "condition": "sunny"}' };
    messages.push(asked.choices[0].message, result);
    const told = await client.chat.completions.create({ model, messages, tools, temperature: 0 });
    const { name, arguments: spelled } = call.function;
    return { name, arguments: JSON.parse(spelled), answer: told.choices[0].message.content };
  },

  async structured_output() {
    const person = z.object({ name: z.string(), age: z.number().int() });
    const completion = await client.chat.completions.parse({
      model,
      messages: [{ role: "user", content: "Alice is 30 years old" }],
      response_format: zodResponseFormat(person, "person"),
      temperature: 0,
    });
    return completion.choices[0].message.parsed;
  },

  async store_with_metadata() {
    const completion = await client.chat.completions.create({ model, messages: france, store: true, metadata });
    return completion.id;
  },

  async list_stored() {
    const ids = [];
    for await (const stored of client.chat.completions.list({ metadata })) ids.push(stored.id);
    return ids;
  },
});
