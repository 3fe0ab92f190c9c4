"""Measures the web page in Chromium: first paint, slider, zoom, and ten people at once.

    python benchmarks/speed/page.py [--parts paint slider zoom clients] [--seconds 300] [--clients 10] [-o page.json]

- paint: time until the page of a new browser shows its first content, and until its tab Restore can be used.
- slider: time from a move of the ratio slider to the new image, for a photo of one megapixel.
- zoom: longest time between two frames (`requestAnimationFrame`) while the wheel zooms into a photo of a phone (12
  megapixels, JPEG 4:2:0 with an orientation), and while the pointer moves it, for two seconds each.
- clients: people who restore photos one after the other through the HTTP API. Notes failures, the memory of the page
  and its workers (shared pages count once), and the time from the cancellation of a job to the start of the next one.

The page runs in this process. Photos are enlarged examples of the page, so no download is needed.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from figures import write_figures
from PIL import Image

from passband.app import AppSettings, launch
from passband.app.files.uploads import EXAMPLES
from passband.app.work.restoration import RestoreRequest

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
PATIENCE = 600_000
"""Time in milliseconds that the page gets for anything."""
PHONE = (4032, 3024)
"""Width and height of the photo of a phone, as its sensor stores it."""
SLIDE = """async value => {
  const slider = document.querySelector('#pb-ratio input[type=range]');
  const image = () => document.querySelector('#pb-parts img')?.src;
  const before = image(), started = performance.now();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(slider, value);
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  while (image() === before) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""
"""Moves the slider, and returns the time in milliseconds until another image is on the page."""
FRAMES = """async ([seconds, kind]) => {
  const stage = document.querySelector('passband-viewer').stage, box = stage.getBoundingClientRect();
  const x = box.left + box.width / 2, y = box.top + box.height / 2, times = [];
  const send = (name, more) => stage.dispatchEvent(new (name === 'wheel' ? WheelEvent : PointerEvent)(name,
    {clientX: x, clientY: y, bubbles: true, cancelable: true, pointerId: 1, ...more}));
  stage.setPointerCapture = () => {};  // needs a true pointer
  if (kind === 'pan') send('pointerdown');
  const started = performance.now();
  for (let number = 0, last = started; performance.now() - started < 1000 * seconds; number++) {
    const now = await new Promise(requestAnimationFrame);
    if (number) times.push(now - last);
    last = now;
    const way = Math.sin((now - started) / 300);
    if (kind === 'zoom') send('wheel', {deltaY: Math.floor((now - started) / 1000) % 2 ? 60 : -60});
    else send('pointermove', {clientX: x + 200 * way, clientY: y + 100 * way});
  }
  if (kind === 'pan') send('pointerup');
  return times;
}"""
"""Zooms or moves the image in each frame, and returns the times between frames in milliseconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="parts to measure")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of paint and slider")
    parser.add_argument("--seconds", type=float, default=300, help="time of the clients in seconds")
    parser.add_argument("--clients", type=int, default=10, help="number of people at once")
    parser.add_argument("--weights", default="general", help="network of all restorations")
    parser.add_argument("--as-client", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    if options.as_client:
        visit(options.as_client, options)
        return
    server = launch(
        AppSettings(port=0, weights=() if options.weights == "general" else (options.weights,)), block=False
    )
    options.weights = next(name for name, path in server.weights.items() if path == options.weights)
    figures: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for part in options.parts:
                figures[part] = PARTS[part](server, options, Path(folder))
                print(
                    f"{part}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures[part].items()), flush=True
                )
    finally:
        server.close()
    write_figures(options.output, figures)


@contextmanager
def browsing() -> Iterator[Any]:
    """Start Chromium, and yield a function that opens a page of a new visitor."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))

        def visitor(url: str) -> Any:
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(url)
            return page

        yield visitor
        browser.close()


def chromium() -> str:
    """Return the path of Chromium."""
    import shutil

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("The measurement needs Chromium. Install it with: apt-get install chromium")
    return path


def paint(server: Any, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Measure the first paint and the time until the page can be used, in seconds."""
    painted, usable = [], []
    for _ in range(options.rounds):
        with browsing() as visitor:
            page = visitor(server.url)
            started = page.evaluate("performance.timeOrigin")
            page.get_by_role("button", name="Restore", exact=True).wait_for()
            usable.append((page.evaluate("performance.timeOrigin + performance.now()") - started) / 1000)
            entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            painted.append(page.evaluate(entry) / 1000)
    return {"first_paint_s": median(painted), "longest_first_paint_s": max(painted), "usable_s": median(usable)}


def slider(server: Any, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Measure the time from a move of the slider to the new image, in seconds."""
    photo = folder / "megapixel.jpg"
    Image.open(EXAMPLES[0]).convert("RGB").resize((1250, 800)).save(photo, quality=95)
    with browsing() as visitor:
        page = visitor(server.url)
        page.get_by_role("tab", name="Frequencies").click()
        page.locator("#pb-look input[type=file]").set_input_files(str(photo))
        page.locator("#pb-channels img").first.wait_for()
        page.wait_for_timeout(3000)  # the other parts of the tab are computed first
        times = [page.evaluate(SLIDE, value) / 1000 for value in (30, 45, 20, 60, 35)[: options.rounds]]
    return {"median_s": median(times), "longest_s": max(times)}


def zoom(server: Any, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Measure the longest frame of zooming and moving, in milliseconds."""
    photo = folder / "IMG_0001.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(EXAMPLES[0]).convert("RGB").resize(PHONE).save(photo, quality=92, subsampling="4:2:0", exif=exif)
    figures: dict[str, float] = {}
    with browsing() as visitor:
        page = visitor(server.url)
        choose(page, options.weights)
        started = time.monotonic()
        page.locator("#pb-drop input[type=file]").set_input_files(str(photo))
        page.locator("passband-viewer[ready]").wait_for()
        figures["restored_s"] = time.monotonic() - started
        page.wait_for_timeout(2000)
        for kind in ("zoom", "pan"):
            frames = page.evaluate(FRAMES, [2, kind])
            figures |= {f"{kind}_longest_ms": max(frames), f"{kind}_frames": len(frames)}
    return figures


def choose(page: Any, name: str) -> None:
    """Choose a network."""
    box = page.get_by_role("combobox", name="Network", exact=True)
    if not box.is_visible():
        page.get_by_role("button", name="Settings").click()
    box.click()
    page.locator(f"#{box.get_attribute('aria-controls')}").get_by_role("option", name=name, exact=True).click()


def clients(server: Any, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run the clients, and measure failures, memory in megabytes and times of cancellations in seconds."""
    command = [sys.executable, __file__, "--as-client", server.url, "--weights", options.weights]
    command += ["--clients", str(options.clients), "--seconds", str(options.seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    memory, times, number = [], [], 0
    source = folder / "cancel.png"
    Image.open(EXAMPLES[0]).convert("RGB").resize(PHONE).save(source)
    while process.poll() is None:
        processes = [
            psutil.Process(),
            *(one for one in psutil.Process().children(recursive=True) if one.pid != process.pid),
        ]
        with_memory = (one.memory_full_info().pss for one in processes if one.is_running())
        memory.append(sum(with_memory) / 1e6)
        number += 1
        seconds = cancellation(server, source, folder / str(number), options.weights)
        times += [seconds] if seconds is not None else []
        time.sleep(2)
    done, failed = map(int, process.stdout.read().split())
    half = len(memory) // 2
    return {
        "restored": done,
        "failed": failed,
        "memory_first_half_MB": max(memory[:half], default=0),
        "memory_last_half_MB": max(memory[half:], default=0),
        "cancellations": len(times),
        "longest_cancellation_s": max(times, default=0),
    }


def cancellation(server: Any, source: Path, folder: Path, weights: str) -> float | None:
    """Start a long job, cancel it while it runs, and return the time until its worker has another job or is free."""
    job = server.jobs.submit("the person who cancels", RestoreRequest(source, folder, server.weights[weights]))
    if not wait_for(lambda: touch(job).state == "running", 60):
        server.jobs.cancel(job)
        return None
    time.sleep(1)
    started = time.monotonic()
    server.jobs.cancel(job)
    size = server.settings.workers
    if not wait_for(lambda: job.is_over and server.jobs.busy + server.jobs.free >= size, 60):
        return 60.0
    return time.monotonic() - started


def touch(job: Any) -> Any:
    """Mark a job as followed, so that the page does not cancel it."""
    job.seen = time.monotonic()
    return job


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, and tell whether it came true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def visit(address: str, options: argparse.Namespace) -> None:
    """Be all clients: restore examples until the time is over, and print the numbers of results and of failures."""
    from gradio_client import Client, handle_file

    counts, until = [[0, 0] for _ in range(options.clients)], time.monotonic() + options.seconds

    def person(count: list[int], seed: int) -> None:
        draws = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            client = Client(address, verbose=False, download_files=folder, httpx_kwargs={"timeout": 60})
            while time.monotonic() < until:
                path = draws.choice(EXAMPLES)
                try:
                    result, _ = client.predict(handle_file(path), options.weights, 1.0, False, api_name="/restore")
                    count[0] += Path(result).stat().st_size > 0
                except Exception as error:
                    print(error, file=sys.stderr)
                    count[1] += 1

    threads = [threading.Thread(target=person, args=(count, seed)) for seed, count in enumerate(counts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*(sum(column) for column in zip(*counts, strict=True)))


PARTS: dict[str, Callable[[Any, argparse.Namespace, Path], dict[str, float]]] = {
    "paint": paint,
    "slider": slider,
    "zoom": zoom,
    "clients": clients,
}
"""Functions that measure each part, by its name."""

if __name__ == "__main__":
    main()
