"""The page "Explore frequencies" in a real browser: its numbers are those of passband, and it works by keyboard."""

import re

import numpy as np
import pytest
import torch

from passband.analysis.images import ImageChannels, ImageSpectrum
from passband.curriculum.ratio import DEFINITIONS
from passband.layers.channels import SUBSETS
from tests.documents import DOCS

CLOSE = 1e-4
"""Largest difference from passband, which computes in float32."""
PATIENCE = 120_000
"""Time in milliseconds that the page gets for anything, on a machine that does other work as well."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Return the address of a file with the part of the document that is HTML."""
    text = (DOCS / "explore.md").read_text(encoding="utf-8")
    body = text[text.index("<link") : text.rindex("</script>") + len("</script>")]
    path = tmp_path_factory.mktemp("site") / "explore.html"
    head = f'<meta charset="utf-8"><title>Explore</title><base href="{DOCS.as_uri()}/">'
    path.write_text(f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>')
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """Open the page. It must have no errors, and request nothing beside its own files."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE)
    opened, problems = context.new_page(), []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else problems.append(r.url))
    opened.goto(address)
    opened.wait_for_selector("#pb-explore[data-ready]")
    yield opened
    context.close()
    assert problems == []


def part(page, name):
    return page.locator(f'[data-pb="{name}"]')


def pixels(page, name):
    """Return the pixels of a canvas, 3 H W in [0, 1]."""
    values = part(page, name).evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    return torch.tensor(values).view(256, 256, 4)[..., :3].movedim(-1, 0) / 255


def planes(image):
    return image.flatten(1).tolist()


@pytest.mark.parametrize("size", [(32, 32), (16, 64)])
def test_parts_are_those_of_passband(page, size):
    image = torch.rand(3, *size)
    spectrum = ImageSpectrum(image)
    cases = [(definition, ratio) for definition in DEFINITIONS for ratio in (0, 0.1, 0.37, 0.8, 1)]
    answers = page.evaluate(
        """([planes, height, width, cases]) => {
            const image = planes.map((plane) => Float64Array.from(plane));
            const spectrum = new passbandFrequency.ImageSpectrum(image, height, width);
            return cases.map(([definition, ratio]) => {
                const parts = spectrum.parts(ratio, definition);
                return { ...parts, low: parts.low.map((plane) => [...plane]) };
            });
        }""",
        [planes(image), *size, cases],
    )
    assert page.evaluate("passbandFrequency.DEFINITIONS") == list(DEFINITIONS)
    for (definition, ratio), answer in zip(cases, answers, strict=True):
        parts = spectrum.parts(ratio, definition)
        low = torch.tensor(answer["low"]).view(3, *size)
        assert (low - parts.low).abs().max() < CLOSE, (definition, ratio)
        assert answer["radius"] == pytest.approx(parts.radius)
        assert answer["coefficients"] == pytest.approx(parts.coefficients)
        assert answer["energy"] == pytest.approx(parts.energy, abs=CLOSE)


def test_channels_and_what_they_show_are_those_of_passband(page):
    image = torch.rand(3, 24, 16)
    expected = ImageChannels.of_image(image)
    for subset in ("24S", "6", "192"):
        numbers = SUBSETS[subset].indices()
        answer = page.evaluate(
            """([planes, chosen]) => {
                const image = planes.map((plane) => Float64Array.from(plane));
                const channels = new passbandFrequency.ImageChannels(image, 24, 16);
                const rebuilt = channels.rebuilt(new Set(chosen));
                const lists = (parts) => parts.map((plane) => [...plane]);
                const psnr = passbandFrequency.psnr(rebuilt, channels.planes);
                return { cube: lists(channels.channels), rebuilt: lists(rebuilt), psnr };
            }""",
            [planes(image), numbers],
        )
        cube, rebuilt = torch.tensor(answer["cube"]).view(192, 3, 2), torch.tensor(answer["rebuilt"]).view(3, 24, 16)
        assert (cube - expected.cube).abs().max() < 255 * CLOSE  # levels of 8 bits
        assert (rebuilt - expected.rebuilt(subset)).abs().max() < CLOSE
        if subset != "192":
            assert answer["psnr"] == pytest.approx(expected.fidelity(subset)["psnr"], abs=0.01)


def test_subsets_are_those_of_passband(page):
    subsets = page.evaluate("passbandExamples.SUBSETS")
    assert subsets == {name: SUBSETS[name].indices() for name in subsets}


def test_the_slider_moves_by_keyboard_and_shows_the_parts_of_passband(page):
    spectrum = ImageSpectrum(pixels(page, "image"))
    before = part(page, "parts-text").inner_text()
    part(page, "ratio").focus()
    page.keyboard.press("Home")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('[data-pb=ratio-value]').textContent === '7 %'")
    assert part(page, "parts-text").inner_text() != before
    parts = spectrum.parts(0.07)
    assert f"a radius of {parts.radius:.0f} of 128 cycles" in part(page, "parts-text").inner_text()
    shown = pixels(page, "low")
    assert (shown - parts.low.clamp(0, 1)).abs().max() <= 0.51 / 255  # a canvas has 8 bits
    gain = int((re.findall(r"(\d+) times", part(page, "high-note").inner_text()) or ["1"])[0])
    high = (0.5 + gain * parts.high).clamp(0, 1)
    assert (pixels(page, "high") - high).abs().max() <= 0.51 / 255
    assert "radius of" in part(page, "low").get_attribute("aria-label")


def test_a_definition_is_chosen_by_arrow_keys(page):
    part(page, "definition-magnitude").focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "definition-energy").get_attribute("aria-checked") == "true"
    assert part(page, "parts-text").inner_text().startswith("By energy, 25 % of the contrast energy")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert part(page, "parts-text").inner_text().startswith("By area")
    tab_stops = part(page, "definitions").locator("button[tabindex='0']")
    assert tab_stops.count() == 1


def test_channels_are_chosen_by_keyboard_and_by_the_list(page):
    channels = ImageChannels.of_image(pixels(page, "image"))
    part(page, "mosaic-Y").locator("button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Y, vertical frequency 1, horizontal frequency 1"
    page.keyboard.press("Space")
    numbers = [number for number in SUBSETS["24S"].indices() if number != 9]
    assert part(page, "channels-text").inner_text().startswith("23 of 192 channels")
    assert part(page, "subset").input_value() == ""
    shown = pixels(page, "rebuilt")
    assert (shown - channels.rebuilt(numbers)).abs().max() <= 0.51 / 255  # a canvas has 8 bits
    part(page, "subset").select_option("192")
    assert "nothing is lost" in part(page, "channels-text").inner_text()
    assert page.locator(".pb-channel[aria-pressed='true']").count() == 192


def test_a_photo_of_ones_own_is_shown_and_another_file_is_refused(page, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((40, 60, 3), (200, 100, 50), np.uint8)).save(tmp_path / "mine.png")
    part(page, "file").set_input_files(tmp_path / "mine.png")
    page.wait_for_selector("#pb-explore[data-ready='mine.png']")
    assert (pixels(page, "image") * 255).mean((1, 2)).round().tolist() == [200, 100, 50]
    (tmp_path / "notes.txt").write_text("no image")
    part(page, "file").set_input_files(tmp_path / "notes.txt")
    page.wait_for_function("document.querySelector('[data-pb=file-text]').textContent.includes('notes.txt is not an')")
    assert page.locator("#pb-explore").get_attribute("data-ready") == "mine.png"


def test_the_page_fits_a_phone_and_has_no_serious_faults_for_screen_readers(page):
    from axe_playwright_python.sync_playwright import Axe

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
