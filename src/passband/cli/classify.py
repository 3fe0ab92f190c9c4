"""`passband classify`."""

import json
from itertools import chain
from typing import Annotated

import typer

from passband.cli.shared.executors import ExecutorName, Timeout, Workers


def classify(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, folders or glob patterns.")],
    weights: Annotated[str, typer.Option(help="Weights of a classifier: run, folder (RUN/weights/best) or hub id.")],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to print per image.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per image.")] = False,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    workers: Workers = 0,
    executor: ExecutorName = "local",
    timeout: Timeout = None,
) -> None:
    """Classify images: print the most probable classes of each image.

    Networks that take DCT coefficients read them from JPEG files without decoding the pixels.
    """
    from passband.cli.shared.console import say
    from passband.cli.shared.files import FileRun
    from passband.data.finding import PICTURES, PassedOver, find_sources
    from passband.inference.classifier import Classified, Classifier
    from passband.io.image import SUFFIXES
    from passband.scale import choose_executor

    is_shared = workers > 0 or executor != "local" or timeout is not None
    run_on = choose_executor(workers, executor, timeout, in_order=True) if is_shared else None
    passed: list[PassedOver] = []
    found = find_sources(sources, SUFFIXES, PICTURES, once=True, passed=passed.append)
    classifier = Classifier(weights, device)
    bad = [Classified(source.path, error=source.problem) for source in found if source.problem]
    good = [source.path for source in found if not source.problem]
    run = FileRun("classifying", "classified", [path.name for path in (*(one.source for one in bad), *good)])
    with run.shown("Run the command again to classify the other images."):
        for result in chain(bad, classifier.classify(good, top, executor=run_on)):
            if as_json:
                say(json.dumps(result.as_dict()))
            if result.error is not None:
                run.failed(result.error)
                continue
            guesses = ", ".join(f"{guess.name} {100 * guess.probability:.1f} %" for guess in result.guesses)
            run.finished("" if as_json else f"{result.source}: {guesses}")
    run.end(passed)
