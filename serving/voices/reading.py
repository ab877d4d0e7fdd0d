"""`python -m serving.voices.reading RATE SHORTEST LONGEST` reads one recording, in a process of its own:
decoders are old and large, what breaks one must not break the server, and its streams must not wait for it.

Its input is the file; its output a line of JSON with what was found, and then the samples: mono, float32,
little-endian. What it refuses it says in one sentence, with the exit code 3."""

import json
import resource
import sys
from dataclasses import asdict

import av

from serving.voices.checks import check
from serving.voices.unpack import UnreadableError, unpack

REFUSED = 3
"""The exit code of a refusal."""

CPU_SECONDS = 20
_MEMORY_BYTES = 256 << 20  # three times what the longest recording takes


def main() -> int:
    """Reads stdin; the arguments are the rate in hertz and how short and long a recording may be, in seconds.
    Returns the exit code."""
    rate, shortest, longest = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    for what, most in (
        (resource.RLIMIT_DATA, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (most, most))
    av.logging.set_level(None)
    try:
        unpacked = unpack(sys.stdin.buffer.read(), rate=rate, most_seconds=longest)
        findings = check(unpacked, least_seconds=shortest)
    except UnreadableError as error:
        sys.stdout.write(str(error))
        return REFUSED
    found = {"about": asdict(unpacked.about), "findings": [asdict(finding) for finding in findings]}
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
    sys.stdout.buffer.write(unpacked.samples.astype("<f4").tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
