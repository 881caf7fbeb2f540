// What a user of the official `openai` npm package does, against a running Hansard: one function a scenario.
// `node scenarios.mjs BASE_URL` runs them all and prints, as JSON, what went wrong in each.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import OpenAI from "openai";

const MODEL = "hansard-tiny";
const FRANCE = [{ role: "user", content: "What is the capital of France?" }];
const PARIS = "The capital of France is Paris.";
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] },
  },
};
const ASKS_WEATHER = { model: MODEL, messages: [{ role: "user", content: "What is the weather in Paris today?" }] };
const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const chat = client.chat.completions;

const scenarios = {
  async create() {
    const completion = await chat.create({ model: MODEL, messages: FRANCE });
    assert.equal(completion.choices[0].message.content, PARIS);
    assert.equal(completion.choices[0].finish_reason, "stop");
    assert.match(completion.id, /^chatcmpl-[0-9A-Za-z]{29}$/);
    assert.match(completion._request_id, /^req_/);
  },

  async stream() {
    const chunks = await all(await chat.create({ model: MODEL, messages: FRANCE, stream: true }));
    assert.equal(said(chunks), PARIS);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(chunks.every((chunk) => "obfuscation" in chunk && !("usage" in chunk)));
  },

  async streamWithUsage() {
    const options = { include_usage: true, include_obfuscation: false };
    const chunks = await all(
      await chat.create({ model: MODEL, messages: FRANCE, stream: true, stream_options: options }),
    );
    assert.ok(chunks.every((chunk) => !("obfuscation" in chunk)));
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  },

  async streamHelper() {
    const stream = chat.stream({ model: MODEL, messages: FRANCE });
    assert.equal(await stream.finalContent(), PARIS);
  },

  async tools() {
    const { choices } = await chat.create({ ...ASKS_WEATHER, tools: [WEATHER] });
    assert.equal(choices[0].finish_reason, "tool_calls");
    assert.equal(choices[0].message.content, null);
    const [call] = choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { location: "Paris" });
    const result = { role: "tool", tool_call_id: call.id, content: '{"temperature": 21, "condition": "sunny"}' };
    const messages = [...ASKS_WEATHER.messages, choices[0].message, result];
    const told = await chat.create({ model: MODEL, messages, tools: [WEATHER] });
    assert.match(told.choices[0].message.content, /21/);
  },

  async toolsInAStream() {
    const stream = chat.stream({ ...ASKS_WEATHER, tools: [WEATHER], tool_choice: "required" });
    const completion = await stream.finalChatCompletion();
    assert.equal(completion.choices[0].message.tool_calls[0].function.name, "get_weather");
  },

  async parsedSchema() {
    const completion = await chat.parse({
      model: MODEL,
      messages: [{ role: "user", content: "Alice is 30 years old" }],
      response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: PERSON } },
    });
    const person = JSON.parse(completion.choices[0].message.content);
    assert.equal(typeof person.name, "string");
    assert.ok(Number.isInteger(person.age));
  },

  async logprobs() {
    const { choices } = await chat.create({ model: MODEL, messages: FRANCE, logprobs: true, top_logprobs: 2 });
    const tokens = choices[0].logprobs.content;
    assert.equal(tokens.map((token) => token.token).join(""), PARIS);
    assert.ok(tokens.every((token) => token.top_logprobs.length === 2));
  },

  async severalChoices() {
    const { choices } = await chat.create({ model: MODEL, messages: FRANCE, n: 2, temperature: 0 });
    assert.deepEqual(choices.map((choice) => choice.message.content), [PARIS, PARIS]);
  },

  async storedIsRead() {
    const metadata = label();
    const made = await chat.create({ model: MODEL, messages: FRANCE, store: true, metadata });
    const stored = await chat.retrieve(made.id);
    assert.equal(stored.choices[0].message.content, PARIS);
    assert.deepEqual(stored.metadata, metadata);
    assert.equal(Object.keys(stored).filter((key) => key !== "_request_id").length, 19);
    assert.ok(Number.isSafeInteger(stored.seed));
    const messages = await all(chat.messages.list(made.id));
    assert.deepEqual(messages.map((message) => message.id), [`${made.id}-0`]);
    assert.equal(messages[0].content, FRANCE[0].content);
  },

  async storedStream() {
    const chunks = await all(
      await chat.create({ model: MODEL, messages: FRANCE, store: true, metadata: label(), stream: true }),
    );
    const stored = await chat.retrieve(chunks[0].id);
    assert.equal(stored.choices[0].message.content, said(chunks));
  },

  async listPagesByItself() {
    const { metadata, ids } = await someStored(5);
    assert.deepEqual(idsOf(await all(chat.list({ metadata, limit: 2 }))), ids);
    assert.deepEqual(idsOf(await all(chat.list({ metadata, limit: 2, order: "desc" }))), ids.toReversed());
    assert.equal((await chat.list({ metadata: null, limit: 1 })).data.length, 1);
  },

  async deleteWhilePaging() {
    const { metadata, ids } = await someStored(5);
    const deleted = [];
    for await (const stored of chat.list({ metadata, limit: 2 })) {
      deleted.push((await chat.delete(stored.id)).id);
    }
    assert.deepEqual(deleted, ids);
    assert.deepEqual(await all(chat.list({ metadata })), []);
  },

  async update() {
    const { ids } = await someStored(1);
    const metadata = label();
    assert.deepEqual((await chat.update(ids[0], { metadata })).metadata, metadata);
    assert.deepEqual(idsOf(await all(chat.list({ metadata }))), ids);
    assert.deepEqual((await chat.update(ids[0], { metadata: null })).metadata, {});
  },

  async deleted() {
    const { ids } = await someStored(1);
    assert.equal((await chat.delete(ids[0])).deleted, true);
    await assert.rejects(chat.retrieve(ids[0]), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "not_found");
      return true;
    });
  },

  async models() {
    assert.ok(idsOf(await all(client.models.list())).includes(MODEL));
  },

  async errorsByClass() {
    await assert.rejects(chat.create({ model: MODEL, messages: FRANCE, temperature: 3 }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.param, error.code], ["temperature", "decimal_above_max_value"]);
      assert.match(error.requestID, /^req_/);
      return true;
    });
    await assert.rejects(chat.create({ model: "gpt-x", messages: FRANCE }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      return true;
    });
  },

  async withResponse() {
    const { data, response } = await chat.create({ model: MODEL, messages: FRANCE }).withResponse();
    assert.equal(data.choices[0].message.content, PARIS);
    assert.match(response.headers.get("x-request-id"), /^req_/);
  },
};

async function someStored(count) {
  const metadata = label();
  const ids = [];
  for (let number = 0; number < count; number += 1) {
    const made = await chat.create({ model: MODEL, messages: FRANCE, store: true, metadata, max_tokens: 1 });
    ids.push(made.id);
  }
  return { metadata, ids };
}

function label() {
  return { scenario: randomUUID(), "k[2]": "ü" };
}

async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

function idsOf(objects) {
  return objects.map((object) => object.id);
}

function said(chunks) {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
}

const wentWrong = {};
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await scenario();
  } catch (error) {
    wentWrong[name] = String(error.stack ?? error);
  }
}
console.log(JSON.stringify(wentWrong));
