// The Vercel AI SDK, by both of its ways to such a server: @ai-sdk/openai and @ai-sdk/openai-compatible.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import * as check from "./check.mjs";
import { MODEL, RIGHT_KEY, WRONG_KEY, raised } from "./check.mjs";

const { equal, deepEqual } = assert;

const compatible = (url, apiKey = RIGHT_KEY, name = MODEL) =>
  createOpenAICompatible({ name: "semroute", baseURL: `${url}/v1`, apiKey, supportsStructuredOutputs: true, includeUsage: true })(name);
const openai = (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: RIGHT_KEY }).chat(MODEL);

const model = compatible(check.url);
const base = { model, maxRetries: 0 };
const Person = z.object({ name: z.string(), age: z.number().int() });

/** The tool, and the cities that it was asked for. */
function weather() {
  const cities = [];
  const execute = async ({ city }) => {
    cities.push(city);
    return `12 °C in ${city}`;
  };
  const inputSchema = z.object({ city: z.string() });
  return { cities, tools: { get_weather: tool({ description: "The weather", inputSchema, execute }) } };
}

/** The text of a streamed answer; its errors are thrown, not printed. */
async function streamed(options) {
  let problem;
  const result = streamText({ ...base, ...options, onError: ({ error }) => (problem = error) });
  let text = "";
  let nPieces = 0;
  for await (const piece of result.textStream) {
    text += piece;
    nPieces += 1;
  }
  if (problem) throw problem;
  return { text, nPieces, usage: await result.totalUsage, steps: await result.steps };
}

await check.run({
  chat: async () => {
    const answer = await generateText({ ...base, prompt: "hello there" });
    deepEqual([answer.text, answer.finishReason], ["heard: hello there", "stop"]);
    deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [20, 12]);
  },
  "chat by @ai-sdk/openai": async () => {
    const answer = await generateText({ ...base, model: openai(check.url), prompt: "hello there" });
    equal(answer.text, "heard: hello there");
  },
  stream: async () => {
    const answer = await streamed({ prompt: "hello there" });
    equal(answer.text, "heard: hello there");
    assert.ok(2 <= answer.nPieces, "it came in one piece");
    deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [20, 12]);
  },
  "stream by @ai-sdk/openai": async () => {
    equal((await streamed({ model: openai(check.url), prompt: "hello there" })).text, "heard: hello there");
  },
  reasoning: async () => {
    const answer = await generateText({ ...base, prompt: "think cats" });
    deepEqual([answer.reasoningText, answer.text], ["let me think about cats", "thought about cats"]);
  },
  tools: async () => {
    const { cities, tools } = weather();
    const answer = await generateText({ ...base, tools, stopWhen: stepCountIs(2), prompt: "tools please" });
    deepEqual([cities, answer.steps.length], [["Paris", "Oslo"], 2]);
    assert.match(answer.text, /^the tool said: .*12 °C in /);
  },
  "streamed tools": async () => {
    for (const over of [model, openai(check.url)]) {
      const { cities, tools } = weather();
      const answer = await streamed({ model: over, tools, stopWhen: stepCountIs(2), prompt: "tools please" });
      deepEqual([cities, answer.steps.length], [["Paris", "Oslo"], 2]);
      assert.match(answer.text, /^the tool said: .*12 °C in /);
    }
  },
  "structured output": async () => {
    const answer = await generateText({ ...base, output: Output.object({ schema: Person }), prompt: "who?" });
    deepEqual(answer.output, { name: "Ada", age: 36 });
    const streaming = streamText({ ...base, output: Output.object({ schema: Person }), prompt: "who?" });
    deepEqual(await streaming.output, { name: "Ada", age: 36 });
  },
  logprobs: async () => {
    check.notOver("anthropic", "gemini");
    const providerOptions = { openai: { logprobs: true } };
    const answer = await generateText({ ...base, model: openai(check.url), prompt: "hello there", providerOptions });
    equal(answer.providerMetadata.openai.logprobs.map((it) => it.token).join(""), "heard: hello there");
  },
  "images arrive byte for byte": async () => {
    const image = randomBytes(100_000);
    const content = [{ type: "text", text: "image" }, { type: "image", image, mediaType: "image/png" }];
    const answer = await generateText({ ...base, messages: [{ role: "user", content }] });
    equal(answer.text, createHash("sha256").update(image).digest("hex"));
  },
  errors: async () => {
    for (const [status, code, isRetryable] of [[400, 400, false], [429, 429, true], [503, [502, 503], true]]) {
      const error = await raised(APICallError, () => generateText({ ...base, prompt: `error ${status}` }));
      assert.ok([code].flat().includes(error.statusCode), `${error.statusCode} for ${status}`);
      equal(error.isRetryable, isRetryable);
      if (status === 429) equal(error.responseHeaders["retry-after"], "7");
      if (status === 400) assert.match(error.message, /not to be asked/);
    }
    equal((await raised(APICallError, () => streamed({ prompt: "error 429" }))).statusCode, 429);
  },
  "wrong key": async () => {
    const url = check.keyed();
    const wrong = compatible(url, WRONG_KEY);
    equal((await raised(APICallError, () => generateText({ ...base, model: wrong, prompt: "hi" }))).statusCode, 401);
    equal((await generateText({ ...base, model: compatible(url), prompt: "hi" })).text, "heard: hi");
  },
  "unknown model": async () => {
    const nobody = compatible(check.url, RIGHT_KEY, "nobody");
    equal((await raised(APICallError, () => generateText({ ...base, model: nobody, prompt: "hi" }))).statusCode, 404);
  },
  "cancel in mid stream reaches the upstream": async () => {
    const prompt = check.newSlow();
    const abort = new AbortController();
    const { textStream } = streamText({ ...base, prompt, abortSignal: abort.signal, onError: () => {} });
    let nPieces = 0;
    for await (const _ of textStream) if (++nPieces === 3) abort.abort();
    await check.upstreamSeesCancelled(prompt);
  },
  "in parallel": async () => {
    const texts = Array.from({ length: check.N_CALLERS }, (_, number) => `caller ${number} of many`);
    const answers = texts.map((prompt, number) =>
      number % 2 ? generateText({ ...base, prompt }) : streamed({ prompt }),
    );
    const heard = (await Promise.all(answers)).map((answer) => answer.text);
    deepEqual(heard, texts.map((text) => `heard: ${text}`));
  },
});
