"""Takes files of a phone through the page: an upright JPEG, a HEIC, and a video with sound; and a narrow screen."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import expect
from skimage import data

from passband import Restorer
from passband.app.html.results import status
from passband.app.work.jobs import Job, note_progress
from passband.app.work.requests import Predictors
from passband.app.work.restoration import RestoreRequest
from passband.app.work.restoring import Moment
from passband.inference import VideoProgress, plan_jobs, restore_files
from passband.inference.files.restoring import ImageProgress
from passband.io.image.size import stored_size
from tests import clips
from tests.app.conftest import PATIENCE
from tests.app.test_page import choose, download, give, viewer

expect.set_options(timeout=PATIENCE)

SIDEWAYS = 6
"""EXIF orientation of a photo that was taken with the phone upright: the stored rows are columns of the scene."""


def phone_exif():
    """Return the EXIF data of a phone: maker, orientation and place."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x0131] = "Maker", "Phone 1", SIDEWAYS, "Phone system 18.1"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def scene(width, height):
    """Return a photo of a scene that is higher than wide, as the sensor stores it: turned by 90 degrees."""
    upright = Image.fromarray(data.astronaut()).crop((60, 0, 60 + width, height))
    return upright.transpose(Image.Transpose.ROTATE_90)


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory):
    """Return the path of a JPEG with small chroma, an orientation and a color profile."""
    path = tmp_path_factory.mktemp("phone") / "IMG_0001.JPG"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    scene(144, 208).save(path, "JPEG", quality=90, subsampling="4:2:0", exif=phone_exif(), icc_profile=profile)
    return path


