// Calls the API. Every URL is relative to the page, so both work under any path of any host.

const stored = "access token";
let held = null; // if the browser lets the page store nothing

/** The access token of this tab; null if there is none. It is in no URL and in no cookie. */
export const token = {
  get() {
    try { return sessionStorage.getItem(stored) ?? held; } catch { return held; }
  },
  set(value) {
    held = value;
    try { value === null ? sessionStorage.removeItem(stored) : sessionStorage.setItem(stored, value); } catch { /* held has it */ }
  },
};

/** An error response (RFC 9457). Its status is 0 if there was no response. */
export class Refusal extends Error {
  constructor(status, problem, header = () => null) {
    super(problem.error);
    this.status = status;
    this.detail = problem.detail ?? "";
    this.request = header("X-Request-Id");
    this.challenge = header("WWW-Authenticate") ?? "";
  }

  /** The text for people, one or two sentences. */
  get sentence() {
    const scope = /error="insufficient_scope".*scope="([^"]+)"/.exec(this.challenge)?.[1];
    if (scope) return `The access token lacks the scope “${scope}”.`;
    let text = sentence(this.detail || this.message);
    if (this.detail && this.status >= 500) text = `${sentence(this.message)} ${text}`;
    if (this.request && this.status >= 500) text += ` The request is ${this.request} in the log.`;
    return text;
  }
}

/** The error of a call that was aborted. */
export class Stopped extends Error {}

let ask = async () => false;

/** Sets f(invalid), which asks for a token and returns whether there is another now. */
export function onTokenNeeded(f) { ask = f; }

let asking = null;

/**
 * Makes a request and returns {data, header}. Throws a Refusal unless the response is a success.
 *
 * @param options body; headers; signal: an AbortSignal; progress: gets the share of the body that has
 *   been sent, from 0 to 1.
 */
export async function call(method, path, options = {}) {
  for (;;) {
    const used = token.get();
    const response = await send(method, path, used, options);
    if (response.status >= 200 && response.status < 300) {
      return { data: response.responseText ? JSON.parse(response.responseText) : null, header: (name) => response.getResponseHeader(name) };
    }
    const refusal = new Refusal(response.status, problem(response), (name) => response.getResponseHeader(name));
    if (refusal.status !== 401) throw refusal;
    if (token.get() !== used) continue; // somebody has entered one meanwhile
    asking ??= ask(used !== null).finally(() => { asking = null; });
    if (!await asking) throw refusal;
  }
}

// XMLHttpRequest, because fetch does not report the progress of an upload.
function send(method, path, bearer, { body = null, headers = {}, signal, progress }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) { reject(new Stopped()); return; }
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("Accept", "application/json, application/problem+json");
    if (bearer !== null) request.setRequestHeader("Authorization", `Bearer ${bearer}`);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (progress) request.upload.onprogress = ({ lengthComputable, loaded, total }) => { if (lengthComputable) progress(loaded / total); };
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop);
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    request.onload = () => resolve(request);
    request.onabort = () => reject(new Stopped());
    request.onerror = () => reject(new Refusal(0, {
      error: "The API did not respond", detail: "The API did not respond. Check the connection and try again",
    }));
    request.send(body);
  });
}

function problem(response) {
  try {
    const read = JSON.parse(response.responseText);
    if (typeof read.error === "string") return read;
  } catch { /* the response is from a proxy */ }
  return { error: `The status was ${response.status}` };
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
