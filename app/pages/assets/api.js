// Calls the API. Every address is relative to the page, so that both may stand under any path of any host.

const stored = "access token";
let held = null; // where the browser lets the page keep nothing

/** The access token of this tab, null if there is none. It is in no address and in no cookie. */
export const token = {
  get() {
    try { return sessionStorage.getItem(stored) ?? held; } catch { return held; }
  },
  set(value) {
    held = value;
    try { value === null ? sessionStorage.removeItem(stored) : sessionStorage.setItem(stored, value); } catch { /* held does */ }
  },
};

/** An answer that is an error (RFC 9457), or none at all: status is 0 then. */
export class Refusal extends Error {
  constructor(status, problem, header = () => null) {
    super(problem.error);
    this.status = status;
    this.detail = problem.detail ?? "";
    this.request = header("X-Request-Id");
    this.challenge = header("WWW-Authenticate") ?? "";
  }

  /** What to tell somebody, in a sentence or two. */
  get sentence() {
    const scope = /error="insufficient_scope".*scope="([^"]+)"/.exec(this.challenge)?.[1];
    if (scope) return `The access token lacks the scope “${scope}”.`;
    let text = sentence(this.detail || this.message);
    if (this.detail && this.status >= 500) text = `${sentence(this.message)} ${text}`;
    if (this.request && this.status >= 500) text += ` The request is ${this.request} in the log.`;
    return text;
  }
}

/** What a call ends with that the signal has stopped. */
export class Stopped extends Error {}

let ask = async () => false;

/** f(invalid) is called where a token is needed. It returns whether there is another now. */
export function onTokenNeeded(f) { ask = f; }

let asking = null;

/**
 * Makes a request and returns {data, header}. Throws a Refusal for any answer but a success, or where none came.
 *
 * @param options body: what is sent; headers: of the request; signal: an AbortSignal; progress: is told which share of the body has
 *   been sent, from 0 to 1.
 */
export async function call(method, path, options = {}) {
  for (;;) {
    const used = token.get();
    const answer = await send(method, path, used, options);
    if (answer.status >= 200 && answer.status < 300) {
      return { data: answer.responseText ? JSON.parse(answer.responseText) : null, header: (name) => answer.getResponseHeader(name) };
    }
    const refusal = new Refusal(answer.status, problem(answer), (name) => answer.getResponseHeader(name));
    if (refusal.status !== 401) throw refusal;
    if (token.get() !== used) continue; // somebody has entered one meanwhile
    asking ??= ask(used !== null).finally(() => { asking = null; });
    if (!await asking) throw refusal;
  }
}

// XMLHttpRequest rather than fetch, which does not tell how much has been sent.
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
    request.onerror = () => reject(new Refusal(0, { error: "The API did not answer", detail: "The API did not answer. Look at the connection and try again" }));
    request.send(body);
  });
}

function problem(answer) {
  try {
    const read = JSON.parse(answer.responseText);
    if (typeof read.error === "string") return read;
  } catch { /* something between here and the API has answered */ }
  return { error: `The answer was ${answer.status}` };
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