@pytest.fixture(scope="module")
def heic(tmp_path_factory):
    """Return the path of a HEIC with the same scene."""
    import pillow_heif

    path = tmp_path_factory.mktemp("phone") / "IMG_0002.HEIC"
    file = pillow_heif.from_pillow(scene(144, 208))
    file.save(path, quality=90, exif=phone_exif().tobytes())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Return the path of a short video with sound."""
    return clips.write_clip(tmp_path_factory.mktemp("phone") / "clip.mp4", clips.even(6), size=(64, 48))


def watch_words(page):
    """Collect all words of the progress from now on."""
    page.evaluate(
        "window.words = []; new MutationObserver(() => words.push(document.querySelector('#pb-status').innerText))"
        ".observe(document.querySelector('#pb-status'), {childList: true, subtree: true, characterData: true})"
    )


def words_of(html):
    """Return the text of HTML."""
    return re.sub("<[^>]+>", "", html)


@pytest.mark.parametrize("kind", ["jpeg", "heic"])
def test_a_photo_of_a_phone_is_upright_in_the_viewer_and_downloads_as_the_library_writes_it(
    kind, visit, request, tiny, tiny_weights, tmp_path
):
    source = request.getfixturevalue(kind)
    page = visit(width=390, height=844)
    choose(page, "Network", tiny)
    watch_words(page)
    give(page, source)
    shown = viewer(page)
    sizes = "element => [element.leftImage, element.rightImage].map(image => [image.width, image.height])"
    assert shown.evaluate(sizes) == [[144, 208], [144, 208]]
    assert any(source.name in text for text in page.evaluate("words"))
    shown.get_by_role("slider").press("End")
    expect(shown.get_by_role("slider")).to_have_attribute("aria-valuenow", "100")
    name, path = download(page)
    assert name == f"{source.stem}_restored{source.suffix}"
    Restorer(str(tiny_weights)).restore_file(source, tmp_path / name)
    assert path.read_bytes() == (tmp_path / name).read_bytes()


def test_both_images_of_the_viewer_are_drawn_upright(visit, tiny, tmp_path):
    stored = Image.new("RGB", (208, 144), "red")
    stored.paste("blue", (0, 0, 208, 72))  # the right half of the upright image
    stored.save(tmp_path / "halves.jpg", exif=phone_exif(), quality=95)
    page = visit()
    choose(page, "Network", tiny)
    give(page, tmp_path / "halves.jpg")
    shown = viewer(page)
    for key, value in (("Home", "0"), ("End", "100")):  # the right image, and the left one
        shown.get_by_role("slider").press(key)
        expect(shown.get_by_role("slider")).to_have_attribute("aria-valuenow", value)
        x, y, scale = shown.evaluate("element => [element.x, element.y, element.scale]")
        picture = Image.open(io.BytesIO(shown.locator("#stage").screenshot())).convert("RGB")
        for across, color in ((0.3, 0), (0.7, 2)):
            for down in (0.3, 0.7):
                pixel = picture.getpixel((int(x + 144 * scale * across), int(y + 208 * scale * down)))
                assert np.argmax(pixel) == color


def test_a_video_of_a_phone_has_its_first_frame_in_the_viewer_and_downloads_with_its_sound(
    visit, video, tiny, tiny_weights, tmp_path
):
    page = visit()
    choose(page, "Network", tiny)
    watch_words(page)
    give(page, video)
    viewer(page)
    assert "The viewer shows the first frame of the video" in page.locator("#pb-details").inner_text()
    assert any("clip.mp4" in text for text in page.evaluate("words"))
    name, path = download(page)
    assert name == "clip_restored.mp4"
    command = page.locator("#pb-cli textarea").input_value()
    assert command == f"passband restore clip.mp4 --weights {tiny_weights}"
    jobs = plan_jobs([video], tmp_path / name)
    (done,) = restore_files(Restorer(str(tiny_weights)), jobs)
    assert done.status == "restored", done.reason
    copy = tmp_path / "downloaded.mp4"
    copy.write_bytes(path.read_bytes())
    assert clips.packets(copy, 1) == clips.packets(video, 1) == clips.packets(tmp_path / name, 1)
    assert clips.times(copy) == clips.times(video)
    for one, other in zip(clips.frames(copy), clips.frames(tmp_path / name), strict=True):
        # x264 does not repeat its own bits on some processors, so frames are compared instead of bytes
        assert np.abs(one.to_ndarray(format="rgb24").astype(int) - other.to_ndarray(format="rgb24")).mean() < 2


def test_the_progress_names_the_file_the_work_and_the_time_left(video, tmp_path):
    job, other = (Job("me", RestoreRequest(video, tmp_path)) for _ in range(2))
    job.state, other.ahead = "running", 3
    other_words = words_of(status(Moment((other,), (), (), False)))
    assert "clip.mp4 waits for its turn, after 3 other files." in other_words
    note_progress(job, VideoProgress(3, 12, 1.5, 6.0))
    html = status(Moment((job,), (), (), False))
    assert "clip.mp4 is being restored, about 6 seconds left." in words_of(html)
    assert '<span aria-hidden="true">, about 6 seconds left</span>' in html  # or it is read out every second
    assert 'value="0.250"' in html
    note_progress(job, ImageProgress(0.5, 200.0))
    assert "about 3 minutes left" in status(Moment((job,), (), (), False))


def test_the_end_of_the_work_is_said_where_the_progress_was(video, tmp_path):
    job, failed = Job("me", RestoreRequest(video, tmp_path)), Job("me", RestoreRequest(tmp_path / "b.png", tmp_path))
    job.state = "done"
    failed.fail("b.png is broken")
    html = status(Moment((job, job), (), (), True))
    assert words_of(html) == "clip.mp4 is restored. Show the result"
    assert html.index('role="status"') < html.index("clip.mp4")
    same_name = Job("me", RestoreRequest(tmp_path / "other" / video.name, tmp_path))
    same_name.state = "done"
    assert words_of(status(Moment((job, same_name), (), (), True))) == "2 files are restored. Show the result"
    html = status(Moment((failed,), (failed.error,), (), True))
    assert '<div role="status"></div>' in html
    assert 'role="alert">b.png is broken.' in html


def test_a_video_of_a_codec_that_repeats_its_bits_is_the_file_that_the_command_writes(tiny_weights, tmp_path):
    source = clips.write_clip(
        tmp_path / "clip.webm", clips.even(4), codec="libvpx-vp9", audio="libopus", encoder_options={"crf": "20"}
    )
    result = RestoreRequest(source, tmp_path / "out", weights=str(tiny_weights)).do(Predictors())
    (done,) = restore_files(Restorer(str(tiny_weights)), plan_jobs([source], tmp_path / "expected.webm"))
    assert done.status == "restored", done.reason
    for stream in range(2):  # the container itself has a random number
        assert clips.packets(result.target, stream) == clips.packets(tmp_path / "expected.webm", stream)
    assert stored_size(result.before) == stored_size(result.after) == (64, 48)


def test_a_video_of_an_upright_phone_is_upright_in_the_viewer(tiny_weights, tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(2), rotation=90, audio=None)
    result = RestoreRequest(source, tmp_path / "out", weights=str(tiny_weights)).do(Predictors())
    assert stored_size(result.before) == stored_size(result.after) == result.size == (48, 64)


def test_the_switch_names_the_network_in_the_metadata_as_the_command_does(visit, jpeg, tiny, tiny_weights, tmp_path):
    page = visit()
    choose(page, "Network", tiny)
    page.get_by_role("checkbox", name="Name the network in the result").check()
    give(page, jpeg)
    viewer(page)
    name, path = download(page)
    assert name == f"IMG_0001_{tiny}.JPG"
    assert page.locator("#pb-cli textarea").input_value().endswith(" --name-weights")
    Restorer(str(tiny_weights)).restore_file(jpeg, tmp_path / name, name_weights=True)
    assert path.read_bytes() == (tmp_path / name).read_bytes()
    with Image.open(path) as image:
        exif = image.getexif()
    assert f"weights {tiny}, sha256 " in exif[0x0131]
    assert exif[0x010F] == "Maker"


def test_a_narrow_screen_shows_problems_and_ends_without_scrolling(visit, photo, tiny, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    page = visit(width=390, height=600)
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.locator("#pb-status [role=alert]")).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, 0)")
    give(page, tmp_path / "notes.txt")
    expect(page.locator("#pb-status")).to_contain_text("notes.txt is neither an image nor a video")
    expect(page.locator("#pb-status [role=alert]")).to_be_in_viewport(ratio=1)
    choose(page, "Network", tiny)
    give(page, photo)
    viewer(page)
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="Show the result").click()
    expect(page.locator("passband-viewer #stage")).to_be_in_viewport()
    page.get_by_role("tab", name="Frequencies").click()
    page.evaluate("scrollTo(0, 0)")
    page.locator("#pb-look input[type=file]").set_input_files(str(tmp_path / "notes.txt"))
    expect(page.locator("#pb-look-status [role=alert]")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Clean portrait").click()
    expect(page.locator("passband-mosaic")).to_be_attached()
    numbers = page.locator("#pb-numbers").get_by_role("textbox")
    numbers.fill("all")
    numbers.press("Enter")
    expect(page.locator("#pb-channels [role=alert]")).to_be_in_viewport(ratio=1)
