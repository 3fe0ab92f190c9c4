"""Asks a network about files at addresses, and keeps its answers in the manifest, so that each is asked once."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from passband.inference.files.pieces import Executor, Piece, in_this_process
from passband.io.failures import failure
from passband.io.paths import fitted_name
from passband.io.records import OutputSettings
from passband.io.storage import Store, Stored
from passband.scale.copies import fetch, files_at, with_addresses
from passband.scale.manifest import Manifest, settings_text


@dataclass(frozen=True)
class Question:
    """A question of a command about each file.

    The function can be pickled if another process shall answer: use a method of an object that can be pickled.
    """

    ask: Callable[[Path, Path | None], Any]
    """Function from the path of a file, and the path of a drawing to write or None, to an answer that JSON can hold."""
    making: OutputSettings
    """Command, weights and options that decide the answer."""
    suffixes: Collection[str]
    """Suffixes of the files, in lower case with the dot."""


@dataclass(frozen=True)
class Answer:
    """The answer about a file."""

    source: Stored
    value: Any = None
    """The answer; None if the file failed."""
    error: str | None = None
    """The reason why the file failed."""
    is_known: bool = False
    """Whether an earlier run gave the answer."""
    seconds: float = 0.0
    """Time that the answer took, in seconds."""
    drawing: Stored | None = None
    """The drawing that was written."""
    lost_drawing: str | None = None
    """The address of the drawing that was to be written, if the file failed."""
    may_be_written: bool = False
    """Whether a drawing of a file that failed may be in place."""


@dataclass(frozen=True)
class _AnswerPiece(Piece):
    """A file that a network is asked about."""

    source: Stored
    drawing: str | None
    """Address of the drawing, or None."""

    @property
    def path(self) -> Any:
        """The address of the file."""
        return self.source.url

    def failed(self, reason: str) -> Answer:
        """Return the result if the file failed, or the worker died or hung."""
        return Answer(self.source, error=reason, lost_drawing=self.drawing, may_be_written=True)


def answer_addresses(
    sources: Sequence[str],
    question: Question,
    manifest: Manifest,
    *,
    drawings: str | None = None,
    overwrite: bool = False,
    executor: Executor = in_this_process,
) -> Iterator[Answer]:
    """Ask about files at addresses; a bad file does not stop the others.

    Answers of earlier runs are taken from the manifest if file, weights and options are the same. Folders are listed
    one by one, so memory grows with the largest folder only.

    Args:
        sources: addresses or paths of files, folders and glob patterns.
        question: the question.
        manifest: the manifest.
        drawings: address or path of a folder for drawings, one for each file; None for none. A drawing that is not in
            the manifest, or has changed since, is never replaced.
        overwrite: whether all files are asked about again, and drawings of other programs are replaced.
        executor: executor that runs the work.

    Yields:
        The answer about each file, once for each file, in the order in which the executor finishes them.

    Raises:
        FileNotFoundError: if a source does not exist or holds no such files.
        ScaleError: if a kind of store is unknown, or a package for it is missing.
    """
    seen: set[int] = set()  # hashes take less memory than addresses

    def decided() -> Iterator[_AnswerPiece | Answer]:
        for source in sources:
            for below, files in files_at(source, question.suffixes, manifest):
                folder = None if drawings is None else Store(drawings + f"/{below}" if below else drawings)
                there = {} if folder is None else folder.files_in(folder.path)
                for file in files:
                    if hash(file.url) not in seen:
                        seen.add(hash(file.url))
                        name = None if folder is None else fitted_name(file.name, ".png")
                        address = None if folder is None else folder.url(f"{folder.path}/{name}")
                        yield _decide(file, question, manifest, address, there.get(name or ""), overwrite=overwrite)

    for answer in executor(partial(_carry_out, question), decided()):
        if not answer.is_known:
            manifest.keep_answer(
                answer.source, question.making, answer.value, seconds=answer.seconds, error=answer.error
            )
            if answer.drawing is not None:
                settings = settings_text(question.making)
                manifest.done(answer.drawing, answer.source, settings, answer.seconds)
            if answer.lost_drawing is not None:
                may_be_written = answer.may_be_written
                manifest.failed(
                    answer.lost_drawing, answer.source.url, str(answer.error), may_be_written=may_be_written
                )
        yield answer


def _decide(
    file: Stored,
    question: Question,
    manifest: Manifest,
    drawing: str | None,
    there: Stored | None,
    *,
    overwrite: bool,
) -> _AnswerPiece | Answer:
    """Return the piece of work for a file, or its answer if it is known or cannot be given.

    Args:
        file: the file.
        question: the question.
        manifest: the manifest.
        drawing: address of the drawing, or None.
        there: file that is at this address now, or None.
        overwrite: whether the file is asked about again.
    """
    if not overwrite:
        row = None if drawing is None or there is None else manifest.row(drawing)
        is_ours = there is not None and row is not None and row.is_ours(there)
        if there is not None and not is_ours:
            reason = (
                f"{drawing} exists, but the manifest does not know it: choose another output, or use --overwrite to "
                "replace it"
            )
            return Answer(file, error=reason)
        known = manifest.answer(file, question.making)
        is_drawn = drawing is None or (row is not None and row.settings == settings_text(question.making))
        if known is not None and is_drawn:
            return Answer(file, known, is_known=True)
    if drawing is not None:
        manifest.begin(drawing, file)
    return _AnswerPiece(file, drawing)


def _carry_out(question: Question, piece: _AnswerPiece) -> Answer:
    """Copy a file to this machine, ask about it, and copy the drawing back."""
    started, written, is_uploading = time.monotonic(), None, False
    with TemporaryDirectory(prefix="passband-") as folder:
        source = Path(folder, "in", piece.source.name)
        drawing = None if piece.drawing is None else Path(folder, "out", piece.drawing.rsplit("/", 1)[-1])
        named = with_addresses({str(source): piece.source.url, str(drawing): str(piece.drawing), folder: "the copy"})
        try:
            source.parent.mkdir()
            seen = fetch(piece.source, source)
            value = question.ask(source, drawing)
            if drawing is not None and piece.drawing is not None:
                store, is_uploading = Store(piece.drawing), True
                written = store.upload(drawing, store.path)
        except Exception as error:  # any kind: a bad file may break its reader in any way
            reason = named(failure(error, Path(piece.source.url), source))
            failed = piece.failed(reason if piece.source.url in reason else f"{piece.source.url}: {reason}")
            return replace(failed, may_be_written=is_uploading)
    return Answer(seen, value, seconds=time.monotonic() - started, drawing=written)
