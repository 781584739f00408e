// The openai package for Node.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import * as check from "./check.mjs";
import { MODEL, RIGHT_KEY, WRONG_KEY, raised } from "./check.mjs";

const at = (url, options = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: RIGHT_KEY, maxRetries: 0, ...options });
const client = at(check.url);
const { equal, deepEqual } = assert;

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const Person = z.object({ name: z.string(), age: z.int() });

const said = (content) => [{ role: "user", content }];
const asked = (content, options = {}) => ({ model: MODEL, messages: said(content), ...options });
const ask = (content, options, over = client) => over.chat.completions.create(asked(content, options));
const cities = (calls) => calls.map((call) => JSON.parse(call.function.arguments).city);

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
  return text;
}

await check.run({
  chat: async () => {
    const answer = await ask("hello there");
    equal(answer.choices[0].message.content, "heard: hello there");
    equal(answer.usage.prompt_tokens_details.cached_tokens, 8);
  },
  stream: async () => {
    equal(await textOf(await ask("hello there", { stream: true })), "heard: hello there");
  },
  "streamed usage": async () => {
    const counts = [];
    for await (const chunk of await ask("hi", { stream: true, stream_options: { include_usage: true } })) {
      if (chunk.usage) counts.push([chunk.choices.length, chunk.usage.total_tokens]);
    }
    deepEqual(counts, [[0, 32]]);
  },
  tools: async () => {
    const { message } = (await ask("tool please", { tools: [WEATHER] })).choices[0];
    deepEqual(cities(message.tool_calls), ["Paris"]);
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "12 °C" };
    const messages = [...said("tool please"), message, result];
    const answer = await client.chat.completions.create({ model: MODEL, messages, tools: [WEATHER] });
    equal(answer.choices[0].message.content, "the tool said: 12 °C");
  },
  "parallel tools": async () => {
    const { message } = (await ask("tools please", { tools: [WEATHER], parallel_tool_calls: true })).choices[0];
    deepEqual(cities(message.tool_calls), ["Paris", "Oslo"]);
  },
  "streamed tools": async () => {
    let nDeltas = 0;
    const streaming = client.chat.completions
      .stream(asked("tools please", { tools: [WEATHER] }))
      .on("tool_calls.function.arguments.delta", () => (nDeltas += 1));
    const { message } = (await streaming.finalChatCompletion()).choices[0];
    deepEqual(cities(message.tool_calls), ["Paris", "Oslo"]);
    // Gemini tells each call in one piece, the others piece by piece.
    assert.ok((process.env.CLIENT_UPSTREAM_KIND === "gemini" ? 2 : 3) <= nDeltas, `${nDeltas} deltas`);
  },
  "structured output": async () => {
    const format = { response_format: zodResponseFormat(Person, "person") };
    const whole = await client.chat.completions.parse(asked("who?", format));
    deepEqual(whole.choices[0].message.parsed, { name: "Ada", age: 36 });
    const streamed = await client.chat.completions.stream(asked("who?", format)).finalChatCompletion();
    deepEqual(streamed.choices[0].message.parsed, { name: "Ada", age: 36 });
  },
  n: async () => {
    check.notOver("anthropic", "gemini");
    const answer = await ask("hello there", { n: 2 });
    deepEqual(answer.choices.map((choice) => choice.message.content), Array(2).fill("heard: hello there"));
  },
  logprobs: async () => {
    check.notOver("anthropic", "gemini");
    const { content } = (await ask("hello there", { logprobs: true, top_logprobs: 1 })).choices[0].logprobs;
    deepEqual([content.map((it) => it.token).join(""), content[0].logprob], ["heard: hello there", -0.25]);
  },
  "images arrive byte for byte": async () => {
    const image = randomBytes(300_000);
    const url = `data:image/png;base64,${image.toString("base64")}`;
    const answer = await ask([{ type: "text", text: "image" }, { type: "image_url", image_url: { url } }]);
    equal(answer.choices[0].message.content, createHash("sha256").update(image).digest("hex"));
  },
  "fields nobody knows arrive and come back": async () => {
    check.notOver("anthropic", "gemini");
    const answer = await ask("echo", { future: { x: [1, "é"] } });
    deepEqual(JSON.parse(answer.choices[0].message.content).future, { x: [1, "é"] });
    deepEqual(answer.future_field, { kept: 1, text: "é" });
  },
  errors: async () => {
    const refused = await raised(OpenAI.BadRequestError, () => ask("error 400"));
    assert.match(refused.message, /not to be asked/);
    const limited = await raised(OpenAI.RateLimitError, () => ask("error 429"));
    equal(limited.headers.get("retry-after"), "7");
    const busy = await raised(OpenAI.InternalServerError, () => ask("error 503"));
    equal(busy.headers.get("retry-after"), "3");
    await raised(OpenAI.RateLimitError, () => ask("error 429", { stream: true }));
  },
  "bad requests name the field": async () => {
    check.throughOnly();
    const bad = () => client.chat.completions.create({ model: MODEL, messages: [] });
    equal((await raised(OpenAI.BadRequestError, bad)).param, "messages");
  },
  "wrong key": async () => {
    const url = check.keyed();
    const error = await raised(OpenAI.AuthenticationError, () => ask("hi", {}, at(url, { apiKey: WRONG_KEY })));
    equal(error.code, "invalid_api_key");
    equal((await ask("hi", {}, at(url))).choices[0].message.content, "heard: hi");
  },
  "unknown model": async () => {
    const error = await raised(OpenAI.NotFoundError, () => ask("hi", { model: "nobody" }));
    deepEqual([error.code, error.param], ["model_not_found", "model"]);
  },
  "cancel in mid stream reaches the upstream": async () => {
    const prompt = check.newSlow();
    let nChunks = 0;
    for await (const _ of await ask(prompt, { stream: true })) if (++nChunks === 3) break;
    await check.upstreamSeesCancelled(prompt);
  },
  "an abort reaches the upstream": async () => {
    const prompt = check.newSlow();
    const signal = AbortSignal.timeout(1000);
    await raised(OpenAI.APIUserAbortError, () => client.chat.completions.create(asked(prompt), { signal }));
    await check.upstreamSeesCancelled(prompt);
  },
  "in parallel": async () => {
    const texts = Array.from({ length: 2 * check.N_CALLERS }, (_, number) => `caller ${number} of many`);
    const answers = texts.map((text, number) =>
      number % 2
        ? ask(text).then((answer) => answer.choices[0].message.content)
        : ask(text, { stream: true }).then(textOf),
    );
    deepEqual(await Promise.all(answers), texts.map((text) => `heard: ${text}`));
  },
});
