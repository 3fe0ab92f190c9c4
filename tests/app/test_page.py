"""Drives the page in a real browser."""

import io
import re
import secrets
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from passband import Restorer, degrade
from tests.app.conftest import PATIENCE, screenshot

expect.set_options(timeout=PATIENCE)


def give(page, *paths):
    """Drop files on the page."""
    page.locator("#pb-drop input[type=file]").set_input_files([str(path) for path in paths])


def choose(page, label, name):
    """Choose an entry of a list."""
    box = page.get_by_role("combobox", name=label, exact=True)
    if label in ("Network", "Compare with") and not box.is_visible():
        page.get_by_role("button", name="Settings").click()
    box.click()
    page.locator(f"#{box.get_attribute('aria-controls')}").get_by_role("option", name=name, exact=True).click()
    expect(box).to_have_value(name)
    expect(page.get_by_role("option")).to_have_count(0)


def viewer(page):
    """Wait for the viewer with all its images, and return it."""
    shown = page.locator("passband-viewer[ready]")
    shown.wait_for()
    return shown


def download(page, number=0):
    """Return the name and the content of a download."""
    with page.expect_download() as started:
        page.locator("#pb-details a.pb-download").nth(number).click()
    return started.value.suggested_filename, started.value.path()


def serious(page):
    """Return the serious findings of axe."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_a_dropped_photo_is_restored_and_the_download_is_the_file_that_the_library_writes(
    visit, photo, tiny, tiny_weights, tmp_path
):
    page = visit()
    choose(page, "Network", tiny)
    give(page, photo)
    viewer(page)
    name, path = download(page)
    assert name == "my photo_restored.jpg"
    Restorer(str(tiny_weights)).restore_file(photo, tmp_path / "expected.jpg", max_pixels=1_000_000)
    assert path.read_bytes() == (tmp_path / "expected.jpg").read_bytes()
    assert page.locator("#pb-cli textarea").input_value() == (
        f"passband restore 'my photo.jpg' --weights {tiny_weights}"
    )
    assert f"Restored by {tiny} in" in page.locator("#pb-details").inner_text()


def test_the_chosen_network_removes_haze(visit, photo, tmp_path):
    clean = Image.open(photo)
    hazy = degrade(clean, "haze", seed=0, version=1)
    hazy.save(tmp_path / "hazy.png")
    page = visit()
    give(page, tmp_path / "hazy.png")
    viewer(page)
    text = page.locator("#pb-details").inner_text()
    assert "The inspector sees haze (probability" in text
    assert "which was chosen automatically" in text
    _, path = download(page)
    truth = np.asarray(clean, float)
    before, after = (np.square(np.asarray(image, float) - truth).mean() for image in (hazy, Image.open(path)))
    assert after < before / 2


def test_deep_files_keep_their_type_and_depth_and_two_networks_share_one_viewer(visit, deep, tiny, tmp_path):
    page = visit()
    choose(page, "Network", tiny)
    choose(page, "Compare with", "general")
    give(page, deep)
    shown = viewer(page)
    labels = shown.evaluate("element => [...element.left.options].map(option => option.text)")
    assert labels == ["Before", tiny, "general"]
    assert shown.evaluate("element => [element.left.value, element.right.value]") == ["1", "2"]
    import tifffile

    (first, one), (second, two) = download(page, 0), download(page, 1)
    assert (first, second) == (f"deep_{tiny}.tif", "deep_general.tif")
    contents = [tifffile.imread(path) for path in (one, two)]
    assert contents[0].dtype == contents[1].dtype == np.uint16
    assert (contents[0] != contents[1]).any()


def test_several_files_give_a_list_and_an_archive_and_a_bad_one_gives_a_sentence(visit, photo, deep, tiny, tmp_path):
    bad = tmp_path / "notes.jpg"
    bad.write_text("this is no photo")
    page = visit()
    choose(page, "Network", tiny)
    give(page, photo, bad, deep)
    expect(page.locator("#pb-results label")).to_have_count(2)
    expect(page.locator("#pb-stop")).to_be_hidden()
    assert "notes.jpg is neither an image nor a video that passband reads" in page.locator("#pb-status").inner_text()
    page.locator("#pb-results label", has_text="my photo.jpg").click()
    expect(page.locator("#pb-details h2")).to_contain_text("my photo.jpg")
    with page.expect_download() as started:
        page.locator("#pb-archive a").click()
    with zipfile.ZipFile(io.BytesIO(started.value.path().read_bytes())) as archive:
        assert sorted(archive.namelist()) == ["deep_restored.tif", "my photo_restored.jpg"]


def test_the_first_result_stays_while_others_are_made_and_a_reload_shows_all_but_to_no_other_person(
    visit, photo, deep, tiny, tmp_path
):
    name = "Best of $1!.jpg"  # Gradio leaves out both marks
    (tmp_path / name).write_bytes(photo.read_bytes())
    page = visit()
    choose(page, "Network", tiny)
    give(page, tmp_path / name, deep)
    labels = page.locator("#pb-results label")
    expect(labels).to_have_text([f"{name} · {tiny}", f"deep.tif · {tiny}"])
    expect(page.locator("#pb-stop")).to_be_hidden()
    expect(page.locator("#pb-details h2")).to_contain_text(name)
    assert download(page)[0] == "Best of $1!_restored.jpg"
    shown = viewer(page)
    shown.locator("#zoom-in").click()
    scale = shown.evaluate("element => element.scale")
    strength = page.get_by_label("number input for Strength")
    strength.fill("0.5")
    strength.press("Enter")
    page.locator("#pb-drop").get_by_label("Remove deep.tif").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(labels).to_have_count(3)
    expect(page.locator("#pb-details")).to_contain_text(f"Restored by {tiny} with strength 0.5 in ")
    assert shown.evaluate("element => element.scale") == scale  # it is the same photo
    command = page.locator("#pb-cli textarea")
    expect(command).to_have_value(re.compile("--strength 0.5$"))
    page.reload()
    expect(labels).to_have_count(3)
    expect(page.locator("#pb-results input:checked")).to_have_value(f"{name} · {tiny} · strength 0.5")
    expect(command).to_have_value(re.compile("--strength 0.5$"))
    viewer(page)
    give(page, tmp_path / name)  # the new list knows no photo
    expect(labels).to_have_count(4)
    other = visit()
    other.wait_for_function("sessionStorage.getItem('passband-visit')")  # all that was to be shown again is there
    expect(other.locator("passband-viewer")).to_have_count(0)
    expect(other.locator("#pb-results")).to_be_hidden()


def test_photos_are_restored_also_if_others_of_the_list_were_removed(visit, photo, tiny, tmp_path):
    names = [f"{tmp_path.name}-{secrets.token_hex(8)}.jpg" for _ in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(photo.read_bytes())
    page = visit()
    choose(page, "Network", tiny)
    give(page, tmp_path / names[0])
    expect(page.locator("#pb-details h2")).to_contain_text(names[0])
    (upload,) = Path(tempfile.gettempdir()).glob(f"passband-app-*/uploads/*/{names[0]}")
    upload.unlink()  # as the page does after an hour, or to make room
    give(page, tmp_path / names[1])
    expect(page.locator("#pb-details h2")).to_contain_text(names[1])
    expect(page.locator("#pb-status [role=alert]")).to_have_count(0)
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.locator("#pb-status [role=alert]")).to_contain_text(f"{names[0]} was not uploaded to this page, or")
    page.locator("#pb-drop").get_by_label(f"Remove {names[0]}").click()  # the person removes it from the list
    give(page, tmp_path / names[2])
    expect(page.locator("#pb-details h2")).to_contain_text(names[2])


def test_files_that_are_too_large_are_refused_in_words(visit, tmp_path):
    Image.new("L", (1200, 900)).save(tmp_path / "large.png")
    page = visit()
    assert "up to 3 MB and 1 megapixel each" in page.locator(".pb-limits").inner_text()
    give(page, tmp_path / "large.png")
    expect(page.locator("#pb-status")).to_contain_text("large.png has 1200 x 900 pixels")


def test_photos_that_are_added_join_the_work_until_it_is_canceled_and_only_new_ones_start_later(
    visit, photo, deep, tiny, tmp_path
):
    Image.open(photo).resize((1000, 800)).save(tmp_path / "long.jpg")
    page = visit()
    give(page, tmp_path / "long.jpg")
    page.locator("#pb-stop").wait_for()
    give(page, photo)
    expect(page.locator("#pb-status")).to_contain_text("0 of 2 done")
    page.locator("#pb-stop").click()
    expect(page.locator("#pb-stop")).to_be_hidden()
    expect(page.locator("#pb-status .pb-problem")).to_have_text(["The work was canceled."])
    choose(page, "Network", tiny)
    give(page, deep)
    viewer(page)
    expect(page.locator("#pb-details h2")).to_contain_text("deep.tif")
    expect(page.locator("#pb-results")).to_be_hidden()  # one result needs no list


def test_names_are_shown_on_one_line_in_the_order_of_their_letters(visit, photo, tiny, tmp_path):
    (tmp_path / "photo\u202egpj.exe.jpg").write_bytes(photo.read_bytes())
    long = tmp_path / f"{'x' * 200}.jpg"
    long.write_bytes(photo.read_bytes())
    page = visit(width=390)
    choose(page, "Network", tiny)
    give(page, tmp_path / "photo\u202egpj.exe.jpg", long)
    expect(page.locator("#pb-results label")).to_have_count(2)
    expect(page.locator("#pb-stop")).to_be_hidden()
    for place in ("#pb-results", "#pb-drop"):
        text = page.locator(place).inner_text()
        assert "gpj.exe" in text
        assert "\u202e" not in text
    assert f"{'x' * 27} ... {'x' * 23}.jpg" in page.locator("#pb-results").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_tiny_image_is_large_enough_to_see(visit, tiny, tmp_path):
    Image.new("RGB", (16, 12), "red").save(tmp_path / "icon.png")
    page = visit()
    choose(page, "Network", tiny)
    give(page, tmp_path / "icon.png")
    shown = viewer(page)
    expect(shown.locator("#percent")).to_have_text("1500 %")
    assert shown.evaluate("element => element.scale * element.width") == 240


def test_the_viewer_zooms_at_the_pointer_and_moves_by_keyboard_alone(visit, photo, tiny):
    page = visit()
    page.get_by_role("button", name="Hazy cup").focus()
    page.keyboard.press("Enter")
    shown = viewer(page)
    line = shown.get_by_role("slider")
    line.focus()
    assert line.get_attribute("aria-valuenow") == "50"
    page.keyboard.press("ArrowLeft")
    expect(line).to_have_attribute("aria-valuenow", "48")
    page.keyboard.press("End")
    expect(line).to_have_attribute("aria-valuenow", "100")
    fitted = shown.evaluate("element => element.scale")
    page.keyboard.press("+")
    assert shown.evaluate("element => element.scale") == pytest.approx(1.25 * fitted)
    page.keyboard.press("0")
    assert shown.evaluate("element => element.scale") == pytest.approx(fitted)
    page.keyboard.press("1")
    expect(shown.locator("#percent")).to_have_text("100 %")
    page.keyboard.press("l")
    expect(shown.locator("#glass")).to_be_visible()
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")
    page.keyboard.press("0")
    box = shown.locator("#stage").bounding_box()
    at = "element => [(200 - element.x) / element.scale, (100 - element.y) / element.scale]"
    before = shown.evaluate(at)
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.wheel(0, -300)
    page.wait_for_function("scale => document.querySelector('passband-viewer').scale > scale", arg=fitted)
    assert shown.evaluate(at) == pytest.approx(before, abs=1)  # the pointer is at whole pixels of the screen
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 100)
    page.mouse.up()
    assert shown.evaluate(at)[0] < before[0]


@pytest.mark.parametrize(
    ("width", "scheme", "example", "words", "picture"),
    [
        (1280, "light", "Rainy launch", "Restored by derain-small", "app.jpg"),
        (390, "dark", "Clean portrait", "Left alone", "app-phone.jpg"),
    ],
)
def test_the_page_fits_and_axe_finds_nothing_serious(visit, width, scheme, example, words, picture):
    page = visit(width=width, scheme=scheme)
    page.get_by_role("button", name=example).click()
    viewer(page)
    assert words in page.locator("#pb-details").inner_text()
    screenshot(page, picture, full_page=width > 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("scrollTo(0, 0)")
    brightness = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))[:40].mean()
    assert (brightness < 128) == (scheme == "dark")
    assert serious(page) == []


def test_networks_of_ones_own_classify_and_segment_and_runs_are_shown(visit, photo, tmp_path):
    page = visit()
    page.get_by_role("tab", name="Classify").click()
    page.locator("#pb-classification input[type=file]").set_input_files(str(photo))
    expect(page.locator("#pb-classification-result")).to_contain_text(
        "Channels that the gate opened for this image: 45"
    )
    assert page.locator("#pb-classification-result .pb-open").count() == 45
    assert page.locator("#pb-classification-result .pb-bar").count() == 3
    command = page.locator("#pb-classification-cli textarea")
    expect(command).to_have_value(re.compile("^passband classify 'my photo.jpg' --weights "))
    screenshot(page, "app-classify.jpg")
    assert serious(page) == []
    page.get_by_role("tab", name="Segment").click()
    page.locator("#pb-segmentation input[type=file]").set_input_files(str(photo))
    page.locator("#pb-segmentation-result passband-viewer[ready]").wait_for()
    assert "background" in page.locator("#pb-segmentation-result").inner_text()
    screenshot(page, "app-segment.jpg")
    assert serious(page) == []
    page.get_by_role("tab", name="Runs").click()
    expect(page.locator("#pb-run-facts")).to_contain_text("my-recipe")
    page.locator("#pb-run-facts img").first.wait_for()
    screenshot(page, "app-runs.jpg", full_page=True)
    with page.context.expect_page() as opened:
        page.locator("#pb-reports a").click()
    expect(opened.value.get_by_role("heading")).to_have_text("a report")
    assert serious(page) == []


def test_the_spectrum_tells_restored_from_invented_if_a_clean_version_is_given(visit, photo, tiny, tmp_path):
    page = visit()
    choose(page, "Network", tiny)
    give(page, photo)
    viewer(page)
    page.get_by_role("button", name="Frequencies before and after").click()
    page.get_by_role("button", name="Show the spectrum").click()
    expect(page.locator("#pb-spectrum-result")).to_contain_text("Without a clean version")
    page.locator("#pb-clean input[type=file]").set_input_files(str(photo))
    expect(page.locator("#pb-spectrum-result")).to_contain_text("invented")
    page.locator("#pb-spectrum-result img").wait_for()
