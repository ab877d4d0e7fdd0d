"""The page's modules that touch no document, run by Node with a server made of answers."""

import json
import subprocess
from typing import Any

from playwright._impl._driver import compute_driver_executable

from tests.serving.conftest import ROOT

PAGE = ROOT / "serving/page"
NODE = compute_driver_executable()[0]  # the one that drives the browser: no other needs to be installed
# Each answer is the version that speaks, or a status; its sound has a sample for each character of the text.
SERVER = """
const storedKeys = new Map();
const storage = {
  getItem: (key) => storedKeys.get(key) ?? null,
  setItem: (key, value) => storedKeys.set(key, value),
  removeItem: (key) => storedKeys.delete(key),
};
const asked = [];
function server(versions, rates = [24000]) {
  const fetch = async (path, { headers, body, method, signal }) => {
    const at = asked.length;
    const version = versions[Math.min(at, versions.length - 1)];
    const fields = body && JSON.parse(body);
    const [pin, key] = ["x-tts-version", "authorization"].map((name) => headers.get(name));
    asked.push({ path, method, pin, key, ...fields });
    if (version === "down") throw new TypeError("fetch failed");
    if (typeof version === "number") {
      const error = { message: `status ${version}`, code: `code-${version}`, param: "input" };
      return Response.json({ error }, { status: version, headers: { "retry-after": "7" } });
    }
    const samples = new Int16Array(fields.input.length).fill(at + 1);
    const file = wavFile(samples, rates[Math.min(at, rates.length - 1)]);
    file.fill(255, 4, 8).fill(255, 40, 44); // a server that streams does not know the sizes
    const ids = { "x-tts-version": version, "x-tts-revision": `r-${version}`, "x-request-id": `q${at}` };
    const pieces = [file.slice(0, 30), file.slice(30, 49), file.slice(49)];
    const stream = new ReadableStream({
      pull(controller) {
        if (version === "broken" && pieces.length === 1) controller.error(new TypeError("network error"));
        else if (pieces.length) controller.enqueue(pieces.shift());
        else controller.close();
      },
    });
    return new Response(stream, { headers: { "content-type": "audio/wav", ...ids } });
  };
  return new Api({ fetch, kept: storage });
}
const wish = (text, more = {}) => ({ text, voice: null, speed: 1, seed: 3, phonemes: {}, ...more });
const how = (more = {}) => ({ version: null, most: 4096, signal: new AbortController().signal, ...more });
async function outcome(work) {
  try {
    return await work;
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
}
"""
IMPORTS = {
    "api": "Api, Refusal, Unreachable, secondsOf",
    "comparison": "isHidden, order, preferred, shown, tally",
    "examples": "exampleAfter, exampleFor",
    "failures": "Mistake, failureOf",
    "language": "bestOf",
    "loudness": "loudness, matched",
    "parts": "MOST_CHARACTERS, parts",
    "recording": "PEAKS_PER_SECOND, Recording",
    "served": "formatsFor, servedOf",
    "speech": "encoded, speak",
    "store": "tooMany",
    "take": "entryOf, fileName",
    "wav": "WavReader, wavFile",
}


def run(script: str) -> Any:
    """What the script gives to `give`."""
    imports = [
        f'import {{ {names} }} from "{(PAGE / f"{name}.js").as_uri()}";' for name, names in IMPORTS.items()
    ]
    program = "\n".join([*imports, SERVER, "const give = (x) => console.log(JSON.stringify(x));", script])
    command = [NODE, "--no-warnings", "--input-type=module"]
    done = subprocess.run(command, input=program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
