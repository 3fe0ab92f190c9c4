"""The page in a process of its own for the tests of this folder, and one Chromium for those of each file.

The page ends with the folder, because an open page takes memory and a part of a core from all later tests. Chromium
ends with the file, because its driver occupies the event loop, which tests of other files need.
"""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import data

from passband.app import Limits
from passband.app.html.words import limits_sentence
from tests.classifiers import save_classifier
from tests.segmenters import save_segmenter

PATIENCE = 120_000
"""Time in milliseconds that the page gets for anything, on a machine that does other work as well."""


@pytest.fixture(scope="session")
def own_networks(tmp_path_factory):
    """Return the folders of a segmenter and of a classifier."""
    segmenter = save_segmenter(tmp_path_factory.mktemp("segmenter"))
    classifier = save_classifier(tmp_path_factory.mktemp("classifier"), "gated-dct-resnet18", channels="192")
    state = load_file(classifier / "model.safetensors")
    for number in range(192):
        if sum(divmod(number % 64, 8)) > 4:  # the gate is closed for fine channels
            state["gate.pair.bias"].view(192, 2)[number] = torch.tensor([9.0, 0.0])
    save_file(state, classifier / "model.safetensors")
    return segmenter, classifier


@pytest.fixture(scope="package")
def address(tiny_weights, own_networks, tmp_path_factory):
    """Start the page with small limits, further weights and a folder of runs, and return its address."""
    segmenter, classifier = own_networks
    runs = tmp_path_factory.mktemp("runs")
    write_run(runs / "one")
    (runs / "report.html").write_text("<h1>a report</h1>")
    log = tmp_path_factory.mktemp("page") / "log.txt"
    command = [sys.executable, "-m", "passband", "app", "--port", "0", "--workers", "1"]
    command += ["--weights", str(segmenter), "--weights", str(classifier), "--runs", str(runs)]
    command += ["--weights", str(tiny_weights), "--max-megapixels", "1", "--max-megabytes", "3"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        match = re.search(r"http://\S+?/", line)
        assert match, f"{line}{log.read_text()}"
        yield match[0]
    finally:
        process.terminate()
        process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM


def write_run(folder):
    """Write the folder of a run that trains."""
    (folder / "validation").mkdir(parents=True)
    (folder / "run.json").write_text('{"recipe": {"name": "my-recipe"}}')
    losses = [0.02 + 0.2 * math.exp(-step / 60) * (1 + 0.2 * math.sin(step)) for step in range(1, 201)]
    rows = (f"{step},{loss:.5f}" for step, loss in enumerate(losses, start=1))
    (folder / "log.csv").write_text("\n".join(("step,loss", *rows)))
    scores = ((50, 24.5), (100, 27.25), (150, 28.5), (200, 28.75))
    (folder / "validation.csv").write_text("\n".join(("step,psnr", *(f"{step},{psnr}" for step, psnr in scores))))
    photo = data.astronaut()[:200, 60:360]
    haze = (0.5 * photo + 110).astype(np.uint8)
    Image.fromarray(np.hstack([haze, photo, photo])).save(folder / "validation" / "step-200.png")


def screenshot(page, name, **options):
    """Make a picture of the documentation, if PASSBAND_SCREENSHOTS names a folder for it, such as docs."""
    if folder := os.environ.get("PASSBAND_SCREENSHOTS"):
        page.evaluate("document.activeElement?.blur()")
        usual = limits_sentence(Limits())  # the page of the tests has smaller limits
        page.evaluate("text => document.querySelector('#pb-limits p').textContent = text", usual)
        short = "one => (one.value = one.value.replace(/\\/\\S+\\//, 'runs/'))"  # without temporary folders
        page.evaluate(f"document.querySelectorAll('.pb-cli textarea').forEach({short})")
        page.screenshot(**{"path": Path(folder) / name, "type": "jpeg", "quality": 75, **options})


@pytest.fixture(scope="session")
def tiny(tiny_weights):
    """Return the name of the small weights on the page."""
    return Path(tiny_weights).name


@pytest.fixture
def visit(browser, address):
    """Return a function that opens the page in a new session. Errors of its scripts fail the test."""
    contexts, errors = [], []

    def open_page(width=1280, height=900, scheme="light", path="", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if _is_own(request.url, address) else errors.append(request.url))
        page.goto(address + path)
        page.get_by_role("button", name="Restore", exact=True).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def _is_own(url, address):
    return url.startswith((address, "data:", "blob:"))


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """Return the path of a small photo with 8 bits and EXIF."""
    path = tmp_path_factory.mktemp("photos") / "my photo.jpg"
    exif = Image.Exif()
    exif[0x010F] = "Camera of the tests"
    Image.fromarray(data.astronaut()[60:220, 150:350]).save(path, quality=92, exif=exif)
    return path


@pytest.fixture(scope="session")
def deep(tmp_path_factory):
    """Return the path of a TIFF of 16 bits, which browsers do not show."""
    import tifffile

    path = tmp_path_factory.mktemp("photos") / "deep.tif"
    tifffile.imwrite(path, data.astronaut()[60:124, 150:246].astype(np.uint16) * 257, photometric="rgb")
    return path
