"""`passband classify`."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passband.cli.shared.executors import ExecutorName, ManifestFile, Timeout, Workers, needs_manifest
from passband.cli.shared.options import Device, Provider

if TYPE_CHECKING:
    from passband.inference.classifier import Classified, Classifier
    from passband.inference.files.pieces import Executor
    from passband.scale import Manifest


def classify(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, folders or glob patterns.")],
    weights: Annotated[
        str,
        typer.Option(help="Weights of a classifier: run, folder, hub id or exported file."),
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to print per image.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per image.")] = False,
    device: Device = "auto",
    provider: Provider = None,
    workers: Workers = 0,
    executor: ExecutorName = "local",
    timeout: Timeout = None,
    manifest: ManifestFile = None,
) -> None:
    """Classify images: print the most probable classes of each image.

    Networks that take DCT coefficients read them from JPEG files without decoding the pixels. With a manifest, images
    that were classified earlier get their answers from it.
    """
    from passband.cli.shared.console import say
    from passband.cli.shared.files import FileRun
    from passband.data.finding import IMAGES, PassedOver, find_sources
    from passband.inference.classifier import Classified, Classifier
    from passband.io.image import SUFFIXES
    from passband.scale import Manifest, choose_executor

    is_remote = needs_manifest(sources, None, manifest, writes=False)
    is_shared = is_remote or workers > 0 or executor != "local" or timeout is not None
    run_on = choose_executor(workers, executor, timeout, in_order=True) if is_shared else None
    passed: list[PassedOver] = []
    found = [] if is_remote else find_sources(sources, SUFFIXES, IMAGES, once=True, passed=passed.append)
    classifier = Classifier(weights, device, provider)
    bad = [Classified(source.path, error=source.problem) for source in found if source.problem]
    good = [source.path for source in found if not source.problem]
    names = [source.path.name for source in found if source.problem] + [path.name for path in good]
    run = FileRun("classifying", "classified", None if is_remote else names)
    hint = "Images with an answer in the manifest are not classified again." if is_remote else ""
    with run.shown(f"Run the command again to classify the other images. {hint}".strip()), ExitStack() as opened:
        if is_remote and run_on is not None:
            rows = opened.enter_context(closing(Manifest(Path(str(manifest)))))
            results = _classify_addresses(classifier, sources, top, rows, run_on)
        else:
            results = chain(bad, classifier.classify(good, top, executor=run_on))
        for result in results:
            if as_json:
                say(json.dumps(result.as_dict()))
            if result.error is not None:
                run.failed(result.error)
                continue
            guesses = ", ".join(f"{guess.name} {100 * guess.probability:.1f} %" for guess in result.guesses)
            run.finished("" if as_json else f"{result.source}: {guesses}")
    run.end(passed)


def _classify_addresses(
    classifier: "Classifier", sources: list[str], top: int, manifest: "Manifest", run_on: "Executor"
) -> "Iterator[Classified]":
    """Classify images at addresses, and take the answers of earlier runs from the manifest."""
    from passband.inference.classifier import ClassifyWork
    from passband.io.image import SUFFIXES
    from passband.scale import Question, answer_addresses

    work = ClassifyWork(classifier, top)
    for answer in answer_addresses(sources, Question(work.ask, work.making, SUFFIXES), manifest, executor=run_on):
        yield work.result(answer.source.url, answer.value, answer.error)
