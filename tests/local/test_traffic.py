"""Requests are counted as dropped when they were not answered whole, and only then."""

import signal
import subprocess
import sys
import time

import pytest

from local import traffic, wav
from local.errors import LocalError
from local.traffic import Answer, Report, Traffic, upper_bound
from tests.local.speech_server import TONE, SpeechServer, wav_bytes


def send(server, number: int, **options) -> Report:
    prober = Traffic(server.url, rate=options.pop("rate", 200), max_requests=number, **options)
    prober.start()
    prober.wait(10)
    return prober.stop()


def test_whole_answers_are_not_dropped():
    with SpeechServer() as server:
        report = send(server, 20)
    assert report.reasons == []
    assert (report.sent, report.dropped, len(server.requests)) == (20, 0, 20)
    assert {answer.version for answer in report.answers} == {"1.0.0"}
    assert all(answer.first_audio is not None and 0 < answer.first_audio < 5 for answer in report.answers)
    assert "x-tts-probe" not in server.requests[0]
    assert report.sentence() == "dropped 0 of 20 (at most 14 % with 95 % confidence)"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("status", r'status 503: {"error": "busy"}'),
        ("cut", "RemoteProtocolError"),
        ("empty", "The sound has 0 bytes"),
        ("noise", "begin with no WAV header"),
        ("never", "no whole answer within 1 s"),
    ],
)
def test_each_way_to_fail_counts_as_dropped(how, reason):
    with SpeechServer(lambda number: how if number % 5 == 0 else "whole") as server:
        report = send(server, 15, timeout=1 if how == "never" else 20, rate=50)
    assert (report.sent, report.dropped) == (15, 3)
    assert len(report.reasons) == 3
    assert all(reason in line for line in report.reasons)
    assert report.sentence().startswith("dropped 3 of 15 (at most ")


def test_a_server_that_wants_a_key_is_shown_the_one_of_the_environment(monkeypatch, capsys):
    with SpeechServer(lambda _: "locked") as server:
        assert traffic.main(["--url", server.url, "--rate", "50", "--seconds", "0.1"]) == 1
    assert "put one into TTS_API_KEY" in capsys.readouterr().out
    monkeypatch.setenv("TTS_API_KEY", "tts-mine")
    with SpeechServer() as server:
        assert traffic.main(["--url", server.url, "--rate", "50", "--seconds", "0.1"]) == 0
    assert {request["authorization"] for request in server.requests} == {"Bearer tts-mine"}


def test_an_absent_server_drops_everything():
    with SpeechServer() as server:
        pass
    report = send(server, 7)
    assert (report.sent, report.dropped, len(report.reasons)) == (7, 7, traffic.KEPT_REASONS)
    assert "ConnectError" in report.reasons[0]
    assert report.first_audio() == "No sound was heard."


def test_requests_are_due_even_when_none_is_answered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(traffic, "MAX_UNANSWERED", 5)
    with SpeechServer(lambda _: "never") as server:
        report = send(server, 12, rate=100, timeout=1)
    assert (report.sent, report.dropped, len(server.requests)) == (12, 12, 5)
    assert all(answer.dropped == "5 earlier requests are still unanswered" for answer in report.answers[5:])


def test_stop_ends_early_with_what_was_answered():
    with SpeechServer() as server:
        prober = Traffic(server.url, rate=100, headers={"x-tts-version": "1.0.0"})
        prober.start()
        while len(server.requests) < 3:
            prober.wait(0.01)
        report = prober.stop()
    assert 3 <= report.sent == len(server.requests) < 1000
    assert server.requests[0]["x-tts-version"] == "1.0.0"


