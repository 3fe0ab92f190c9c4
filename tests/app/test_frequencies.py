"""The work of the tab Frequencies, and the tab in a real browser."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from passband.analysis.images import ImageChannels, ImageSpectrum
from passband.app.files.checks import UploadError
from passband.app.html import frequencies as markup
from passband.app.work.frequencies import (
    PIXELS,
    ChannelsRequest,
    DefinitionsRequest,
    FiltersRequest,
    MosaicRequest,
    PartsRequest,
    SpectrumRequest,
    StudiedImage,
    parsed_subset,
)
from passband.app.work.requests import Failure, Predictors, answer
from passband.curriculum.ratio import DEFINITIONS
from passband.io.image import read_image, write_image
from passband.metrics import psnr
from tests.app.conftest import PATIENCE, screenshot

expect.set_options(timeout=PATIENCE)


def decoded(content):
    """Return the image of a file's content, 3 H W in [0, 1]."""
    with Image.open(io.BytesIO(content)) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).movedim(-1, 0) / 255


def close(content, expected):
    """Whether a JPEG file shows an image."""
    return psnr(decoded(content)[None], expected.clamp(0, 1)[None]).item() > 30


def test_the_spectrum_is_described_and_drawn(photo):
    view = SpectrumRequest(photo).do(Predictors())
    assert (view.size, view.is_shrunk) == ((200, 160), False)
    assert close(view.image, read_image(photo))
    assert decoded(view.amplitude).std() > 0.1
    assert decoded(view.curve).std() > 0.1
    page = markup.spectrum(view, "<b>.jpg")
    assert "<b>" not in page
    assert page.count("<img alt=") == 3


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_parts_are_those_of_the_library(photo, definition):
    view = PartsRequest(photo, ratio=0.2, definition=definition).do(Predictors())
    parts = ImageSpectrum(read_image(photo)).parts(0.2, definition)
    assert view.figures["radius"] == parts.radius
    assert close(view.low, parts.low)
    assert close(view.high, 0.5 + view.gain * parts.high)
    text = markup.parts(view)
    period = 2 / parts.share_of_nyquist
    assert f"A ratio of 20 % by {definition} keeps the waves that are {period:.3g} pixels or longer: " in text
    assert ("times stronger" in text) == (view.gain > 1)


def test_a_ratio_of_nothing_keeps_the_mean_color(photo):
    text = markup.parts(PartsRequest(photo, ratio=0.0, definition="radius").do(Predictors()))
    assert "A ratio of 0 % by radius keeps no wave, but only the mean color: " in text


def test_all_definitions_stand_side_by_side(photo):
    views = DefinitionsRequest(photo, ratio=0.4).do(Predictors())
    assert [view.definition for view in views] == list(DEFINITIONS) == list(markup.QUANTITIES)
    assert markup.definitions(views).count("<figcaption>") == 4


def test_channels_are_those_of_the_file(photo):
    view = ChannelsRequest(photo, subset=(0, 1, 8, 64, 128)).do(Predictors())
    channels = ImageChannels.of_file(photo)
    assert close(view.rebuilt, channels.rebuilt((0, 1, 8, 64, 128)))
    assert close(view.whole, channels.image)
    assert view.title.startswith("5 of 192 frequency channels (numbers 0, 1, 8, 64, 128)")
    assert 'channels="0,1,8,64,128"' in markup.channels(view)
    assert "passband-chosen" not in markup.channels(view, is_picked=True)


def test_the_mosaic_has_a_button_with_words_for_each_channel(photo):
    view = MosaicRequest(photo).do(Predictors())
    assert view.is_stored
    assert len({decoded(mosaic).shape for mosaic in view.mosaics}) == 1
    page = markup.mosaic(view)
    assert page.count("<button") == 192
    share = ImageChannels.of_file(photo).table()[1]["energy"]
    assert f'aria-label="Channel 1, Y, v 0, u 1: {markup.percent(share)} of the energy"' in page
    assert 'aria-label="Channel 127, Cb, v 7, u 7: not in this file"' in page


def test_filters_are_a_picture_and_a_table(photo, tiny_weights):
    view = FiltersRequest(photo, weights=str(tiny_weights)).do(Predictors())
    assert decoded(view.figure).shape[-1] > 1000
    page = markup.filters(view)
    assert page.count("<tr>") == 1 + len(view.rows) == 13
    assert "encoder, full size" in page


def test_a_large_image_is_shrunk_and_the_same_image_is_read_once(tmp_path, monkeypatch):
    write_image(tmp_path / "large.png", torch.rand(3, 40, 80))
    monkeypatch.setattr("passband.app.work.frequencies.PIXELS", 800)
    studied = StudiedImage(tmp_path / "large.png")
    assert studied.image.shape == (3, 20, 40)
    assert studied.is_shrunk
    predictors = Predictors()
    request = SpectrumRequest(tmp_path / "large.png")
    assert request.studied(predictors) is PartsRequest(tmp_path / "large.png").studied(predictors)
    assert PIXELS == 1_000_000


