"""What is made of a recording that anybody may have sent, and what is refused of it."""

import contextlib
import os
import struct
import subprocess
import sys
import threading
import time
import zlib

import anyio
import numpy as np
import pytest

from serving.engines.base import Samples
from serving.errors import RequestError
from serving.voices import decoding
from serving.voices.checks import check
from serving.voices.decoding import Decoder, Recording, read_apart
from serving.voices.unpack import UnreadableError, _Gathered, container_of, unpack
from tests.serving.conftest import ROOT
from tests.serving.pitch import pitch_of
from tests.serving.recordings import RATE, encoded, noisy, stereo, voice


def findings(samples: Samples) -> list[str]:
    unpacked = unpack(encoded("wav", samples), rate=48_000, most_seconds=60)
    return [finding.code for finding in check(unpacked, least_seconds=3)]


def refused(content: bytes, *, most_seconds: float = 30) -> str:
    with pytest.raises(UnreadableError) as raised:
        check(unpack(content, rate=48_000, most_seconds=most_seconds), least_seconds=3)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "m4a", "alac"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_every_format_becomes_the_same_samples(kind: str, rate: int) -> None:
    unpacked = unpack(encoded(kind, rate=rate), rate=48_000, most_seconds=30)
    about = unpacked.about
    assert (about.container, about.sample_rate, about.channels) == (
        "m4a" if kind == "alac" else kind,
        rate,
        1,
    )
    assert about.seconds == pytest.approx(5, abs=0.15)
    assert unpacked.samples.size == pytest.approx(about.seconds * 48_000, abs=3000)
    assert unpacked.samples.dtype == np.float32
    assert pitch_of(unpacked.samples, 48_000) == pytest.approx(200, abs=1)
    power = float(np.sqrt((unpacked.samples**2).mean()))
    softer = 0.95 if kind == "mp3" else 1  # LAME's own headroom
    assert power == pytest.approx(softer * float(np.sqrt((voice() ** 2).mean())), rel=0.03)


def test_channels_become_their_mean() -> None:
    both = unpack(stereo(voice(), voice()), rate=RATE, most_seconds=30)
    assert both.about.channels == 2
    assert np.abs(both.samples - voice()).max() < 0.001
    left = unpack(stereo(voice(), np.zeros_like(voice())), rate=RATE, most_seconds=30)
    assert np.abs(left.samples - voice() / 2).max() < 0.001


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(("tag", "kind"), [(1, "u1"), (1, "<i2"), (1, "<i4"), (3, "<f4"), (3, "<f8")])
def test_every_number_of_channels_and_kind_of_samples(channels: int, tag: int, kind: str) -> None:
    """Three channels or more have no places that a plain wav could say."""
    full = 1.0 if tag == 3 else 2.0 ** (8 * np.dtype(kind).itemsize - 1) - 1
    one = voice(seconds=3.5) * full + (128 if kind == "u1" else 0)
    content = np.repeat(one[:, np.newaxis], channels, axis=1).astype(kind).tobytes()
    size = np.dtype(kind).itemsize
    form = struct.pack("<HHIIHH", tag, channels, RATE, RATE * channels * size, channels * size, 8 * size)
    head = b"RIFF" + struct.pack("<I", 36 + len(content)) + b"WAVEfmt " + struct.pack("<I", 16)
    unpacked = unpack(
        head + form + b"data" + struct.pack("<I", len(content)) + content, rate=RATE, most_seconds=30
    )
    assert unpacked.about.channels == channels
    assert np.abs(unpacked.samples - voice(seconds=3.5)).max() < 0.02


def test_samples_that_hardly_anybody_uses_are_refused() -> None:
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 8, 8, 64)
    head = b"RIFF" + struct.pack("<I", 36 + 8 * RATE) + b"WAVEfmt " + struct.pack("<I", 16)
    wav = head + form + b"data" + struct.pack("<I", 8 * RATE) + bytes(8 * RATE)
    assert "s64; save it with 16 bits each" in refused(wav)


def test_what_it_is_called_counts_for_nothing() -> None:
    assert container_of(encoded("flac")) == "flac"
    for other in (
        b"",
        b"\xff",
        b"RIFF",
        encoded("opus"),
        encoded("aac"),
        b"#EXTM3U\nfile:///etc/passwd",
        b"a" * 99,
    ):
        assert "wav, mp3, flac, m4a" in refused(other)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "m4a"])
