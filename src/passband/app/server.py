"""The running page: its files, its workers, its routes and its addresses."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request as WebRequest
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from passband.app.files.checks import UploadError
from passband.app.files.room import no_room
from passband.app.files.run_folders import served_file
from passband.app.files.uploads import ADDRESS, REMOVED, Storage
from passband.app.files.zipped import zip_results
from passband.app.guard import Functions, Guard
from passband.app.settings import AppError, AppSettings, on_stop
from passband.app.work.jobs import Jobs
from passband.app.work.restoring import Restoring
from passband.models import task_of
from passband.naming import short_name, suggestion
from passband.weights_finding import shipped_weights
from passband.weights_io import load_config

CLOSED = f"The address is wrong, or its file {REMOVED}"


class Server:
    """A running page.

    Args:
        settings: settings of the page.
        open_browser: whether to open the page in the browser of this computer.

    Attributes:
        settings: settings of the page.
        weights: weights that restore, by the names that the page shows.
        others: further weights of other tasks, by name.
        storage: files of all people.
        jobs: queue and workers.
        url: address of the page.

    Raises:
        AppError: if the port is in use.
        CheckpointError: if further weights cannot be found.
    """

    def __init__(self, settings: AppSettings, *, open_browser: bool = False):
        self.settings = settings
        offered = {name: name for name in ("auto", "general", *sorted(shipped_weights()))}
        self.others: dict[str, tuple[str, str]] = {}
        for path in settings.weights:
            load_config(path)  # fails here, and not for each image
            task, label = task_of(path), _label(path, {**offered, **self.others})
            if task == "restoration":
                offered[label] = path
            else:
                self.others[label] = (task, path)
        self.weights = offered
        self.jobs = Jobs(settings.workers, settings.limits.seconds, settings.limits.waiting)
        self.storage = Storage(settings.limits, lambda: self.jobs.work)
        self.restoring = Restoring(self)
        try:
            self.url, self.share_url = self._launch(open_browser)
        except BaseException:
            self.close()
            raise

    def own_weights(self, label: str, *tasks: str) -> tuple[str, str]:
        """Return the task and the path of weights that the command line names for some tasks.

        Args:
            label: name of the weights on the page.
            tasks: tasks that are allowed.

        Raises:
            UploadError: if there are no such weights.
        """
        task, path = self.others.get(label, ("", ""))
        if task not in tasks:
            known = [name for name, (own, _) in self.others.items() if own in tasks]
            raise UploadError(f"This page has no weights named {label!r} for {tasks[0]}.{suggestion(label, known)}")
        return task, path

    def wait(self) -> int:
        """Serve until Ctrl-C or another signal to stop, close the page, and return the number of the signal."""
        stop, received = threading.Event(), [signal.SIGINT]

        def end(number: int, frame: object) -> None:
            received.append(signal.Signals(number))
            stop.set()

        if threading.current_thread() is threading.main_thread():
            on_stop(end)
        try:
            while not stop.wait(1):  # Windows handles signals only between two waits
                continue
        finally:
            self.close()
        return received[-1]

    def close(self) -> None:
        """End the page and its workers, and remove all its files."""
        if hasattr(self, "blocks"):
            self.blocks.close(verbose=False)
        self.jobs.close()
        self.storage.close()

    def _launch(self, open_browser: bool) -> tuple[str, str | None]:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = str(self.storage.uploads)
        from passband.app.arguments import PUBLIC
        from passband.app.page import build_page, page_look

        settings, limits = self.settings, self.settings.limits
        self.blocks = build_page(self)
        self.storage.keep_own()
        functions = Functions(
            names=frozenset(str(one.api_name) for one in self.blocks.fns.values() if one.api_visibility == PUBLIC),
            numbers=frozenset(self.blocks.fns),
            is_known=self._is_known,
            leave=self.jobs.cancel_person,
            make_room=self.storage.make_room,
        )
        limited = (self.storage.uploads, limits.upload_bytes, limits.files)
        guard = Middleware(Guard, *limited, functions)  # type: ignore[arg-type]
        routes = [
            Route(f"/{ADDRESS}/{{token}}/{{name}}", self._file),
            Route("/passband/zip/{session}/{name}", self._zip),
            Route("/passband/runs/{path:path}", self._report),
        ]
        try:
            _, url, share_url = self.blocks.launch(
                server_name=settings.host,
                server_port=settings.port or None,
                share=settings.share,
                inbrowser=open_browser,
                prevent_thread_lock=True,
                quiet=True,
                show_error=True,
                max_file_size=limits.upload_bytes,
                state_session_capacity=1000,
                ssr_mode=False,
                footer_links=[],
                app_kwargs={"middleware": [guard], "routes": routes, "docs_url": None, "redoc_url": None},
                **page_look(),
            )
        except OSError as error:
            raise AppError(
                f"The page cannot use port {settings.port} of {settings.host}: {error}. Choose another one with --port."
            ) from error
        return url, share_url

    def _is_known(self, event: str) -> bool:
        """Return whether Gradio's queue has a call, or its answer."""
        queue = self.blocks._queue
        try:
            waiting = (queue.event_ids_to_events, queue.pending_messages_per_session)
            answered = queue.pending_event_ids_session.values()
        except AttributeError:  # another version of Gradio keeps them elsewhere, and answers by itself
            return True
        return any(event in one for one in (*waiting, *answered))

    async def _file(self, request: WebRequest) -> Response:
        """Serve a file of a session."""
        path = self.storage.served(request.path_params["token"])
        if path is None:
            return JSONResponse({"error": CLOSED}, 404)
        kind = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            path, filename=path.name, content_disposition_type=kind, headers={"cache-control": "private, max-age=3600"}
        )

    async def _zip(self, request: WebRequest) -> Response:
        """Serve all results of a session as one archive."""
        session = self.storage.session_of_token(request.path_params["session"])
        if session is None or not session.results:
            return JSONResponse({"error": CLOSED}, 404)
        paths = [restored.target for result in session.results.values() for restored in result.files]
        size = sum(path.stat().st_size for path in paths if path.is_file())
        if not self.storage.make_room(size, paths):
            return JSONResponse({"error": no_room("this archive")}, 507)
        archive = await zip_results(session)
        return FileResponse(archive, filename="restored.zip", media_type="application/zip")

    async def _report(self, request: WebRequest) -> Response:
        """Serve a file of a report below the folder of runs."""
        folder = self.settings.runs
        path = None if folder is None else served_file(folder, request.path_params["path"])
        return (
            JSONResponse({"error": "There is no such file of a report."}, 404) if path is None else FileResponse(path)
        )


def _label(path: str, taken: dict[str, Any]) -> str:
    """Return a name for further weights that no other weights have."""
    parts = Path(path).resolve().parts if Path(path).exists() else Path(path).parts
    for count in range(len(Path(short_name(path)).parts), len(parts) + 1):
        label = "/".join(parts[-count:])
        if label not in taken:
            return label
    return path
