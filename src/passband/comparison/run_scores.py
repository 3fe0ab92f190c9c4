"""Scores runs on the images that they were validated on, with one row for each image."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.utils.data import Dataset

from passband.comparison.groups import Run
from passband.comparison.labels import ContestantError
from passband.data.pair_layouts import DUAL_LAYOUTS, LAYOUTS
from passband.data.pairs import Pair, find_pairs
from passband.evaluation import EVALUATIONS
from passband.io.image import write_image
from passband.io.shards import data_folder
from passband.reports.figures import Figure
from passband.tasks import TASKS

FIGURES = {
    "classification": (
        Figure("top1", "accuracy", "%", spelling=".1f", scale=100),
        Figure("loss", "loss", "nats", higher_is_better=False),
    ),
    "restoration": (Figure("psnr", "PSNR", "dB", spelling=".2f"), Figure("ssim", "SSIM")),
    "segmentation": (
        Figure("foreground_dice", "Dice of the foreground", "%", spelling=".2f", scale=100),
        Figure("foreground_iou", "IoU of the foreground", "%", spelling=".2f", scale=100),
    ),
    "detection": (
        Figure("box_AP", "AP of boxes", "%", spelling=".2f", scale=100),
        Figure("mask_AP", "AP of masks", "%", spelling=".2f", scale=100),
    ),
}
"""Figures that runs of each task are compared by, the most important one first."""
OF_ALL_IMAGES = ("detection",)
"""Tasks whose figures belong to all images together, and are no means over images."""
Report = Callable[[dict[str, Any], int], None]


class RunScore:
    """The scores of a run.

    Attributes:
        mean: value of each figure for the whole data.
        images: value of each figure for each image, by the name of the image; empty for tasks whose figures belong to
            all images together.
        failed: reasons of the images that could not be scored, by name.
        data: folder of the images.
        identity: text by which two runs have the same image, by the name of the image.

    Args:
        task: task of the run, a key of `evaluation.EVALUATIONS`.
        result: result of the evaluation, as its function returns it.
        data: folder of the images.
        sums: checksum of each image by its name; None if the names tell which images are the same.
    """

    def __init__(self, task: str, result: dict[str, Any], data: str, sums: Mapping[str, str] | None = None):
        self.data = data
        self.failed = {row["name"]: row["reason"] for row in result["failed"]}
        names = [*(row["name"] for row in result["images"]), *self.failed]
        self.identity = {name: (sums or {}).get(name, name) for name in names}
        self.images: dict[str, dict[str, float]] = {}
        if task in OF_ALL_IMAGES:
            self.mean = {f"{kind}_AP": figures["AP"] for kind, figures in result["figures"].items()}
            return
        names = [figure.name for figure in FIGURES[task]]
        self.mean = {name: result["mean"][name] for name in names}
        for row in result["images"]:
            values = {"top1": float(row["rank"] == 0), **row} if task == "classification" else row
            self.images[row["name"]] = {name: values[name] for name in names}


def score_run(run: Run, output: Path, data: Path | None, protocol: str | None, device: str, report: Report) -> RunScore:
    """Score the best weights of a run.

    Args:
        run: the run.
        output: folder for the report of the evaluation.
        data: folder of test data; None for the images that the run was validated on.
        protocol: scoring protocol, for tasks that have one; None for the default.
        device: name of a device.
        report: function that is called with the row of each image, and with the number of images.

    Raises:
        ContestantError: if the validation data of the run are gone, or the task cannot be scored.
        ValueError, CheckpointError: if the data or the weights cannot be used.
    """
    evaluate = EVALUATIONS.get(run.task)
    if evaluate is None:
        raise ContestantError(f"{run.source} is for {run.task}: runs of {', '.join(EVALUATIONS)} can be compared")
    options: dict[str, Any] = {"device": device, "report": report}
    if protocol is not None:
        if run.task not in ("restoration", "segmentation"):
            raise ContestantError(f"--protocol is for restoration and segmentation; {run.source} is for {run.task}")
        options["protocol"] = protocol
    if data is not None:
        return RunScore(run.task, evaluate(run.weights, data, output, **options), str(data))
    with _validation_images(run) as (folder, given, sums):
        return RunScore(run.task, evaluate(run.weights, folder, output, **given, **options), _described(run), sums)


@contextmanager
def _validation_images(run: Run) -> Iterator[tuple[Path, dict[str, Any], dict[str, str]]]:
    """Yield the folder of the images that a run was validated on, the argument that selects them, and checksums.

    Images of files are known by their names and have no checksums here.
    """
    content = run.content or {}
    recipe = content["recipe"]
    training = data_folder(content["data"])
    other = None if content.get("validation_data") is None else data_folder(content["validation_data"])
    for folder in (training, other):
        if folder is not None and not folder.exists():
            raise ContestantError(
                f"{run.source} was made with the data in {folder}, which are not there any more: give the folder of "
                "the test data with --data"
            )
    samples: Any = TASKS[recipe.task](recipe).validation_data(training, other, content["network"])
    if run.task == "restoration":
        with TemporaryDirectory() as temporary:
            pairs, sums = _written_pairs(Path(temporary), samples)
            yield Path(temporary), {"pairs": pairs}, sums
    elif run.task == "segmentation":
        yield other or training, {"pairs": samples.pairs}, {}
    else:
        yield other or training, {"images": samples.images}, {}


def _written_pairs(root: Path, samples: Dataset[Any]) -> tuple[list[Pair], dict[str, str]]:
    """Write validation crops of a restoration into a folder.

    Returns:
        The pairs, and the SHA-256 of the degraded and the clean image by the name of the pair. The seed of a run
        decides the degradations, so that equal names do not mean equal images.
    """
    views, sums = 1, {}
    for number in range(len(samples)):  # type: ignore[arg-type]
        sample = samples[number]
        if sample["problem"]:
            continue
        name = f"{number:05d}-{Path(sample['name']).name}-{sample['kind']}"
        *parts, clean = [*sample["degraded"].split(3), sample["clean"]]
        views = len(parts)
        folders = [*(DUAL_LAYOUTS if views == 2 else LAYOUTS)[0]]
        digest = sha256()
        for folder, image in zip(folders, (*parts, clean), strict=True):
            write_image(root / folder / f"{name}.png", image)
            digest.update((root / folder / f"{name}.png").read_bytes())
        sums[name] = digest.hexdigest()
    return find_pairs(root, views), sums


def _described(run: Run) -> str:
    """Return the text that says which images a run was validated on."""
    content = run.content or {}
    return str(content.get("validation_data") or content["data"])
