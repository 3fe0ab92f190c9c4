"""Trains a recipe on the workers of Ray, with the function that `passband train` calls.

    pip install "ray[train]"
    python examples/train_ray.py RECIPE DATA RUN WORKERS

All machines need passband and the same paths. Each worker is one process of the run, and uses a GPU if there are some.
An unfinished run in the folder RUN is resumed, so the same command continues after a lost machine.
"""

import sys
from pathlib import Path


def work(settings: dict) -> None:
    """Train in one worker. Ray has joined the workers before."""
    import ray.train

    from passband import train
    from passband.checkpoints import latest_checkpoint

    output = Path(settings["output"])
    resume = latest_checkpoint(output) is not None
    if not resume:
        (output / "run.json").unlink(missing_ok=True)  # a run that ended before its first checkpoint begins again
    progress = train(
        settings["recipe"],
        output,
        data=settings["data"],
        resume=resume,
        device=settings["device"],
    )
    ray.train.report({"step": progress.step, **progress.figures})


def main(recipe: str, data: Path, output: Path, workers: int) -> None:
    """Train on several workers of Ray.

    Args:
        recipe: name of a shipped recipe, or a TOML file.
        data: folder to train on.
        output: folder of the run.
        workers: number of workers, which share each batch.
    """
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    ray.init(ignore_reinit_error=True)
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    settings = {
        "recipe": recipe,
        "data": str(data.resolve()),
        "output": str(output.resolve()),
        "device": "auto" if has_gpus else "cpu",
    }
    trainer = TorchTrainer(
        work,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=has_gpus),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=3)),
    )
    print(trainer.fit().metrics)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
