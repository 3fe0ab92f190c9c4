"""Measures the gains of networks on images that none of them learned from: folders of pairs, and second generators.

    python benchmarks/restoration/unseen.py [FOLDER...] [--side-by-side FOLDER...] [--generators KODAK]
        [--depth MIDDLEBURY] [--weights NAME or LABEL=PATH ...] [--hold-out 5] [--limit 12] [--longest 1024]
        [--count 6] [--crop 384] [--kinds rain clean ...] [--seed 2026] [--threads 1] [-o unseen.json]

All are scored alike: PSNR in dB and SSIM on float RGB, one value per picture, then the mean; the least gain; the share
of pictures that became worse. Networks are those that ship and those named, also of other projects, as `passband
restore --weights` takes them.

FOLDER holds pairs as `passband evaluate --data` takes them; that of `--side-by-side` holds pictures whose left half is
clean and whose right half is degraded. A folder from which something was learned is scored on the part that was held
out: `--hold-out 5` takes the first, sixth, eleventh pair by name and so on, without those whose clean picture is also
that of a pair in between, or in a folder of `--learned`. Large pictures are restored by bands; `--longest` reduces both
of a pair instead, and `--crop` cuts out the middle of every picture.

KODAK is a folder of clean photographs. Each is degraded by the second generator of every kind
(`benchmarks/restoration/second_generators.py`), from which no network ever learns, and by the generator that networks
learn from; the last table has the gains on both and their ratio. The kind `clean` passes the photographs through.
`--depth` is a folder of scenes with true disparities, such as Middlebury's of 2005 and 2006, whose photographs are
filled with haze.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from second_generators import SECOND, degrade_second
from torch import Tensor

from passband.data.datasets.crops import CLEAN, degraded_as_file, read_pair
from passband.data.degradations import KINDS
from passband.data.images import find_images
from passband.data.near_duplicates import ALIKE, SIDE, hash_distances, perceptual_hash
from passband.data.pairs import find_pairs
from passband.data.selection import evenly
from passband.inference import Restorer
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics import psnr, ssim
from passband.weights_finding import shipped_weights

DEPTH = "haze-depth"
"""Name of haze from true disparities, in addition to the kinds of `SECOND`."""
MOST = 100.0
"""PSNR of equal images in dB, which keeps means finite."""


@dataclass(frozen=True)
class Item:
    """A degraded and a clean image, 3 H W, which are read when they are needed."""

    name: str
    read: Callable[[], tuple[Tensor, Tensor]]


def reduced(picture: Tensor, longest: int | None) -> Tensor:
    """Return an image reduced to a longest side in pixels."""
    height, width = picture.shape[-2:]
    if longest is None or max(height, width) <= longest:
        return picture
    size = [max(1, round(side * longest / max(height, width))) for side in (height, width)]
    return F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def cropped(picture: Tensor, side: int | None) -> Tensor:
    """Return the middle of an image."""
    height, width = picture.shape[-2:]
    side = side or max(height, width)
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return picture[:, top : top + side, left : left + side].contiguous()


def as_asked(picture: Tensor, options: argparse.Namespace) -> Tensor:
    """Return an image of a pair, reduced and cropped as the options say."""
    return cropped(reduced(picture, options.longest), options.crop)


def held_out(items: list[Item], options: argparse.Namespace) -> list[Item]:
    """Return every Nth item from the first, without those whose clean image is nearly one that was learned from.

    Raises:
        ValueError: if none is left.
    """
    scored = items[:: options.hold_out]
    if options.hold_out == 1 and not options.learned:
        return scored
    codes = torch.stack([hash_of(item.read()[1]) for item in items])
    places = torch.arange(len(items)) % options.hold_out == 0
    photos = [hash_of(read_image(path))[None] for folder in options.learned for path in find_images(folder)]
    learned = torch.cat([codes[~places], *photos])
    is_shared = (hash_distances(codes[places], learned) <= ALIKE).any(1)
    kept = [item for item, shared in zip(scored, is_shared.tolist(), strict=True) if not shared]
    if not kept:
        raise ValueError(f"none of {len(scored)} pairs is left to score: all clean images are among learned photos")
    return kept


def hash_of(picture: Tensor) -> Tensor:
    """Return the hash of an image."""
    return perceptual_hash(F.adaptive_avg_pool2d(picture.mean(0, keepdim=True), SIDE)[0])


def pair_items(folder: Path, options: argparse.Namespace) -> list[Item]:
    """Return the pairs of a folder that are scored."""
    pairs = sorted(find_pairs(folder), key=lambda pair: pair.name)

    def read(pair: Any) -> tuple[Tensor, Tensor]:
        degraded, clean = read_pair(pair)
        return degraded, clean

    return scored_items([Item(pair.name, partial(read, pair)) for pair in pairs], options)


def side_by_side_items(folder: Path, options: argparse.Namespace) -> list[Item]:
    """Return pairs from images with the clean half at the left and the degraded half at the right."""
    paths = sorted(find_images(folder), key=lambda path: path.name)

    def read(path: Path) -> tuple[Tensor, Tensor]:
        both = read_image(path)
        half = both.shape[-1] // 2
        return both[..., -half:], both[..., :half]

    return scored_items([Item(path.stem, partial(read, path)) for path in paths], options)


def scored_items(items: list[Item], options: argparse.Namespace) -> list[Item]:
    """Return the pairs that are scored, reduced and cropped as the options say; whole images tell which are alike."""

    def read(item: Item) -> tuple[Tensor, Tensor]:
        degraded, clean = (as_asked(one, options) for one in item.read())
        return degraded, clean

    return [Item(item.name, partial(read, item)) for item in evenly(held_out(items, options), options.limit)]


def generated_items(degrade: Callable[..., Tensor], kind: str, options: argparse.Namespace) -> list[Item]:
    """Return degraded photos. The degradation of a photo does not depend on the number of photos."""

    def read(index: int, path: Path) -> tuple[Tensor, Tensor]:
        clean = read_image(path)
        degraded = degrade(clean, kind, seed=options.seed, index=index)  # before the cut: a scene has its size
        return cropped(degraded, options.crop), cropped(clean, options.crop)

    photographs = list(enumerate(find_images(options.generators)))
    return [Item(path.stem, partial(read, index, path)) for index, path in evenly(photographs, options.count)]


def depth_items(options: argparse.Namespace) -> list[Item]:
    """Return scenes with true disparities, filled with haze."""

    def read(index: int, view: Path, disparities: Path, offset: float) -> tuple[Tensor, Tensor]:
        clean = read_image(view)
        stored = np.asarray(Image.open(disparities).convert("L"), dtype=np.float64)
        true = np.where(stored > 0, stored + offset, 0)
        return degrade_second(clean, "haze", seed=options.seed, index=index, disparity=true), clean

    items = []
    for folder in sorted(path for path in options.depth.iterdir() if path.is_dir()):
        for view, disparities in (("view1.png", "disp1.png"), ("im2.png", "disp2.png")):
            if (folder / view).exists() and (folder / disparities).exists():
                least = folder / "dmin.txt"  # what was taken off disparities, in pixels of pictures three times larger
                offset = float(least.read_text()) / 3 if least.exists() else 0.0
                items.append(Item(folder.name, partial(read, len(items), folder / view, folder / disparities, offset)))
    return items


def score(items: Sequence[Item], restorers: dict[str, Restorer], clean: bool) -> dict[str, Any]:
    """Restore every picture by every network.

    Args:
        items: the pictures.
        restorers: networks by their labels.
        clean: whether nothing is wrong with the pictures, so that there is no gain.
    """
    rows: dict[str, list[dict[str, Any]]] = {label: [] for label in restorers}
    inputs = []
    seconds = dict.fromkeys(restorers, 0.0)
    for item in items:
        degraded, target = (one[None] for one in item.read())
        before = [min(MOST, psnr(degraded, target).item()), ssim(degraded, target).item()]
        inputs.append(before)
        for label, restorer in restorers.items():
            started = time.perf_counter()
            restored = restorer.restore(degraded).cpu()
            seconds[label] += time.perf_counter() - started
            after = min(MOST, psnr(restored, target).item())
            rows[label].append(
                {"name": item.name, "psnr_degraded": before[0], "psnr": after, "ssim": ssim(restored, target).item()}
            )
    psnr_in, ssim_in = np.mean(inputs, axis=0).tolist()
    networks = {}
    for label, found in rows.items():
        after, gains = [row["psnr"] for row in found], [row["psnr"] - row["psnr_degraded"] for row in found]
        networks[label] = {
            "psnr": float(np.mean(after)),
            "gain": None if clean else float(np.mean(gains)),
            "least": min(after) if clean else min(gains),
            "worse": None if clean else float(np.mean(np.array(gains) < 0)),
            "ssim": float(np.mean([row["ssim"] for row in found])),
            "seconds": seconds[label],
            "pictures": found,
        }
    return {"n": len(items), "psnr": psnr_in, "ssim": ssim_in, "networks": networks}


def show(title: str, figures: dict[str, Any]) -> None:
    """Print the scores of one set."""
    given = "" if title == CLEAN else f", degraded {figures['psnr']:.2f} dB, SSIM {figures['ssim']:.4f}"
    print(f"\n{title}: {figures['n']} pictures{given}")
    print(f"{'':<22}{'PSNR':>8}{'gain':>8}{'least':>8}{'worse':>8}{'SSIM':>9}")
    for label, row in figures["networks"].items():
        gain = "" if row["gain"] is None else f"{row['gain']:+.2f}"
        worse = "" if row["worse"] is None else f"{100 * row['worse']:.0f} %"
        least = f"{row['least']:.2f}" if row["gain"] is None else f"{row['least']:+.2f}"
        print(f"{label:<22}{row['psnr']:>8.2f}{gain:>8}{least:>8}{worse:>8}{row['ssim']:>9.4f}", flush=True)


def show_ratios(sets: dict[str, Any], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Print the gains on both generators of each kind side by side, and return them."""
    ratios: dict[str, dict[str, Any]] = {}
    print("\ngain in dB on the generator learned from, on the second one, and the ratio of the second to the first")
    print(f"{'':<13}" + "".join(f"{label:>24}" for label in labels))
    for kind in SECOND:
        first, second = sets.get(f"trained {kind}"), sets.get(f"second {kind}")
        if second is None:
            continue
        texts = []
        for label in labels:
            found = second["networks"][label]["gain"]
            known = first["networks"][label]["gain"] if first else None
            ratio = found / known if known is not None and known > 0.1 else None
            ratios.setdefault(kind, {})[label] = {"trained": known, "second": found, "ratio": ratio}
            texts.append(
                f"{'-' if known is None else f'{known:+.2f}'} {found:+.2f} {'-' if ratio is None else f'{ratio:.2f}'}"
            )
        print(f"{kind:<13}" + "".join(f"{text:>24}" for text in texts))
    return ratios


