"""Restores the files that a person gives to the page, and keeps the results of a session."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passband.app.files.checks import UploadError, shown_name
from passband.app.files.uploads import Session
from passband.app.work.jobs import Job
from passband.app.work.restoration import Restored, RestoreRequest
from passband.naming import counted, suggestion

if TYPE_CHECKING:
    from passband.app.server import Server

NONE = "none"
"""Name of the second weights that stands for no second restoration."""


@dataclass(frozen=True)
class Options:
    """Options of a restoration.

    Attributes:
        weights: name of weights that the page offers.
        second: name of second weights to compare with; `none` for no comparison.
        strength: strength, 0 to 1.
        is_named: whether names and metadata of results have the name of the network.
    """

    weights: str = "auto"
    second: str = NONE
    strength: float = 1.0
    is_named: bool = False


@dataclass(frozen=True)
class Result:
    """The results for one file: one, or two to compare.

    Attributes:
        source: path of the uploaded file.
        options: options of the restoration.
        asked: names of the weights that were asked for.
        files: restored files, in the order of `asked`.
    """

    source: Path
    options: Options
    asked: tuple[str, ...]
    files: tuple[Restored, ...]

    @property
    def paths(self) -> list[Path]:
        """The files that a person sees, compares and downloads."""
        return [path for one in self.files for path in (self.source, one.before, one.after, one.target)]

    @property
    def commands(self) -> str:
        """The command lines that do the same."""
        return "\n".join(restored.command for restored in self.files)


@dataclass(frozen=True)
class Moment:
    """The state of a restoration that a person follows.

    Attributes:
        jobs: jobs of all files.
        problems: sentences about files that failed.
        new: labels of the results that were finished since the last moment.
        is_over: whether nothing more will come.
    """

    jobs: tuple[Job, ...]
    problems: tuple[str, ...]
    new: tuple[str, ...]
    is_over: bool


def joined(latest: Moment, moments: Iterable[Moment]) -> Moment:
    """Return the state of all restorations that a person has started, as one.

    Args:
        latest: state that has changed, whose new results count.
        moments: states of all these restorations.
    """
    every = list(moments)
    jobs = tuple(job for one in every for job in one.jobs)
    problems = tuple(sentence for one in every for sentence in one.problems)
    return Moment(jobs, problems, latest.new, all(one.is_over for one in every))


class Restoring:
    """Restores files for people.

    Args:
        server: the page.
    """

    def __init__(self, server: "Server"):
        self.server = server

    def requests(
        self, session: Session, path: str | Path, options: Options
    ) -> tuple[tuple[str, ...], list[RestoreRequest]]:
        """Take over an upload, and return the names of the weights and a request for each.

        Args:
            session: session of the person.
            path: path of the upload, or of an example of the page.
            options: options of the restoration.

        Raises:
            UploadError: if the file is not an upload, the page does not offer the weights, or the strength is not from
                0 to 1.
        """
        limits, offered = self.server.settings.limits, self.server.weights
        asked = tuple(dict.fromkeys(name for name in (options.weights, options.second) if name != NONE))
        for name in asked:
            if name not in offered:
                raise UploadError(f"This page has no weights named {name!r}.{suggestion(name, list(offered))}")
        if not 0 <= options.strength <= 1:
            raise UploadError(f"The strength must be between 0 and 1, got {options.strength:g}.")
        source = self.server.storage.take(session, path)
        return asked, [
            RestoreRequest(
                source=source,
                folder=session.new_folder("out"),
                weights=offered[name],
                strength=options.strength,
                is_named=options.is_named or len(asked) > 1,
                is_named_inside=options.is_named,
                label="" if name == "auto" else name,
                image_pixels=limits.image_pixels,
                video_pixels=limits.video_pixels,
            )
            for name in asked
        ]

    async def restore(self, key: str | None, paths: Sequence[str | Path], options: Options) -> AsyncIterator[Moment]:
        """Restore files, and yield their state whenever it changes.

        Args:
            key: session hash of the person; None counts as one common person.
            paths: paths of uploads.
            options: options of the restoration.

        Yields:
            The state. The results are in `Session.results`.
        """
        session, limits = self.server.storage.session(key), self.server.settings.limits
        problems: list[str] = []
        groups: list[tuple[tuple[str, ...], tuple[Job, ...]]] = []
        if len(paths) > limits.files:
            problems.append(
                f"This page restores {counted(limits.files, 'file')} at once; the other files were left out."
            )
        for path in paths[: limits.files]:
            try:
                asked, requests = self.requests(session, path, options)
            except UploadError as error:
                problems.append(str(error))
                continue
            groups.append((asked, tuple(self.server.jobs.submit(session.key, request) for request in requests)))
        jobs = tuple(job for _, group in groups for job in group)
        if not jobs:
            yield Moment((), tuple(problems), (), True)
        waiting = list(groups)
        async for _ in self.server.jobs.follow(*jobs):
            new: list[str] = []
            for asked, group in [each for each in waiting if all(job.is_over for job in each[1])]:
                waiting.remove((asked, group))
                problems += dict.fromkeys(job.error for job in group if job.error)
                label = self._keep(session, asked, group, options)
                new += [label] if label else []
            yield Moment(jobs, tuple(problems), tuple(new), not waiting)

    def _keep(self, session: Session, asked: tuple[str, ...], group: tuple[Job, ...], options: Options) -> str | None:
        """Add the result of a file to its session, and return its label; None if nothing was restored."""
        done = [(name, job) for name, job in zip(asked, group, strict=True) if job.state == "done"]
        if not done:
            return None
        names, source = tuple(name for name, _ in done), group[0].request.source
        result = Result(source, options, names, tuple(job.result for _, job in done))
        parts = [shown_name(source), " and ".join(names)]
        parts += [] if options.strength == 1 else [f"strength {options.strength:g}"]
        label, number = (own := " · ".join(parts)), 1
        while label in session.results:
            number += 1
            label = f"{own} ({number})"
        session.results[label] = result
        return label
