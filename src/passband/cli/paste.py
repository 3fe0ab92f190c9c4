"""`passband paste`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from passband.naming import counted, entry


def paste(
    output: Annotated[Path, typer.Argument(help="New folder for the set, with subfolders train/ and validation/.")],
    objects: Annotated[
        Path | None, typer.Option(help="Folder of cut-outs with alpha (PNG or WebP), one subfolder for each class.")
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of photos on which the objects are pasted.")] = None,
    train: Annotated[int, typer.Option(min=1, help="Number of images to train on.")] = 2000,
    validation: Annotated[int, typer.Option(min=1, help="Number of images for validation.")] = 400,
    size: Annotated[int, typer.Option(min=32, help="Side of the square images, in pixels.")] = 256,
    count: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Smallest and largest number of objects in an image. Default: 1 6; 1 1 for classification.",
            metavar="FROM TO",
        ),
    ] = None,
    scale: Annotated[
        tuple[float, float],
        typer.Option(help="Smallest and largest object, as shares of the side of the image.", metavar="FROM TO"),
    ] = (0.15, 0.55),
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Share of objects and photos that only validation images show.")
    ] = 0.2,
    task: Annotated[
        str,
        typer.Option(
            help="detection writes annotations in COCO's format; segmentation writes masks of classes; classification "
            "writes images of one object into the folder of its class."
        ),
    ] = "detection",
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed makes the same set.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make images. 0 uses this process.")] = 0,
) -> None:
    """Make a set for detection, segmentation or classification: paste objects on photos, with exact masks.

    Without --objects and --photos, shapes are drawn on drawn backgrounds, which needs no files.
    """
    from passband.cli.shared.console import progress_bar, say
    from passband.data.pasting import (
        PARTS,
        SETS,
        CutoutFolders,
        DrawnShapes,
        PasteSettings,
        SetPlan,
        paste_set,
    )

    entry(task, SETS, "task of a set")
    if count is None:
        count = (1, 1) if task == "classification" else (1, 6)
    if (objects is None) != (photos is None):
        raise ValueError(
            "--objects and --photos are needed together: a folder of cut-outs and a folder of photos. Without both, "
            "shapes are drawn"
        )
    plan = SetPlan((train, validation), PasteSettings((size, size), count, scale), seed)
    if objects is None or photos is None:
        source = DrawnShapes()
    else:
        source = CutoutFolders(objects, photos, held_out=held_out, seed=seed)
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("paste", total=train + validation)
        pasted = paste_set(
            task, source, output, plan, workers=workers, report=lambda done, total: progress.update(bar, completed=done)
        )
    say(
        f"{counted(train + validation, 'image')} with {counted(pasted, 'object')} of "
        f"{counted(len(source.classes), 'class', 'classes')} in {output}"
    )
    recipe = {"detection": "detection-small", "segmentation": "segment-small", "classification": "dct-small"}[task]
    classes = f" --set data.classes={len(source.classes) + 1}" if task == "segmentation" else ""
    training, validating, run = (
        quote(str(path)) for path in (*(output / part for part in PARTS), Path("runs", output.name))
    )
    say(f"To train: passband train {recipe} --data {training} --validation-data {validating}{classes} -o {run}")
