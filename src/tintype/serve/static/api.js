// Requests to the service that this page came from.

/** What the service said against a request: one sentence. */
export class Refusal extends Error {}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let asked = 0;

/** Tell those who cannot see it whether the service is at work. */
function busy(change) {
  asked += change;
  document.getElementById("stage").setAttribute("aria-busy", asked > 0);
}

/** Whether the browser can still read a file: a folder it never can, nor one that was changed since it was chosen. */
async function isReadable(blob) {
  try {
    await blob.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

async function once(path, options, blob) {
  busy(1);
  try {
    return await fetch(path, options);
  } catch {
    if (!blob || (await isReadable(blob))) throw new Refusal("Tintype cannot be reached: is it still running?");
    throw new Refusal("It cannot be read: it is a folder, or was changed or removed since it was chosen. Choose it again.");
  } finally {
    busy(-1);
  }
}

/** A response that is well; one that says "too many" is asked for again. Throws Refusal. `blob` is what is sent. */
async function ask(path, options = {}, blob = null) {
  for (let tries = 0; ; tries++) {
    const response = await once(path, options, blob);
    if (response.ok) return response;
    if (response.status === 429 && tries < 30) {
      await pause(1000 * Math.min(10, Number(response.headers.get("Retry-After")) || 1));
      continue;
    }
    const told = await response.json().catch(() => ({}));
    throw new Refusal(told.error || `The service answered ${response.status}.`);
  }
}

/** The models that there are. */
export async function models() {
  return (await ask("/v1/models")).json();
}

function body(blob, hints) {
  if (!hints || !hints.points.length) return blob;
  const form = new FormData();
  form.append("picture", blob, "picture");
  form.append("hints", JSON.stringify(hints));
  return form;
}

/** POST a picture to a path with settings; the response. */
export function post(path, blob, settings = {}, hints = null) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  return ask(`${path}?${query}`, { method: "POST", body: body(blob, hints) }, blob);
}

/** Runs one call at a time; of those that come meanwhile only the newest is run. */
export class Newest {
  #running = false;
  #next = null;

  /** `call` is async. What it throws goes to `failed`. */
  constructor(failed) {
    this.failed = failed;
  }

  async run(call) {
    this.#next = call;
    if (this.#running) return;
    this.#running = true;
    while (this.#next) {
      const now = this.#next;
      this.#next = null;
      try {
        await now();
      } catch (error) {
        this.failed(error);
      }
    }
    this.#running = false;
  }

  /** Whether something newer waits, so that a result need not be shown. */
  get stale() {
    return this.#next !== null;
  }
}
