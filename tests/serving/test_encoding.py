"""Every format decoded again, and compared with what was encoded."""

import io
import resource
import time

import av
import numpy as np
import pytest

from serving.encoding import FORMATS, wav_header

RATE = 24_000
# What a decoder gives before the first sample and after the last one, in samples of the format's rate:
# silence that mp3 and aac begin with and cannot mark, and the rest of the last frame.
SURPLUS = {
    "wav": (0, 0),
    "pcm": (0, 0),
    "flac": (0, 0),
    "opus": (0, 0),
    "mp3": (1105, 576),
    "aac": (1024, 1024),
}
FRAME = {"mp3": 576, "aac": 1024, "opus": 480, "flac": 2304, "wav": 1, "pcm": 1}
CODED = ["mp3", "opus", "aac", "flac"]


def speech(rate: int = RATE, seconds: float = 3.0) -> np.ndarray:
    """Voiced sound of changing pitch with pauses: what a codec meets in speech, the same at every run."""
    at = np.arange(int(seconds * rate)) / rate
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(order * phase) / order for order in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 1.7 * at) + 0.3, 0, 1)
    noise = 0.02 * np.random.default_rng(1).standard_normal(at.size)
    return (0.15 * envelope * (voice + noise)).astype(np.float32)


def encode(name: str, samples: np.ndarray, rate: int = RATE, step: int = 5000) -> list[bytes]:
    encoder = FORMATS[name].open(rate)
    try:
        parts = [encoder.feed(samples[at : at + step]) for at in range(0, samples.size, step)]
        return [*parts, encoder.finish()]
    finally:
        encoder.close()


def decode(name: str, data: bytes, rate: int = RATE) -> np.ndarray:
    if name == "pcm":
        data = wav_header(rate) + data
    resampler = av.AudioResampler("flt", "mono", rate)
    with av.open(io.BytesIO(data)) as container:
        frames = [*container.decode(audio=0), None]
        return np.concatenate(
            [part.to_ndarray().reshape(-1) for frame in frames for part in resampler.resample(frame)]
        )


def delay(given: np.ndarray, decoded: np.ndarray) -> int:
    """By how many samples `decoded` is later."""
    size = 1 << (given.size + decoded.size).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(given, size)))
    at = int(likeness.argmax())
    return at - size if at > size // 2 else at


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_decoded_is_what_was_encoded(name: str, rate: int) -> None:
    given = speech(rate)
    decoded = decode(name, b"".join(encode(name, given, rate)), rate)
    before, after = SURPLUS[name]
    later = delay(given, decoded)
    assert later == pytest.approx(before, abs=2)
    assert before <= len(decoded) - len(given) <= before + after + 2
    heard = decoded[max(later, 0) :][: len(given)]
    whole = given[max(-later, 0) :][: len(heard)]
    assert np.corrcoef(whole, heard)[0, 1] > (0.9999 if name in ("wav", "pcm", "flac") else 0.99)
    level = 20 * np.log10(np.sqrt((heard**2).mean() / (whole**2).mean()))
    assert abs(level) < (0.5 if name == "mp3" else 0.3)  # LAME takes 0.45 dB away, so that nothing clips


@pytest.mark.parametrize("name", FORMATS)
def test_same_samples_same_bytes(name: str) -> None:
    given = speech()
    assert encode(name, given) == encode(name, given)
    assert b"".join(encode(name, given, step=777)) == b"".join(encode(name, given, step=20_000))


@pytest.mark.parametrize("name", FORMATS)
def test_no_audio_waits_for_the_end(name: str) -> None:
    """At any moment all but the last frames can be played already."""
    given = speech()
    encoder = FORMATS[name].open(RATE)
    received = b""
    for at in range(0, given.size, 2400):
        received += encoder.feed(given[at : at + 2400])
        held_back = 3 * FRAME[name] + SURPLUS[name][0]
        if at == 7200:
            assert len(decode(name, received)) >= at + 2400 - held_back
    encoder.close()


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_bytes_come_at_once(name: str) -> None:
    given = speech()[:RATE]
    times = []
    for _ in range(5):
        began = time.process_time()
        encoder = FORMATS[name].open(RATE)
        first = encoder.feed(given)
        times.append(time.process_time() - began)
        encoder.close()
        assert first
    # Of the processor's time, for a whole second of audio: 5 to 15 ms.
    assert min(times) < 0.1


@pytest.mark.parametrize("name", CODED)
def test_a_pause_and_a_tiny_chunk(name: str) -> None:
    encoder = FORMATS[name].open(RATE)
    parts = [encoder.feed(np.zeros(1, np.float32)), encoder.feed(np.zeros(100, np.float32)), encoder.finish()]
    encoder.close()
    assert 101 <= len(decode(name, b"".join(parts))) < 101 + 5000


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_too_loud_is_clipped_and_wraps_nowhere(name: str) -> None:
    loud = 3 * speech()
    decoded = decode(name, b"".join(encode(name, loud)))
    heard = decoded[max(delay(loud, decoded), 0) :][: len(loud)]
    assert np.corrcoef(np.clip(loud, -1, 1)[: len(heard)], heard)[0, 1] > 0.99


@pytest.mark.parametrize("name", FORMATS)
def test_an_encoder_is_closed_finished_or_not(name: str) -> None:
    for finished in (True, False, None):
        encoder = FORMATS[name].open(RATE)
        if finished is not None:
            encoder.feed(speech()[:3000])
        if finished:
            encoder.finish()
        encoder.close()
        encoder.close()


def test_closed_encoders_leave_nothing_behind() -> None:
    given = speech()[:12_000]

    def many(count: int) -> int:
        for _ in range(count):
            for name in CODED:
                encoder = FORMATS[name].open(RATE)
                encoder.feed(given)
                encoder.close()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = many(20)
    assert many(60) - before < 8 * 1024  # KiB; an mp3 encoder alone is 0.3 MiB


def test_what_each_format_weighs() -> None:
    sizes = {name: len(b"".join(encode(name, speech()))) / 3 for name in FORMATS}
    assert sizes["wav"] > sizes["flac"] > sizes["mp3"] > sizes["opus"]
    assert sizes["mp3"] == pytest.approx(16_000, rel=0.05)
