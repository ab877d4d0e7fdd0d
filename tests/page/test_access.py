"""The page for everybody: by keyboard, by screen reader, on a phone, in both languages and colour schemes."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.page.conftest import Open
from tests.page.proxy import Proxy

PLAIN = ("404", "409")
NEEDS_NAME = {
    "button",
    "checkbox",
    "combobox",
    "dialog",
    "radio",
    "region",
    "slider",
    "spinbutton",
    "textbox",
}

# Where the contrast is too low: WCAG 2.2, 1.4.3 (4.5; large text 3) and 1.4.11 (3).
CONTRAST = """() => {
  const parse = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const isOff = (element) => element.closest(":disabled, [aria-disabled=true], .sprite") !== null;
  const found = [];
  let looked = 0;
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || isOff(element)) continue;
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (hasText || element.matches("textarea, input[type=text], select")) {
      looked += 1;
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const value = ratio(parse(style.color), groundOf(element));
      if (value < (isLarge ? 3 : 4.5)) found.push([element.outerHTML.slice(0, 80), value]);
    }
    if (element.matches("textarea, select, input[type=text], button:not(.quiet, .plain, .icon, .main)")) {
      const value = ratio(parse(style.borderColor), groundOf(element.parentElement));
      if (value < 3) found.push([`border: ${element.outerHTML.slice(0, 80)}`, value]);
    }
  }
  for (const element of document.querySelectorAll("[placeholder]")) {
    const value = ratio(parse(getComputedStyle(element, "::placeholder").color), groundOf(element));
    if (value < 4.5) found.push([`placeholder: ${element.id}`, value]);
  }
  return { looked, found };
}"""

# Targets of a finger that are too small: WCAG 2.2, 2.5.8 (24 pixels).
SMALL = """() => [...document.querySelectorAll("button, select, input, summary, textarea, [role=slider]")]
  .filter((element) => element.checkVisibility())
  .map((element) => [element, (element.closest("label") ?? element).getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([element, box]) => [element.outerHTML.slice(0, 80), box.width, box.height])"""


def speak(page: Page, text: str = "Good morning.") -> None:
    page.fill("#text", text)
    page.fill("#speed", "2")
    page.click("#speak")
    expect(page.locator("#after")).to_be_visible()


def compare(page: Page) -> None:
    page.get_by_label("Compare two").check()
    page.fill("#other-typed", "1.1.0")
    page.click("#speak")
    expect(page.locator("#vote")).to_be_visible()


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.className")


def width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def nodes(page: Page) -> list[tuple[str, str]]:
    """Role and name of all that a screen reader is told of."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [(value(node, "role"), value(node, "name")) for node in tree if not node["ignored"]]


def value(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


def test_by_keyboard_alone(visit: Open) -> None:
    page = visit(PLAIN)
    page.keyboard.press("Tab")
    order = [focused(page)]
    while order[-1] != "text":
        page.keyboard.press("Tab")
        order.append(focused(page))
        assert len(order) < 10
    assert order[:2] == ["language", "help"]
    page.keyboard.press("Control+a")
    page.keyboard.type("One. Two, three, four and five.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    assert focused(page) == "text"  # who types goes on typing
    page.keyboard.press("Escape")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    while focused(page) != "waveform":
        page.keyboard.press("Tab")
        order.append(focused(page))
        assert len(order) < 20
    assert {"example", "version", "speed", "speak", "play"} <= set(order)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    page.keyboard.press("ArrowRight")
    at = float(page.get_attribute(".waveform", "aria-valuenow") or 0)
    page.keyboard.press("ArrowLeft")
    assert float(page.get_attribute(".waveform", "aria-valuenow") or 0) < at
    page.focus("#help")
    page.keyboard.press("Enter")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    assert focused(page) == "help"


def test_a_comparison_by_keyboard(visit: Open) -> None:
    page = visit(PLAIN)
    compare(page)
    page.locator(".waveform").first.focus()
    picks = page.locator(".pick")
    for key, on in (("b", 1), ("a", 0), ("B", 1)):
        page.keyboard.press(key)
        assert [picks.nth(at).get_attribute("aria-pressed") for at in (0, 1)] == [
            str(at == on).lower() for at in (0, 1)
        ]
    page.focus("[data-vote=same]")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("You hear no difference.")
    assert focused(page) == "play"  # the buttons are gone, the focus is not


def test_what_a_screen_reader_is_told(visit: Open) -> None:
    page = visit(PLAIN)
    page.click("summary")
    speak(page)
    told = nodes(page)
    assert [pair for pair in told if pair[0] in NEEDS_NAME and not pair[1]] == []
    assert {("slider", "Position"), ("slider", "Speed"), ("textbox", "Text"), ("button", "Good")} <= set(told)
    assert {"status", "heading", "main", "region"} <= {role for role, _ in told}
    compare(page)
    told = nodes(page)
    assert [pair for pair in told if pair[0] in NEEDS_NAME and not pair[1]] == []
    assert {
        ("slider", "Position in A"),
        ("slider", "Position in B"),
        ("group", "Which one is better?"),
    } <= set(told)
    page.fill("#text", "")
    page.click("#speak")
    expect(page.get_by_role("alert")).to_have_text(
        "There is no text yet. Type or paste what you want to hear."
    )
    expect(page.locator("#text")).to_be_focused()
    assert page.get_attribute("#text", "aria-invalid") == "true"
    assert page.get_attribute("html", "lang") == "en"


def test_contrast_in_light_and_dark(visit: Open) -> None:
    page = visit(PLAIN)
    page.click("summary")
    speak(page)
    page.get_by_label("Good", exact=True).click()
    page.fill("#text", "")
    page.click("#speak")
    expect(page.locator("#notice")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        seen = page.evaluate(CONTRAST)
        assert seen["looked"] > 30
        assert seen["found"] == []
        page.click("#help")
        assert page.evaluate(CONTRAST)["found"] == []
        page.keyboard.press("Escape")
    page.emulate_media(forced_colors="active")
    chosen, other = page.evaluate(
        "[...document.querySelectorAll('.switch span')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert chosen != other  # in the person's own colours too
    page.emulate_media(forced_colors="none")
    page.evaluate("document.documentElement.style.setProperty('--quiet', '#4a5551')")
    assert len(page.evaluate(CONTRAST)["found"]) > 2  # what is too low is found


def test_on_a_narrow_phone(visit: Open, gateway: Proxy) -> None:
    phone = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
    page = visit(("404", "429"), **phone)
    assert width(page) == 320
    page.tap("summary")
    page.fill(
        "#text", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft. " * 2
    )
    speak(page, "A-very-long-word-without-any-space-at-all-that-goes-on-and-on-and-on-and-on.")
    assert width(page) == 320
    compare(page)
    assert width(page) == 320
    gateway.refuse(429, "queue_full", retry_after="30")
    page.click("#speak")
    expect(page.locator("#notice")).to_be_visible()
    assert width(page) == 320
    assert page.evaluate(SMALL) == []
    page.click("#language")
    assert width(page) == 320
    assert page.get_attribute("html", "lang") == "zh-Hans"


def test_in_chinese(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "429"), locale="zh-CN")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.title() == "语音合成"
    speak(page)
    gateway.refuse(429, "queue_full", retry_after="30")
    page.click("#speak")
    expect(page.get_by_role("alert")).to_have_text("服务器目前任务过多，30 秒后可以重试。")
    page.click("#language")
    expect(page.get_by_role("alert")).to_contain_text("The server has more to do than it can take right now.")
    page.reload()
    assert page.title() == "Speech"  # the choice is kept
    expect(page.locator("#entries")).to_contain_text("Good morning.")
