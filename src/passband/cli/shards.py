"""`passband shards`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.naming import counted


def shards(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder to pack: images, pairs, images with masks, COCO annotations with images, or a subfolder for "
            "each class."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the tar files and their index.")],
    content: Annotated[
        str, typer.Option(help="Content of SOURCE: auto (default), coco, masks, pairs, classes or images.")
    ] = "auto",
    name: Annotated[
        str | None, typer.Option(help="Beginning of the names of the tar files. Default: the name of SOURCE.")
    ] = None,
    size: Annotated[str, typer.Option(help="Largest size of a tar file, such as 128MB or 1GB.")] = "128MB",
    count: Annotated[
        int | None, typer.Option(min=1, help="Largest number of samples in a tar file. Default: no limit.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the order of the samples. The same seed makes the same tar files.")
    ] = 0,
    ordered: Annotated[
        bool, typer.Option("--in-order", help="Keep the order of the names; --seed has no effect.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace tar files in OUTPUT that passband did not write.")
    ] = False,
) -> None:
    """Pack a folder into tar files, which training and evaluation read like the folder, also from a store."""
    from passband.cli.shared.console import progress_bar, say
    from passband.data.shards import pack_folder

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("packing", total=None)
        packed = pack_folder(
            source,
            output,
            content=content,
            name=name,
            size=size,
            count=count,
            seed=None if ordered else seed,
            overwrite=overwrite,
            report=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    for reason in packed.failed:
        say(f"failed: {reason}", err=True)
    say(
        f"{counted(packed.samples, 'sample')} ({packed.content}), {counted(packed.files, 'file')}, "
        f"{packed.bytes / 1e6:.1f} MB in "
        f"{counted(len(packed.written) + len(packed.skipped), 'shard')} in {output}: {len(packed.written)} written, "
        f"{len(packed.skipped)} skipped (done earlier)"
        + (f", {len(packed.removed)} of an earlier run removed" if packed.removed else "")
    )
    if packed.passed_over:
        kinds = ", ".join(f"{suffix} {number}" for suffix, number in packed.passed_over.most_common())
        say(f"passed over, because they belong to no sample: {kinds}", err=True)
    if packed.failed:
        raise typer.Exit(1)
