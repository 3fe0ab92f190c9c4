"""Uses the page as people do who have no mouse, or who hear it: by the Tab key and by the tree of accessibility."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import PATIENCE
from tests.app.test_page import choose, give, serious, viewer

expect.set_options(timeout=PATIENCE)

TABS = ("Restore", "Frequencies", "Classify", "Segment", "Runs")
MOST = 150
"""Largest number of elements of a tab that the Tab key reaches."""
NAMED = frozenset(
    [
        *("button", "checkbox", "combobox", "image", "img", "link", "listbox", "option", "progressbar", "radio"),
        *("radiogroup", "searchbox", "slider", "spinbutton", "switch", "tab", "textbox"),
    ]
)
"""Roles whose elements must have a name."""
TOOLS = """
const within = (root) =>
  [...root.querySelectorAll('*')].flatMap((one) => [one, ...(one.shadowRoot ? within(one.shadowRoot) : [])]);
const own = (one) => one.outerHTML.replace(/\\s+/g, ' ').slice(0, 160);
const active = (root) => root.activeElement?.shadowRoot ? active(root.activeElement.shadowRoot) : root.activeElement;
const isShown = (one) =>
  one.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && one.getClientRects().length > 0;
"""
REACHABLE = (
    "() => {"
    + TOOLS
    + """
  const kinds = 'a[href], button, input, select, textarea, summary, [tabindex]';
  const isOther = (one) => one.type === 'radio' && document.querySelector(`input[name="${one.name}"]:checked`) !== one;
  return within(document).filter((one) => one.matches(kinds) && one.tabIndex >= 0 && !one.disabled && isShown(one))
    .filter((one) => !isOther(one) && !one.seen).map(own);
}"""
)
"""Script that returns all elements that the Tab key should reach, and has not reached yet."""
REACHED = (
    "() => {"
    + TOOLS
    + """
  const one = active(document);
  if (!one || one === document.body || one.seen) return null;
  one.seen = true;
  const isMarked = [one, ...one.querySelectorAll('*')].map((part) => getComputedStyle(part))
    .some((style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
  return { name: own(one), isVisible: isMarked && isShown(one) };
}"""
)
"""Script that returns the element that has the focus, unless it had it before, and whether this is visible."""


def open_tab(page, name, photo, tiny):
    """Open a tab by keyboard, and wait for a result in it."""
    tab = page.get_by_role("tab", name=name)
    tab.focus()
    page.keyboard.press("Enter")
    expect(tab).to_have_attribute("aria-selected", "true")
    if name == "Restore":
        choose(page, "Network", tiny)
        give(page, photo)
        viewer(page)
        expect(page.locator("#pb-status [role=status]")).to_contain_text("my photo.jpg is restored")
        page.get_by_role("button", name="Frequencies before and after").press("Enter")
    elif name == "Frequencies":
        page.locator("#pb-look input[type=file]").set_input_files(str(photo))
        expect(page.locator("passband-mosaic button[aria-pressed=true]")).to_have_count(24)
        expect(page.locator("#pb-definitions img")).to_have_count(4)
        expect(page.locator("#pb-look-status [role=status]")).to_contain_text("The frequencies of my photo.jpg")
    elif name in ("Classify", "Segment"):
        task, done = {"Classify": ("classification", "classified"), "Segment": ("segmentation", "segmented")}[name]
        page.locator(f"#pb-{task} input[type=file]").set_input_files(str(photo))
        expect(page.locator(f"#pb-{task}-status [role=status]")).to_contain_text(f"my photo.jpg is {done}")
        if name == "Segment":
            page.locator("#pb-segmentation-result passband-viewer[ready]").wait_for()
    else:
        page.locator("#pb-run-facts img").first.wait_for()


CONTRAST = """element => {
  const parts = (color) => color.match(/[\\d.]+/g).slice(0, 3)
    .map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  const light = (color) => { const [r, g, b] = parts(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const around = getComputedStyle(element.closest(".block")).backgroundColor;
  const both = [getComputedStyle(element).borderColor, around].map(light).sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}"""
"""Script that returns the contrast of the border of an element with the card around it."""


def nameless(page):
    """Return the controls and images that have no name for screen readers."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    bad = [
        node
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in NAMED and not node.get("name", {}).get("value", "").strip()
    ]
    found = []
    for node in bad:
        element = session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
        found.append(f"{node['role']['value']}: {element['nodeName']} {element.get('attributes')}")
    return found


@pytest.mark.parametrize("name", TABS)
def test_the_tab_key_reaches_every_control_visibly_and_each_has_a_name(visit, photo, tiny, name):
    page = visit()
    open_tab(page, name, photo, tiny)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.locator("h1").click()  # the Tab key goes on from here
    hidden = []
    for _ in range(MOST):
        page.keyboard.press("Tab")
        reached = page.evaluate(REACHED)
        if reached is None:
            break
        hidden += [] if reached["isVisible"] else [reached["name"]]
    assert hidden == []
    assert page.evaluate(REACHABLE) == []
    for button in page.locator("button.label-wrap:visible").all():
        expect(button).to_have_attribute("aria-expanded", re.compile("true|false"))
        was = button.get_attribute("aria-expanded")
        for state in ({"true": "false", "false": "true"}[was], was):
            button.press("Enter")
            expect(button).to_have_attribute("aria-expanded", state)
    assert nameless(page) == []


def test_dark_mode_has_no_serious_faults_in_any_tab(visit, photo, tiny):
    page = visit(scheme="dark")
    for name in TABS:
        open_tab(page, name, photo, tiny)
        # Gradio nests the button that uploads other files into another one; the inner one has the focus and a name
        assert [one for one in serious(page) if not one.startswith("nested-interactive")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_border_of_a_box_to_check_has_enough_contrast(visit, scheme):
    page = visit(scheme=scheme)
    page.get_by_role("button", name="Settings").click()
    assert page.get_by_role("checkbox").evaluate(CONTRAST) >= 3  # WCAG 1.4.11


def test_the_page_is_english_except_for_the_words_that_gradio_translates(visit):
    page = visit(locale="de-DE")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    upload = page.locator("#pb-drop button")
    expect(upload).to_have_attribute("lang", re.compile("de"))
    expect(upload).to_contain_text("Datei hier ablegen")
