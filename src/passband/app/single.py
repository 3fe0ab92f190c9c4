"""Runs one request for a person, and yields its progress as HTML."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.app import markup
from passband.app.requests import Request, UploadError
from passband.app.restoring import Moment
from passband.app.uploads import Session

if TYPE_CHECKING:
    from passband.app.server import Server


async def run_single(
    server: "Server", key: str | None, path: str | Path | None, build: Callable[[Session, Path], Request], verb: str
) -> AsyncIterator[tuple[str, Any]]:
    """Take over an upload, run a request on it, and yield its progress.

    Args:
        server: the running page.
        key: session hash of the person.
        path: path of the upload; None if there is none.
        build: function from the session and the path of the file to the request.
        verb: participle for the progress, such as `classified`.

    Yields:
        HTML of the progress or the problem, and the result; None until it is there.
    """
    if not path:
        yield markup.problem("There is no file yet. Drop an image first."), None
        return
    session = server.storage.session(key)
    try:
        request = build(session, server.storage.take(session, path))
    except UploadError as error:
        yield markup.problem(str(error)), None
        return
    job = server.jobs.submit(session.key, request)
    async for _ in server.jobs.follow(job):
        problems = (job.error,) if job.error else ()
        yield markup.status(Moment((job,), problems, (), job.is_over), verb), job.result
