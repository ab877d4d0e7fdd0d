"""The page in a real Chromium, before two real servers of two versions."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.page.proxy import Proxy
from tests.serving.conftest import Start, float_model_dir, inference, model_dir, start

__all__ = ["float_model_dir", "model_dir", "start"]  # fixtures of the servers

EAR_WARNING = (
    "ScriptProcessorNode is deprecated"  # an AudioWorklet would need a script that the page's policy forbids
)
# All that reaches the speakers is also gathered, as `heard`.
EARS = """
window.heard = { samples: [], rate: 0 };
const connect = AudioNode.prototype.connect;
const ears = new WeakMap();
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode && this.context instanceof AudioContext) {
    const context = this.context;
    if (!ears.has(context)) {
      const ear = context.createScriptProcessor(1024, 1, 1);
      ear.onaudioprocess = (event) => {
        window.heard.rate = context.sampleRate;
        window.heard.samples.push(...event.inputBuffer.getChannelData(0));
      };
      connect.call(ear, context.destination);
      ears.set(context, ear);
    }
    connect.call(this, ears.get(context));
  }
  return connect.call(this, target, ...rest);
};
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """An installed Chromium: the one that TTS_CHROMIUM names, or one on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("TTS_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(
            "No Chromium is installed (or named by TTS_CHROMIUM): the page is not tried in a browser."
        )
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for each module: while it is there an event loop runs in this thread, and tests of other folders
    that come after could run none of their own."""
    expect.set_options(timeout=15_000)  # for a busy machine
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium)
        yield running
        running.close()


@pytest.fixture(scope="session")
def gateway(chromium: str, start: Start, float_model_dir: Path) -> Iterator[Proxy]:
    """Two servers behind one port: 1.0.0, which answers by default, and 1.1.0."""
    servers = {"1.0.0": start(), "1.1.0": start(float_model_dir, inference("1.1.0"))}
    for server in servers.values():
        server.wait_ready(120)
    with Proxy({version: server.port for version, server in servers.items()}).running() as proxy:
        yield proxy


Open = Callable[..., Page]


@dataclass
class Tabs:
    """Open pages by their options, used again: to make one takes longer than what most tests do with it."""

    browser: Browser
    pages: dict[str, Page] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # by the consoles, since the test began

    def take(self, init: str, options: dict[str, Any]) -> Page:
        key = f"{init} {options}"
        if key in self.pages:
            return self.pages[key]
        context = self.browser.new_context(**{"locale": "en-GB", "reduced_motion": "reduce", **options})
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.add_init_script(EARS + init)
        page.on("console", lambda message: self.said.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        self.pages[key] = page
        return page

    def reset(self, url: str) -> None:
        """As if nobody had ever been there; what a page still says of the last test counts no more."""
        rest = f"{url}/page/icon.svg"  # of the same origin, so that the browser keeps its process
        for page in self.pages.values():
            if page.url == rest:
                continue
            page.unroute_all()
            page.context.set_offline(False)
            page.evaluate("sessionStorage.clear()")
            page.goto(rest)
            kept = {"origin": url, "storageTypes": "all"}
            page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", kept)
        self.said.clear()


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> Tabs:
    return Tabs(browser)


@pytest.fixture
def visit(tabs: Tabs, gateway: Proxy) -> Iterator[Open]:
    """Opens the page as if for the first time, and fails the test for whatever the console says of it."""
    gateway.reset()
    tabs.reset(gateway.url)
    allowed = [EAR_WARNING]

    def open_page(
        expected: tuple[str, ...] = (), init: str = "", *, served: str = "hibari", **options: Any
    ) -> Page:
        allowed.extend(expected)
        page = tabs.take(init, options)
        page.goto(gateway.url)
        expect(page.locator("#served")).to_contain_text(served)
        return page

    yield open_page
    assert [text for text in tabs.said if not any(part in text for part in allowed)] == []