def chosen_sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Item]]]:
    """Return the sets to score, by name."""
    for folder in options.folders:
        yield folder.name, pair_items(folder, options)
    for folder in options.side_by_side:
        yield folder.name, side_by_side_items(folder, options)
    if options.depth and DEPTH in options.kinds:
        yield f"second {DEPTH}", evenly(depth_items(options), options.count)
    if options.generators:
        for kind in (kind for kind in SECOND if kind in options.kinds):
            yield f"second {kind}", generated_items(degrade_second, kind, options)
            if kind in KINDS:
                yield f"trained {kind}", generated_items(degraded_as_file, kind, options)
        if CLEAN in options.kinds:
            yield CLEAN, generated_items(degraded_as_file, CLEAN, options)


def main() -> None:
    kinds = [*SECOND, DEPTH, CLEAN]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="folders of pairs that were not used for training"
    )
    parser.add_argument(
        "--side-by-side",
        nargs="+",
        type=Path,
        default=[],
        help="folders of images, clean at the left and degraded at the right",
    )
    parser.add_argument("--generators", type=Path, help="folder of clean photos for the generators")
    parser.add_argument("--depth", type=Path, help="folder of scenes with disparities, for haze")
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--weights", nargs="+", default=[], help="further networks, NAME or LABEL=PATH")
    parser.add_argument("--only", action="store_true", help="leave out the shipped networks")
    parser.add_argument(
        "--hold-out",
        type=int,
        default=1,
        help="score every Nth pair, from the first, if no pair in between shows the same clean image",
    )
    parser.add_argument(
        "--learned", nargs="+", type=Path, default=[], help="folders of photos whose pairs are left out as well"
    )
    parser.add_argument("--limit", type=int, help="largest number of pairs of a folder")
    parser.add_argument("--longest", type=int, help="longest side in pixels to which larger pairs are reduced")
    parser.add_argument("--count", type=int, help="largest number of clean photos")
    parser.add_argument("--crop", type=int, help="side in pixels of the middle that is cut out of every image")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory", help="memory limit, such as 2GB")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    if not (options.folders or options.side_by_side or options.generators or options.depth):
        parser.error("nothing to score: name a folder of pairs, or --side-by-side, --generators or --depth")
    if options.threads:
        torch.set_num_threads(options.threads)
    names = [] if options.only else list(shipped_weights())
    sources = {name: name for name in names}
    for text in options.weights:
        label, found, path = text.partition("=")
        sources[label if found else Path(text).name] = path if found else text
    if not sources:
        parser.error("no network to score: --only needs --weights")
    restorers = {
        label: Restorer(source, options.device, options.memory, precision="float32")
        for label, source in sources.items()
    }
    protocol = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(options).items()
        if key in ("seed", "hold_out", "limit", "longest", "count", "crop")
    }
    figures: dict[str, Any] = {"protocol": protocol, "weights": sources, "sets": {}}
    print(f"PSNR in dB and SSIM on float RGB, mean of each picture's own; {protocol}")
    for title, items in chosen_sets(options):
        if not items:
            print(f"\n{title}: no pictures", flush=True)
            continue
        figures["sets"][title] = score(items, restorers, title == CLEAN)
        show(title, figures["sets"][title])
        if options.output is not None:
            write_json(options.output, figures)  # a run that is cut short leaves what it has
    figures["ratios"] = show_ratios(figures["sets"], list(sources))
    if options.output is not None:
        write_json(options.output, figures)


if __name__ == "__main__":
    main()
