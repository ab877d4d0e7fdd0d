"""The webhook is told, or a sentence says why not; its URL never comes out."""

import json
import socket
import threading
import time

import pytest

from release.webhook import MOST_CHARACTERS, message, post

from .replies import Replies

SECRET = "T000SECRET"


def test_the_text_arrives_as_slack_wants_it(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    replies = Replies(lambda query: (200, b"ok"))
    with replies.serving() as url:
        assert post(f"{url}/services/{SECRET}\n", "Ein Wort – “hier”.") == ""
    ((method, path, body, headers),) = replies.asked
    assert (method, path) == ("POST", f"/services/{SECRET}")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"text": "Ein Wort – “hier”."}


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410, 429, 500])
def test_any_other_answer_is_a_sentence_with_the_host_alone(status, capfd):
    replies = Replies(lambda query: (status, f"no such hook: {SECRET}".encode()))
    with replies.serving() as url:
        said = post(f"{url}/services/{SECRET}?token={SECRET}", "x")
    assert said == f"The webhook at 127.0.0.1 was not told: it answered {status}."
    assert len(replies.asked) == 1
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "url",
    [
        "", SECRET, f"hooks.slack.com/services/{SECRET}", f"http://[{SECRET}", f"ftp://hooks.slack.com/{SECRET}",
        f"http://user:{SECRET}@no.such.host.invalid/{SECRET}", f"https://127.0.0.1:1/{SECRET}",
        f"http://127.0.0.1:99999/{SECRET}", f"http://127.0.0.1:{SECRET}/", f"http://127.0.0.1:1/\n{SECRET}",
    ],
)  # fmt: skip
def test_no_address_makes_it_raise_or_tell_the_url(url, capfd):
    said = post(url, "x", timeout_seconds=2)
    assert said.startswith("The webhook at ")
    assert said.endswith(".")
    assert SECRET not in said + "".join(capfd.readouterr())


def test_a_server_that_never_ends_its_answer_costs_no_more_than_the_time_out():
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen(4)
        ended = threading.Event()

        def drip():
            connection, _ = slow.accept()
            with connection:
                while not ended.wait(0.1):
                    connection.sendall(b"HTTP/1.1 200 OK\r\n"[:1])

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        threading.Timer(5, ended.set).start()  # whoever would wait for the end is let go
        begin = time.monotonic()
        said = post(f"http://127.0.0.1:{slow.getsockname()[1]}/{SECRET}", "x", timeout_seconds=0.5)
        took = time.monotonic() - begin
        ended.set()
    assert said.startswith("The webhook at 127.0.0.1 was not told: ")
    assert took < 2


RECEIPT = {
    "release": "hibari-release-91c0aa", "name": "hibari", "namespace": "tts", "seconds": 41.2,
    "target": {"version": "1.1.0", "revision": "hibari-1-1-0-bbbbbb"}, "before": {"hibari-1-0-0-aaaaaa": 100},
    "provenance": {"stack": "prod"},
}  # fmt: skip


def test_the_message_says_outcome_reasons_and_what_it_was_about():
    sentences = ("1.1.0 is refused.", "At 10 % an answer was not right.", "The route is restored.")
    assert message("refused", sentences, RECEIPT).splitlines() == [
        "hibari 1.1.0 on prod: refused",
        *sentences,
        "release: hibari-release-91c0aa; namespace: tts; revision: hibari-1-1-0-bbbbbb; "
        "before: 100 % hibari-1-0-0-aaaaaa; seconds: 41.2",
    ]


def test_nobody_is_woken_by_markup_and_a_long_reason_is_cut():
    told = message("refused", ["<!channel> & <http://x|y>", "word " * 2000], RECEIPT)
    assert "&lt;!channel&gt; &amp; &lt;http://x|y&gt;" in told
    assert "<" not in told
    assert len(told) < MOST_CHARACTERS + 400
    assert told.splitlines()[-1].startswith("release: ")


def test_a_receipt_that_lacks_things_still_makes_a_message():
    assert message("failed", [], {}) == "A release: failed"
    assert (
        message("failed", ["Why."], {"target": None, "before": 3, "provenance": "x"})
        == "A release: failed\nWhy."
    )