def test_sigint_ends_it_also_where_a_background_shell_had_it_ignored():
    with SpeechServer() as server:
        ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
        command = [
            sys.executable,
            "-m",
            "local.traffic",
            "--url",
            server.url,
            "--rate",
            "50",
            "--seconds",
            "60",
        ]
        process = subprocess.Popen([*ignoring, *command], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + 30
        while len(server.requests) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.startswith("stopping\n")
    assert "dropped 0 of" in said


def test_the_timeline_shows_versions_in_the_order_of_time():
    versions = [(0.0, "1"), (1.0, "1"), (2.1, "1"), (2.2, "2"), (4.0, "2"), (9.0, "")]
    report = Report(tuple(Answer(at, version, 0.01, None) for at, version in versions))
    assert [line.split(maxsplit=4)[-1] for line in report.timeline()] == [
        "1 x 2",
        "1 x 1, 2 x 1",
        "2 x 1",
        "no version x 1",
    ]
    assert report.timeline()[0].startswith("    0 -   2 s")
    assert report.first_audio() == "First sound after 10 ms (median), 10 ms at most."


@pytest.mark.parametrize(
    ("dropped", "sent", "bound"),
    [
        (0, 1, 0.95),
        (0, 100, 0.029513),
        (0, 1000, 0.0029912),
        (1, 20, 0.216106),
        (3, 15, 0.439782),
        (5, 5, 1.0),
    ],
)
def test_the_bound_is_clopper_pearsons(dropped, sent, bound):
    assert upper_bound(dropped=dropped, sent=sent) == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize(("dropped", "sent"), [(0, 0), (2, 1), (-1, 5)])
def test_the_bound_of_no_count_is_refused(dropped, sent):
    with pytest.raises(ValueError, match="is no count"):
        upper_bound(dropped=dropped, sent=sent)


def test_nothing_sent_says_nothing():
    assert Report(()).sentence() == "No request was sent, so nothing can be said about dropped ones."


@pytest.mark.parametrize("url", ["127.0.0.1:6006", "ftp://x", "http://"])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(LocalError, match="not of the form"):
        Traffic(url)


@pytest.mark.parametrize("rate", [0, -1, 1001, float("nan")])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(LocalError, match="requests a second"):
        Traffic("http://127.0.0.1", rate=rate)


def test_the_command_reports_and_its_status_tells(capsys):
    with SpeechServer() as server:
        assert traffic.main(["--url", server.url, "--rate", "50", "--seconds", "0.1", "--header", "a=b"]) == 0
        assert server.requests[0]["a"] == "b"
        assert "dropped 0 of 5" in capsys.readouterr().out
        server.behave = lambda _: "status"
        assert traffic.main(["--url", server.url, "--rate", "50", "--seconds", "0.1"]) == 1
        assert "dropped 5 of 5" in capsys.readouterr().out
    assert traffic.main(["--url", "nowhere"]) == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], traffic.TEXT),
        (["--text", "Say this."], "Say this."),
        (["--text-characters", "12"], "One word fol"),
        (["--text-characters", "4096"], (traffic.TEXT + " ") * 100),
    ],
)
def test_the_text_can_be_chosen_or_only_its_length(words, text, capsys):
    with SpeechServer() as server:
        assert traffic.main(["--url", server.url, "--rate", "50", "--seconds", "0.05", *words]) == 0
    assert server.texts == [text[:4096]] * 3
    if len(text) > 4096:
        assert len(server.texts[0]) == 4096


@pytest.mark.parametrize("words", [["--text", " "], ["--text-characters", "0"], ["--text-characters", "-5"]])
def test_an_empty_text_is_refused(words, capsys):
    assert traffic.main(["--url", "http://127.0.0.1:1", *words]) == 1
    assert "The text is empty" in capsys.readouterr().err


def test_decodes_streamed_and_sized_sound():
    for size in (0xFFFFFFFF, len(TONE)):
        sound = wav.decode(wav_bytes(TONE, size=size))
        assert (sound.sample_rate, sound.seconds) == (24000, 0.1)
        assert sound.level == pytest.approx(-12.04, abs=0.01)
    assert wav.decode(wav_bytes(b"\0\0")).level == float("-inf")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda make: b"", "0 bytes begin with no WAV header"),
        (lambda make: make(b"")[:30], "declares 16 bytes and has 10"),
        (lambda make: make(b"")[:36], "ends before its sound"),
        (lambda make: make(b"abc"), "no whole number"),
        (lambda make: make(b"ab", size=4), "declares 4 bytes and has 2"),
        (lambda make: make(b"ab", bits=8), "8 bits"),
        (lambda make: make(b"ab", channels=2), "2 channels"),
        (lambda make: make(b"ab", rate=0), "0 Hz"),
        (lambda make: b"RIFFxxxxWAVEdata\2\0\0\0ab", "before its format"),
    ],
)
def test_sound_that_is_not_whole_is_refused(change, reason):
    with pytest.raises(wav.WavError, match=reason):
        wav.decode(change(wav_bytes))


def test_a_fault_of_the_prober_itself_is_not_taken_for_success(monkeypatch):
    monkeypatch.setattr(traffic.wav, "decode", lambda _: 1 / 0)
    with SpeechServer() as server:
        prober = Traffic(server.url, rate=100, max_requests=3)
        prober.start()
        prober.wait(10)
        with pytest.raises(ExceptionGroup):
            prober.stop()
