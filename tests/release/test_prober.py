"""The prober asks for what the plan says, and an answer that did not come is one with its error."""

import json
import threading
import time

import pytest

from release import plan as plans
from release.cluster import Pod, Probe
from release.probe import MOST_UNDER_WAY, HttpProber

from .plans import V1, V2, plan_document, spoken
from .servers import Quiet, serve, voice


def plan_at(port, *, host="*", **gate):
    document = plan_document(V2, gate=gate)
    document["target"]["containerPort"] = port
    document["gateway"] = {"address": f"http://127.0.0.1:{port}", "host": host}
    return plans.parse(json.dumps(document))


@pytest.fixture
def prober():
    made = []

    def make(port, **settings):
        made.append(HttpProber(plan_at(port, **settings)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def awaited(prober, count):
    found, deadline = [], time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += prober.answers()
        time.sleep(0.01)
    return found


def test_it_asks_for_what_the_plan_says(prober):
    asked = []
    with serve(voice(lambda headers: V2, asked)) as port:
        ask = prober(port, host="tts.example.org")
        answers = [
            ask.pod_version(Pod("p", "127.0.0.1", True)),
            ask.pod_speech(Pod("p", "127.0.0.1", True), "Hi"),
            ask.route(Probe()),
            ask.route(Probe(text="Hi")),
            ask.route(Probe(text="Hi", revision=V1)),
        ]
    assert [answer.status for answer in answers] == [200] * 5
    assert [path for path, _, _ in asked] == ["/version", "/v1/audio/speech"] * 2 + ["/v1/audio/speech"]
    assert [headers["Host"] for _, headers, _ in asked[2:]] == ["tts.example.org"] * 3
    assert [headers.get("x-tts-revision") for _, headers, _ in asked] == [None] * 4 + [V1]
    assert json.loads(asked[1][2])["input"] == "Hi"
    assert json.loads(asked[1][2]) == json.loads(asked[3][2])
    assert all(answer.headers["x-tts-revision"] == V2 for answer in answers)
    assert [answer.first_audio is None for answer in answers] == [True, False] * 2 + [False]
    assert all(answer.first_audio <= answer.seconds for answer in answers if answer.first_audio is not None)


def test_a_pod_is_asked_to_keep_what_it_speaks_and_a_route_never(prober):
    asked = []
    with serve(voice(lambda headers: V2, asked)) as port:
        ask = prober(port)
        ask.pod_speech(Pod("p", "127.0.0.1", True), "Hi", keep=True)
        ask.pod_speech(Pod("p", "127.0.0.1", True), "Hi")
        ask.route(Probe(text="Hi"))
    assert [headers.get("x-tts-keep") for _, headers, _ in asked] == ["gate", None, None]
    assert all("x-tts-probe" in headers for _, headers, _ in asked)


def test_a_pods_own_port_goes_before_the_plans(prober):
    with serve(voice(lambda headers: V2)) as port:
        ask = prober(9)
        assert ask.pod_version(Pod("p", "127.0.0.1", True, port=port)).status == 200
        assert ask.pod_version(Pod("p", "127.0.0.1", True)).status == 0


def test_no_answer_is_an_answer_with_its_error(prober):
    answer = prober(9).route(Probe())
    assert answer.status == 0
    assert answer.error.startswith("GET http://127.0.0.1:9/version: ")


class Slow(Quiet):
    """Sends its audio in two parts, a moment apart."""

    first = threading.Event()
    pause = 0.3

    def do_POST(self):  # noqa: N802
        self.body()
        data = spoken("Good morning.", 0.1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:44])
        time.sleep(self.pause)
        self.wfile.write(data[44:1044])
        self.wfile.flush()
        time.sleep(self.pause)
        self.wfile.write(data[1044:])


def test_the_first_audio_is_timed_apart_from_header_and_end(prober):
    with serve(Slow) as port:
        answer = prober(port).route(Probe(text="Good morning."))
    assert answer.status == 200
    assert 0.3 <= answer.first_audio < answer.seconds - 0.25


class Endless(Quiet):
    """Sends a little for ever."""

    def do_POST(self):  # noqa: N802
        self.body()
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 10)
                time.sleep(0.05)
        except OSError:
            self.close_connection = True


def test_the_whole_answer_is_bounded_not_only_its_first_byte(prober):
    with serve(Endless) as port:
        begin = time.monotonic()
        answer = prober(port, timeoutSeconds=1).route(Probe(text="Hi"))
    assert answer.status == 0
    assert "not complete after 1 s" in answer.error
    assert time.monotonic() - begin < 5


def test_requests_do_not_wait_for_one_another(prober):
    with serve(Slow) as port:
        ask = prober(port)
        begin = time.monotonic()
        for _ in range(8):
            ask.send(Probe(text="Good morning."))
        assert time.monotonic() - begin < 0.3
        found = awaited(ask, 8)
    assert [answer.status for _, answer in found] == [200] * 8
    assert time.monotonic() - begin < 8 * 0.6
    assert ask.under_way == 0


def test_too_many_unanswered_requests_are_answers_with_that_error(prober):
    class Stuck(Quiet):
        go = threading.Event()

        def do_GET(self):  # noqa: N802
            self.go.wait(20)
            self.answer(200, {})

    with serve(Stuck) as port:
        ask = prober(port)
        for _ in range(MOST_UNDER_WAY + 2):
            ask.send(Probe())
        late = awaited(ask, 2)
        assert [answer.error for _, answer in late] == [
            f"{MOST_UNDER_WAY} earlier requests are still unanswered"
        ] * 2
        Stuck.go.set()
        assert len(awaited(ask, MOST_UNDER_WAY)) == MOST_UNDER_WAY
    assert ask.under_way == 0
