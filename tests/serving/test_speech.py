"""Speech over real HTTP with the real engine."""

import struct
import threading
import time

import numpy as np
import pytest
import requests

from tests.serving.conftest import SPEECH, Running, Start, inference, poll

SENTENCE = "The harbour was quiet before the first ferry left."


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32768


def metric(server: Running, name: str) -> float:
    lines = requests.get(f"{server.url}/metrics", timeout=5).text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name)))


def test_wav_is_24_khz_and_sounds_like_speech(server: Running) -> None:
    answer = server.speak(SENTENCE, response_format="wav")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    riff, size, wave, _, _, kind, channels, rate, _, _, bits, data, length = struct.unpack(
        "<4sI4s4sIHHIIHH4sI", answer.content[:44]
    )
    assert (riff, wave, data) == (b"RIFF", b"WAVE", b"data")
    assert (kind, channels, rate, bits) == (1, 1, 24000, 16)
    assert size == length == 0xFFFFFFFF
    audio = samples(answer.content[44:])
    assert 10 < len(SENTENCE) / (len(audio) / 24000) < 20
    assert -35 < 20 * np.log10(np.sqrt((audio**2).mean())) < -15


def test_pcm_is_the_wav_without_its_header(server: Running) -> None:
    pcm = server.speak(SENTENCE)
    assert pcm.headers["content-type"] == "audio/pcm"
    assert server.speak(SENTENCE, response_format="wav").content[44:] == pcm.content


def test_without_a_format_it_is_wav(server: Running) -> None:
    assert server.speak("Hello.", response_format=None).content[:4] == b"RIFF"


def test_same_seed_same_bytes(server: Running) -> None:
    assert server.speak(SENTENCE, seed=1).content == server.speak(SENTENCE, seed=1).content
    assert server.speak(SENTENCE, seed=1).content != server.speak(SENTENCE, seed=2).content


@pytest.mark.parametrize("model", ["tts", "hibari", "tts-1"])
def test_names_of_the_model(server: Running, model: str) -> None:
    assert server.speak("Hello.", model=model, voice={"id": "heart"}).status_code == 200


def test_speed_changes_the_length(server: Running) -> None:
    lengths = [len(server.speak(SENTENCE, speed=speed).content) for speed in (0.5, 1.0, 2.0)]
    assert lengths[0] > 1.4 * lengths[1] > 1.4 * 1.4 * lengths[2]


def test_sentences_come_in_order_as_soon_as_each_is_there(server: Running) -> None:
    parts = ["One short sentence.", "Here is another one.", "And this is the last."]
    text = " ".join(parts * 12)
    began = time.monotonic()
    body = {"model": "tts", "input": text, "response_format": "pcm", "seed": 7}
    with requests.post(f"{server.url}{SPEECH}", json=body, stream=True, timeout=60) as answer:
        chunks = answer.iter_content(None)
        received = next(chunks)
        first = time.monotonic() - began
        received += b"".join(chunks)
    total = time.monotonic() - began
    assert first < total / 3
    # One random stream runs through the whole request, so the first sentence is the same when alone.
    alone = server.speak(parts[0]).content
    assert received.startswith(alone)
    assert received == server.speak(text).content


def test_two_versions_sound_alike_and_differ(server: Running, start: Start, float_model_dir) -> None:
    other = start(float_model_dir, inference("1.1.0"))
    other.wait_ready()
    old, new = server.speak(SENTENCE), other.speak(SENTENCE)
    assert new.headers["x-tts-version"] == "1.1.0"
    assert len(old.content) == len(new.content)
    assert old.content != new.content
    spectra = [np.abs(np.fft.rfft(samples(a.content)[:48000].reshape(-1, 480))).ravel() for a in (old, new)]
    assert np.corrcoef(*spectra)[0, 1] > 0.8


def test_headers_and_version(server: Running) -> None:
    for path in ("/version", "/livez", "/nothing", "/metrics", "/"):
        headers = requests.get(server.url + path, timeout=5).headers
        assert headers["x-tts-version"] == "1.0.0"
        assert headers["x-tts-revision"] == "hibari-1-0-0-abcdef"
    assert requests.get(f"{server.url}/version", timeout=5).json() == {
        "model": "hibari",
        "version": "1.0.0",
        "revision": "hibari-1-0-0-abcdef",
        "engine": "hibari",
        "sampleRate": 24000,
    }


def test_metrics_count_requests_audio_and_errors(server: Running) -> None:
    names = ('tts_requests_total{code="200"', "tts_audio_seconds_total", "tts_first_audio_seconds_count")
    before = [metric(server, name) for name in names]
    seconds = len(server.speak(SENTENCE).content) / 48000
    server.speak("")
    after = [metric(server, name) for name in names]
    assert np.allclose(np.subtract(after, before), [1, seconds, 1])
    assert metric(server, 'tts_requests_total{code="400"') >= 1


def test_a_client_that_goes_away_ends_its_synthesis(server: Running) -> None:
    text = "This sentence is spoken again and again until somebody hangs up. " * 60
    whole = 60 * 4.0  # seconds of audio, about
    gone = sum_of_gone(server)
    audio = metric(server, "tts_audio_seconds_total")
    body = {"model": "tts", "input": text, "response_format": "pcm"}
    with requests.post(f"{server.url}{SPEECH}", json=body, stream=True, timeout=60) as answer:
        next(answer.iter_content(1000))
    poll(lambda: metric(server, "tts_in_flight") == 0, 10)
    assert sum_of_gone(server) == gone + 1
    assert metric(server, "tts_audio_seconds_total") - audio < whole / 2


def sum_of_gone(server: Running) -> float:
    try:
        return metric(server, 'tts_requests_total{code="499"')
    except StopIteration:
        return 0


def test_more_requests_than_slots_all_get_whole_answers(server: Running) -> None:
    whole = server.speak(SENTENCE * 3).content
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.speak(SENTENCE * 3).content)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [whole] * 8
