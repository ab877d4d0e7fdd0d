// The server's API, as far as this page speaks it. Every failure is one of the errors below.

const KEPT_KEY = "tts.key";

/** The server answered, and refused. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message @param {{code?: string, param?: string, wait?: number}} [more] */
  constructor(status, message, { code, param, wait } = {}) {
    super(message);
    this.status = status;
    this.code = code ?? null;
    this.param = param ?? null;
    /** Seconds after which the server wants to be asked again; null where it did not say. */
    this.wait = wait ?? null;
  }
}

/** No answer came, or it broke off. */
export class Unreachable extends Error {}

/** @typedef {{version?: string | null, signal?: AbortSignal}} Asking which version to ask, and how to give up */

export class Api {
  #fetch;
  #kept;

  /** @param {{fetch: typeof window.fetch, kept: Pick<Storage, "getItem" | "setItem" | "removeItem">}} parts */
  constructor({ fetch, kept }) {
    this.#fetch = fetch;
    this.#kept = kept;
  }

  /** The API key, or "" where there is none. It is kept as long as the browser's tab. */
  get key() {
    return this.#kept.getItem(KEPT_KEY) ?? "";
  }

  set key(key) {
    if (key) this.#kept.setItem(KEPT_KEY, key);
    else this.#kept.removeItem(KEPT_KEY);
  }

  /**
   * @param {string} path
   * @param {Asking} [asking]
   * @returns {Promise<any>} the JSON answer, or null where this server has no such thing
   */
  async get(path, asking) {
    try {
      return await (await this.#ask(path, asking)).json();
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return null;
      if (error instanceof SyntaxError) return null; // something else than this server answered
      throw error;
    }
  }

  /** @param {object} body @param {Asking} [asking] @returns {Promise<Response>} */
  speech(body, asking) {
    return this.#post("v1/audio/speech", body, asking);
  }

  /**
   * @param {string} request its id
   * @param {{rating: "up" | "down", comment?: string}} rating
   * @param {Asking} [asking]
   */
  async rate(request, rating, asking) {
    await this.#post(`v1/audio/speech/${encodeURIComponent(request)}/rating`, rating, asking);
  }

  /** @param {string} request its id: what the server keeps of it is deleted @param {Asking} [asking] */
  async forget(request, asking) {
    await this.#ask(`v1/audio/speech/${encodeURIComponent(request)}`, asking, { method: "DELETE" });
  }

  /** @param {FormData} form name, audio, consent, transcript @returns {Promise<any>} the voice that was added */
  async addVoice(form) {
    return (await this.#ask("v1/voices", {}, { method: "POST", body: form })).json();
  }

  /** @param {string} id of an own voice */
  async deleteVoice(id) {
    await this.#ask(`v1/voices/${encodeURIComponent(id)}`, {}, { method: "DELETE" });
  }

  /** @param {string} path @param {object} body @param {Asking} [asking] */
  #post(path, body, asking) {
    const headers = { "content-type": "application/json" };
    return this.#ask(path, asking, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** @param {string} path @param {Asking} [asking] @param {RequestInit} [init] */
  async #ask(path, { version, signal } = {}, init = {}) {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("authorization", `Bearer ${this.key}`);
    if (version) headers.set("x-tts-version", version);
    let answer;
    try {
      answer = await this.#fetch(path, { ...init, headers, signal });
    } catch (error) {
      throw signal?.aborted ? error : new Unreachable("no answer came");
    }
    if (!answer.ok) throw await refusalOf(answer);
    return answer;
  }
}

/** @param {Response} answer */
async function refusalOf(answer) {
  const wait = secondsOf(answer.headers.get("retry-after"));
  const said = await answer.json().catch(() => null);
  const { message, code, param } = said?.error ?? {};
  return new Refusal(answer.status, typeof message === "string" ? message : "", { code, param, wait });
}

/**
 * @param {string | null} header a Retry-After: seconds, or a date
 * @param {number} [now] milliseconds since 1970
 */
export function secondsOf(header, now = Date.now()) {
  if (!header) return undefined;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : Math.ceil((Date.parse(header) - now) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