def test_what_is_damaged_is_refused_or_read_as_far_as_it_goes(kind: str) -> None:
    whole = encoded(kind)
    for content in (whole[:40], whole[: len(whole) // 2], whole[:100] + os.urandom(5000)):
        with contextlib.suppress(UnreadableError):  # and nothing else is raised
            assert unpack(content, rate=48_000, most_seconds=30).samples.size


def test_other_codecs_in_a_wav_are_refused() -> None:
    content = bytearray(encoded("wav"))
    content[20:22] = struct.pack("<H", 2)  # Microsoft's ADPCM
    assert "adpcm_ms" in refused(bytes(content))
    content[20:22] = struct.pack("<H", 0x7777)  # nobody's
    assert "holds what is unknown here, and only PCM is read" in refused(bytes(content))


def test_how_long_it_is() -> None:
    assert "2.5 s, and at least 3 s" in refused(encoded("wav", voice(seconds=2.5)))
    assert "longer than 10 s" in refused(encoded("wav", voice(seconds=10.5)), most_seconds=10)
    padded = unpack(encoded("mp3", voice(seconds=10)), rate=48_000, most_seconds=10)
    check(padded, least_seconds=3)
    assert padded.samples.size == 480_000, "what the encoder has added is cut"
    assert padded.about.seconds == 10


def test_silence_is_refused() -> None:
    assert "silent: its loud parts are at -120 dBFS" in refused(
        encoded("wav", np.zeros(5 * RATE, np.float32))
    )
    assert "silent" in refused(encoded("wav", voice(level=0.004)))
    short = np.concatenate([voice(seconds=1), np.zeros(4 * RATE, np.float32)])
    assert "of sound, and the rest are pauses" in refused(encoded("wav", short))


def test_values_that_are_no_samples_are_refused() -> None:
    samples = voice().astype("<f4")
    samples[1000] = np.nan
    form = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    head = b"RIFF" + struct.pack("<I", 36 + samples.nbytes) + b"WAVEfmt " + struct.pack("<I", 16)
    wav = head + form + b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    assert "no samples" in refused(wav)


def test_a_good_recording_has_no_findings() -> None:
    assert findings(voice()) == []
    assert findings(noisy(voice(), 30)) == []
    assert findings(voice(level=0.95)) == []


def test_noise_is_found() -> None:
    assert findings(noisy(voice(), 12)) == ["noisy"]


def test_clipping_is_found() -> None:
    assert findings(np.clip(voice() * 6, -1, 1)) == ["clipped"]
    through_mp3 = unpack(encoded("mp3", np.clip(voice() * 6, -1, 1)), rate=48_000, most_seconds=30)
    assert through_mp3.about.clipped == 0, "said in docs/voices.md: a lossy format rounds the edges off"


@pytest.mark.parametrize(
    ("other", "found"), [(200, []), (210, []), (300, ["several_speakers"]), (120, ["several_speakers"])]
)
def test_speakers_who_take_turns_at_two_pitches_are_found(other: float, found: list[str]) -> None:
    turns = [voice(200, 2.1), voice(other, 2.1), voice(200, 2.1)]
    assert findings(np.concatenate(turns)) == found


def test_what_the_check_of_speakers_cannot_see() -> None:
    """Said in docs/voices.md: two people at once, and two of one pitch."""
    at_once = voice(200) / 2 + voice(120) / 2
    assert "several_speakers" not in findings(at_once)


def test_one_speaker_who_is_lively_is_one() -> None:
    phrases = [voice(pitch, 0.7) for pitch in (180, 190, 200, 215, 225, 240, 200, 185)]
    assert findings(np.concatenate(phrases)) == []


def test_a_bomb_is_decoded_no_further_than_it_may_be_long() -> None:
    bomb = encoded("flac", np.zeros(300 * 16_000, np.float32), 16_000)
    assert len(bomb) < 1 << 17, "and it would become 19 MB"
    decoded: list[int] = []
    add = _Gathered.add

    def counted(gathered: _Gathered, planes: Samples, given: int) -> None:
        decoded.append(planes.shape[1])
        add(gathered, planes, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Gathered, "add", counted)
        assert "longer than 30 s" in refused(bomb)
    assert sum(decoded) < 31 * 16_000


def zeros_packed(mebibytes: int) -> bytes:
    """What zlib makes of so many zeros: the same block again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(b"\0" * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    check_sum = ((mebibytes << 20) % 65521 << 16) | 1
    return b"\x78\xda" + block * mebibytes + packer.flush() + struct.pack(">I", check_sum)


def with_packed_index(mebibytes: int) -> bytes:
    """An m4a whose index is packed (`cmov`): who reads it, unpacks it into memory."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + name + content

    packed = struct.pack(">I", mebibytes << 20) + zeros_packed(mebibytes)
    inner = box(b"dcom", b"zlib") + box(b"cmvd", packed)
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", box(b"cmov", inner))


def test_a_packed_index_takes_no_memory_of_the_server() -> None:
    assert len(zlib.decompress(zeros_packed(3))) == 3 << 20
    bomb = with_packed_index(900)
    assert len(bomb) < 1 << 20
    program = (
        "import resource, sys\n"
        "from serving.voices.decoding import UnreadableError, read_apart\n"
        "try:\n"
        "    read_apart(sys.stdin.buffer.read(), rate=48_000, seconds=(3, 30))\n"
        "except UnreadableError:\n"
        "    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=bomb, capture_output=True, check=True
    )
    assert int(done.stdout) < 300 << 10, "KiB; it would take 970 MiB"


def test_read_apart_it_is_the_same() -> None:
    apart = read_apart(encoded("wav", noisy(voice(), 12)), rate=48_000, seconds=(3, 30))
    here = unpack(encoded("wav", noisy(voice(), 12)), rate=48_000, most_seconds=30)
    assert apart.about == here.about
    assert np.array_equal(apart.samples, here.samples)
    assert [finding.code for finding in apart.findings] == ["noisy"]
    with pytest.raises(UnreadableError, match=r"2\.0 s, and at least 3 s"):
        read_apart(encoded("wav", voice(seconds=2)), rate=48_000, seconds=(3, 30))


def test_a_decoder_that_breaks_or_hangs_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.sys, "executable", "/bin/false")
    with pytest.raises(UnreadableError, match="save it as a plain wav"):
        read_apart(encoded("wav"), rate=48_000, seconds=(3, 30))
    monkeypatch.undo()
    monkeypatch.setattr(decoding, "_SECONDS", 0.01)
    with pytest.raises(UnreadableError, match="save it as a plain wav"):
        read_apart(encoded("wav"), rate=48_000, seconds=(3, 30))


def test_a_few_are_read_at_once_a_few_wait_and_the_rest_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    going, most, free = [0], [0], threading.Event()
    recording = Recording(
        samples=voice(), about=unpack(encoded("wav"), rate=RATE, most_seconds=9).about, findings=()
    )

    def slow(*_: object, **__: object) -> Recording:
        going[0] += 1
        most[0] = max(most[0], going[0])
        free.wait(10)
        time.sleep(0.05)
        going[0] -= 1
        return recording

    monkeypatch.setattr(decoding, "read_apart", slow)

    async def ask(number: int) -> int:
        decoder, codes = Decoder(), []

        async def one() -> None:
            try:
                await decoder.read(b"", rate=RATE, seconds=(3, 30))
                codes.append((201, ""))
            except RequestError as error:
                codes.append((error.status, error.headers["retry-after"]))
                free.set()

        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(one)
        return codes.count((429, "2"))

    assert anyio.run(ask, 13) == 3
    assert most == [2]
    assert anyio.run(ask, 10) == 0


def test_what_reads_a_recording_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def run(*_: object, env: dict[str, str], **__: object) -> None:
        seen.update(env)
        raise decoding.subprocess.TimeoutExpired("", 0)

    monkeypatch.setenv("TTS_STORE_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setattr(decoding.subprocess, "run", run)
    with pytest.raises(UnreadableError, match="time and the memory"):
        read_apart(encoded("wav"), rate=48_000, seconds=(3, 30))
    assert "PATH" in seen
    assert "hidden" not in str(seen)