def test_bad_files_and_numbers_are_refused_in_sentences(tmp_path, photo):
    (tmp_path / "in").mkdir()
    bad = tmp_path / "in" / "notes.png"
    bad.write_text("no image")
    refused = answer(SpectrumRequest(bad))
    assert isinstance(refused, Failure)
    assert "notes.png is no image that passband reads" in refused.sentence
    large = answer(PartsRequest(photo, image_pixels=100))
    assert "my photo.jpg has 200 x 160 pixels" in large.sentence
    assert "numbered 0 to 191" in answer(ChannelsRequest(photo, subset=(192,))).sentence
    with pytest.raises(UploadError, match=r"Channels are numbers from 0 to 191 with commas.*got '0, x'"):
        parsed_subset("24S", "0, x")
    assert parsed_subset("24S", " ") == "24S"
    assert parsed_subset("24S", "0; 64,128") == (0, 64, 128)


def open_tab(visit, photo, **options):
    """Open the tab with a photo."""
    page = visit(**options)
    page.get_by_role("tab", name="Frequencies").click()
    page.locator("#pb-look input[type=file]").set_input_files(str(photo))
    expect(page.locator("#pb-spectrum img")).to_have_count(3)
    return page


def image_of(locator):
    """Return the image that a figure shows."""
    return decoded(base64.b64decode(locator.get_attribute("src").split(",", 1)[1]))


def test_the_slider_gives_the_parts_of_the_library_by_keyboard(visit, photo):
    page = open_tab(visit, photo)
    expect(page.locator("#pb-definitions img")).to_have_count(4)
    slider = page.locator("#pb-ratio input[type=range]")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#pb-parts")).to_contain_text("A ratio of 22 % by magnitude keeps")
    parts = ImageSpectrum(read_image(photo)).parts(0.22)
    assert psnr(image_of(page.locator("#pb-parts img").first)[None], parts.low.clamp(0, 1)[None]).item() > 30
    expect(page.locator("#pb-definitions")).to_contain_text(re.compile("radius: share of the finest frequency"))


def test_channels_and_filters_are_chosen_and_shown_at_phone_width(visit, photo, tiny):
    page = open_tab(visit, photo, width=390, scheme="dark")
    expect(page.locator("#pb-channels h3")).to_contain_text("24 of 192")
    expect(page.locator("passband-mosaic button[aria-pressed=true]")).to_have_count(24)
    page.locator("#pb-numbers").get_by_role("textbox").fill("0, 64, 128")
    page.keyboard.press("Enter")
    expect(page.locator("#pb-channels h3")).to_contain_text("3 of 192")
    page.locator("#pb-numbers").get_by_role("textbox").fill("all")
    page.keyboard.press("Enter")
    expect(page.locator("#pb-channels [role=alert]")).to_contain_text("Channels are numbers from 0 to 191")
    page.get_by_role("button", name="Show the filters").click()
    expect(page.locator("#pb-filters table tbody tr")).to_have_count(12)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_channels_are_picked_in_the_mosaic_by_click_and_by_keyboard_alone(visit, photo):
    page = open_tab(visit, photo)
    pressed = page.locator("passband-mosaic button[aria-pressed=true]")
    page.locator("#pb-numbers").get_by_role("textbox").fill("0, 64")
    page.keyboard.press("Enter")
    expect(pressed).to_have_count(2)
    page.locator("passband-mosaic button[data-channel='128']").click()
    expect(page.locator("#pb-channels h3")).to_contain_text("3 of 192 frequency channels (numbers 0, 64, 128)")
    expect(page.locator("#pb-numbers").get_by_role("textbox")).to_have_value("0, 64, 128")
    first = page.locator("passband-mosaic button[data-channel='0']")
    first.focus()
    page.keyboard.press("ArrowLeft")  # no channel is there
    expect(first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("passband-mosaic button[data-channel='9']")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#pb-channels h3")).to_contain_text("4 of 192 frequency channels (numbers 0, 9, 64, 128)")
    rebuilt = ImageChannels.of_file(photo).rebuilt((0, 9, 64, 128))
    assert close(base64.b64decode(page.locator("#pb-channels img").first.get_attribute("src").split(",")[1]), rebuilt)
    for number in (128, 64, 9, 0):
        page.locator(f"passband-mosaic button[data-channel='{number}']").click()
    expect(page.locator("#pb-channels [role=alert]")).to_contain_text("No channel is chosen")


def test_the_tab_has_no_serious_faults_for_screen_readers_and_refuses_a_bad_file(visit, photo, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    page = visit()
    page.get_by_role("tab", name="Frequencies").click()
    page.get_by_role("button", name="Clean portrait").click()
    expect(page.locator("#pb-spectrum img")).to_have_count(3)
    expect(page.locator("#pb-definitions img")).to_have_count(4)
    expect(page.locator("passband-mosaic button[aria-pressed=true]")).to_have_count(24)
    expect(page.locator("#pb-channels img")).to_have_count(2)
    screenshot(page, "app-frequencies.jpg", full_page=True, quality=60)
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    (tmp_path / "notes.txt").write_text("no image")
    page.locator("#pb-look input[type=file]").set_input_files(str(tmp_path / "notes.txt"))
    expect(page.locator("#pb-look-status [role=alert]")).to_contain_text("notes.txt is no image that passband reads")
