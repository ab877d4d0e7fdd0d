"""What the page says when something is wrong, and how it goes on."""

import re
import threading

from playwright.sync_api import Page, expect

from tests.page.conftest import Open
from tests.page.proxy import SPEECH, Proxy
from tests.serving.conftest import poll

LONG = "The harbour was quiet before the first ferry left. How long does the train take? " * 3


def speak(page: Page, text: str = "Good morning.") -> None:
    page.fill("#text", text)
    page.click("#speak")


def alert(page: Page, text: str) -> None:
    expect(page.get_by_role("alert")).to_contain_text(text)


def test_a_busy_server_is_asked_again_when_it_may_be(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "429"), init="/* a clock of its own */")
    page.clock.install()
    gateway.refuse(429, "queue_full", retry_after="90")
    gateway.refuse(429, "rate_limit_exceeded", retry_after="60")
    speak(page)
    alert(page, "The server has more to do than it can take right now. It can be asked again in 90 s.")
    page.get_by_role("button", name="Try again in").click()
    expect(page.get_by_role("button", name="Trying again in")).to_have_attribute("aria-pressed", "true")
    page.clock.fast_forward(50_000)
    expect(page.get_by_role("button", name=re.compile(r"Trying again in [34]\d s"))).to_be_visible()
    assert len(gateway.spoken()) == 1
    page.clock.fast_forward(41_000)  # and it is asked again by itself
    alert(page, "This key has made as many requests as it may for now.")
    assert len(gateway.spoken()) == 2
    page.clock.fast_forward(61_000)  # this time nobody wanted that
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator("#after")).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()
    assert len(gateway.spoken()) == 3


def test_a_key_is_asked_for_and_kept_for_the_session(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "401"))
    gateway.refuse(401, "invalid_api_key")
    gateway.refuse(401, "invalid_api_key")
    speak(page)
    alert(page, "This server wants an API key.")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type("wrong key")
    page.keyboard.press("Enter")
    alert(page, "An API key has only letters, digits and signs without spaces.")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    alert(page, "The server does not know this API key.")
    page.fill("#key", "sk-right")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#after")).to_be_visible()
    keys = [headers.get("authorization") for headers, _ in gateway.spoken()]
    assert keys == [None, "Bearer wrong", "Bearer sk-right"]
    page.reload()
    speak(page)
    expect(page.locator("#after")).to_be_visible()
    assert gateway.spoken()[-1][0]["authorization"] == "Bearer sk-right"
    assert "sk-right" not in page.evaluate("JSON.stringify({ ...localStorage })")


def test_a_model_that_loads_is_waited_for(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "503"))
    gateway.refuse(503, "loading")
    gateway.answer("/readyz", 503, {"status": "loading", "seconds": 12.4})
    speak(page)
    alert(page, "The model is being loaded.")
    expect(page.get_by_role("progressbar", name="The model is loading")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Loading for 12 s.")
    expect(page.locator("#after")).to_be_visible()  # by itself, when it is ready
    assert len(gateway.spoken()) == 2


def test_a_text_that_cannot_be_spoken_no_network_and_no_server(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "400", "ERR_"))
    speak(page, "?!")
    alert(page, "The server cannot speak this text.")
    expect(page.locator("#notice-detail")).to_contain_text("nothing that can be spoken")
    expect(page.locator("#text")).to_be_focused()
    page.context.set_offline(True)
    speak(page)
    alert(page, "This device is not connected to a network.")
    page.context.set_offline(False)
    for _ in range(20):  # the browser itself asks again on each connection that it had before
        gateway.answer(SPEECH, 0)
    page.get_by_role("button", name="Try again").click()
    alert(page, "The server does not answer.")
    gateway.answers.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#after")).to_be_visible()


def test_what_was_heard_stays_when_the_connection_breaks(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "ERR_"))
    gateway.held = threading.Event()
    gateway.cut_after = 200_000
    speak(page, LONG)
    poll(lambda: page.locator("#clock").inner_text().endswith("0:01"), 10)
    gateway.held.set()
    alert(page, "The connection broke after")
    page.locator(".waveform").first.focus()
    page.keyboard.press("End")
    assert float(page.get_attribute(".waveform", "aria-valuenow") or 0) > 1
    expect(page.locator("#download")).to_be_visible()
    expect(page.locator("#entries li")).to_have_count(0)


def test_stop_ends_the_request(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "ERR_"))
    gateway.held = threading.Event()
    speak(page, LONG)
    expect(page.locator("#facts")).to_be_visible()
    page.click("#stop")
    expect(page.locator("#status")).to_have_text("Stopped. What was made until then is here.")
    expect(page.locator("#speak")).to_be_focused()
    expect(page.locator("#stop")).to_be_disabled()
