// Requests to the server. All addresses are relative to the page, which lies below the token.
import { tell } from "./state.js";

/** The server answered, and said no; `message` may be shown as it is. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the server answered with status ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** No answer: it may come when asked again. */
export class Unreachable extends Error {}

async function ask(address, options) {
  let answer;
  let body = {};
  try {
    answer = await fetch(address, { cache: "no-store", ...options });
    if (answer.status === 204) return null;
    if (answer.headers.get("Content-Type")?.includes("json")) body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the server does not answer");
  }
  if (body.notice?.length) tell("notices", body.notice);
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

export function get(name, query = {}, signal = undefined) {
  const written = new URLSearchParams(query).toString();
  return ask(`api/${name}${written && `?${written}`}`, { signal });
}

export function post(name, body) {
  const headers = { "Content-Type": "application/json", "X-Weakseg": "1" };
  return ask(`api/${name}`, { method: "POST", headers, body: JSON.stringify(body) });
}

export const imageAddress = (id, side) => `api/image?${new URLSearchParams({ id, side })}`;

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
