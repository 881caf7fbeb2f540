// The Vercel AI SDK, as its users write it: `openai.chat(...)`, because plain `openai(...)` speaks the Responses API.

import { openai } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { report } from "./report.mjs";

const model = openai.chat("hansard-tiny");
const metadata = { team: "search", run: process.env.RUN };
const france = "What is the capital of France?";

const get_weather = tool({
  description: "Get the current weather in a city",
  inputSchema: z.object({ location: z.string() }),
  execute: async () => ({ temperature: 21, condition: "sunny" }),
});

await report({
  async create() {
    const { text } = await generateText({ model, prompt: france });
    return text;
  },

  async stream() {
    const pieces = [];
    for await (const piece of streamText({ model, prompt: france }).textStream) pieces.push(piece);
    return pieces;
  },

  async call_a_tool() {
    const { steps, text } = await generateText({
      model,
      prompt: "What is the weather in Paris today?",
      tools: { get_weather },
      stopWhen: stepCountIs(2),
      temperature: 0,
    });
    const [call] = steps[0].toolCalls;
    return { name: call.toolName, arguments: call.input, answer: text };
  },

  async structured_output() {
    const person = z.object({ name: z.string(), age: z.number().int() });
    const prompt = "Alice is 30 years old";
    const { output } = await generateText({ model, prompt, output: Output.object({ schema: person }), temperature: 0 });
    return output;
  },

  async store_with_metadata() {
    const { response } = await generateText({
      model,
      prompt: france,
      providerOptions: { openai: { store: true, metadata } },
    });
    return response.id;
  },

  // The SDK has no call that lists; what it does not have, its users fetch.
  async list_stored() {
    const filter = new URLSearchParams({ "metadata[run]": metadata.run });
    const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
    const reply = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions?${filter}`, { headers });
    const { data } = await reply.json();
    return data.map((stored) => stored.id);
  },
});
