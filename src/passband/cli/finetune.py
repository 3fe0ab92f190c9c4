"""`passband finetune`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from passband.cli.shared.options import Device, Resume
from passband.naming import counted


def finetune(
    weights: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Weights to start from: shipped name, run, folder, published pickle or hub id. Default: general.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pairs, in subfolders such as degraded/ and clean/. A resumed run remembers its folder."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the run. Default: runs/, then the name of the data."),
    ] = None,
    validation_data: Annotated[
        Path | None, typer.Option(help="Folder of pairs to score on. Default: a fifth of the data is held out.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Shipped recipe or TOML file that replaces the automatic settings.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Time in minutes for training and scoring together. Default: 10.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the training in steps, instead of --minutes.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Length of the training in passes over the pairs, instead of --minutes.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting to change, as KEY=VALUE, such as data.batch=2. Repeatable."),
    ] = None,
    crop: Annotated[
        int | None, typer.Option(min=16, help="Side of the training crops in pixels. Default: 160 or less.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate. Default: 5e-4, or 5e-5 for deep networks.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed of the held-out pairs, of the order of samples and of the crops."),
    ] = None,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Fine-tune weights on your own pairs, and score them on held-out pairs before and after."""
    from passband.cli.shared.console import TrainingProgress, say
    from passband.cli.shared.settings import collected_changes, option
    from passband.cli.train import draw_curves, resume_hint
    from passband.finetuning import finetune as run
    from passband.finetuning import resume_finetuning
    from passband.finetuning.report import REACHED
    from passband.io.failures import WriteError
    from passband.io.files import results_folder
    from passband.runs import RunError

    shortcuts = {"steps": steps, "epochs": epochs, "crop": crop, "learning_rate": learning_rate, "seed": seed}
    changed = collected_changes(changes, **shortcuts)
    if data is not None:
        output = output or Path("runs") / data.resolve().name
    elif output is None or not resume:
        raise RunError(
            "--data is needed: a folder of pairs to fine-tune on. To continue a run, use -o RUN --resume instead."
        )
    given = {"--from": weights, "--validation-data": validation_data, "--recipe": recipe, "--minutes": minutes}
    given |= {"--set": changes, **{option(name): value for name, value in shortcuts.items()}}
    if resume and (others := [name for name, value in given.items() if value is not None]):
        raise RunError(f"a resumed run keeps its settings: leave out {', '.join(others)}")
    if recipe is not None and minutes is not None:
        raise RunError("--recipe has a length in steps or epochs: leave out --minutes, or change it with --steps")
    results_folder(output)  # a folder that cannot be written to needs no advice on how to continue
    with TrainingProgress("fine-tuning") as progress:
        try:
            if data is None or resume:
                result = resume_finetuning(output, device=device, report=progress.show)
            else:
                result = run(
                    weights or "general",
                    data,
                    output,
                    validation_data=validation_data,
                    recipe=recipe,
                    changes=changed,
                    minutes=10.0 if minutes is None else minutes,
                    device=device,
                    announce=say,
                    report=progress.show,
                )
        except (KeyboardInterrupt, WriteError):
            say(resume_hint(output, "finetune"), err=True)
            raise
    _print_table(result)
    early = "" if result["ended"] == REACHED else f", because {result['ended']}"
    best = result["best_step"]
    outcome = (
        f"The best weights are those of step {best}." if best else "No improvement, so the original weights were kept."
    )
    typer.echo(f"Finished after {counted(result['steps'], 'step')}{early}. {outcome}")
    draw_curves(output)
    typer.echo(f"Weights: {output / 'weights' / 'best'}")
    typer.echo(f"Degraded | before | after | clean: {output / 'before_after.png'}")


def _print_table(result: dict[str, Any]) -> None:
    """Print PSNR and SSIM of the held-out pairs: degraded, restored before and restored after the fine-tuning."""
    from passband.cli.shared.console import say

    def line(name: str, row: dict[str, Any]) -> str:
        decibels = " -> ".join(f"{row[f'psnr_{when}']:5.2f}" for when in ("degraded", "before", "after"))
        similarity = " -> ".join(f"{row[f'ssim_{when}']:.4f}" for when in ("degraded", "before", "after"))
        return f"{name:<24} {decibels} dB   {similarity}   {row['psnr_after'] - row['psnr_before']:+.2f} dB"

    typer.echo(f"{'held out':<24} degraded -> before -> after")
    for row in result["images"]:
        say(line(row["name"], row))
    mean = result["mean"]
    typer.echo(line(f"mean of {len(result['images'])} ({result['protocol']})", mean))
    if mean["psnr_after"] <= mean["psnr_before"]:
        typer.echo("The held-out pairs did not improve. Add pairs, or train longer with --minutes.")
