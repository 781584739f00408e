// The same for clients in JavaScript as check.py is for those in Python.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export const url = process.env.CLIENT_URL;
export const keyedUrl = process.env.CLIENT_KEYED_URL;
export const isDirect = process.env.CLIENT_DIRECT === "1";

export const MODEL = "assistant";
export const RIGHT_KEY = "right-key-of-testers";
export const WRONG_KEY = "wrong-key-of-nobody";
export const N_CALLERS = 64;
const NOTICE_MS = 10_000;

export class Skip extends Error {}

/** Makes each check and prints what came of it. */
export async function run(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok\t${name}`);
    } catch (problem) {
      if (problem instanceof Skip) {
        console.log(`skip\t${name}\t${problem.message}`);
        continue;
      }
      failed += 1;
      const place = /with_\w+\.mjs:\d+/.exec(problem?.stack ?? "")?.[0];
      const said = `${problem?.name}: ${problem?.message}`.replaceAll(/\s+/g, " ").slice(0, 600);
      console.log(`FAIL\t${name}\t${said} (${place})`);
    }
  }
  process.exit(failed ? 1 : 0);
}

export function throughOnly() {
  if (isDirect) throw new Skip("only of what stands between");
}

/** Skips what some formats of upstreams have no word for. */
export function notOver(...kinds) {
  const kind = process.env.CLIENT_UPSTREAM_KIND;
  if (kinds.includes(kind)) throw new Skip(`${kind} has no word for it`);
}

export function keyed() {
  if (!keyedUrl) throw new Skip("the binary takes no `teams`");
  return keyedUrl;
}

export function newSlow() {
  return `slow ${randomUUID()}`;
}

/** Waits until the upstream noticed that the reader of this prompt's answer went away. */
export async function upstreamSeesCancelled(prompt) {
  const until = Date.now() + NOTICE_MS;
  while (Date.now() < until) {
    const response = await fetch(`${process.env.CLIENT_UPSTREAM_URL}/_cancelled`);
    if ((await response.json()).includes(prompt)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`the upstream still answered ${NOTICE_MS} ms after its reader went away`);
}

/** The error of this kind that a call must end in. */
export async function raised(Kind, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof Kind, `${error?.name} instead of ${Kind.name}: ${error?.message}`);
    return error;
  }
  return assert.fail(`no ${Kind.name}`);
}
