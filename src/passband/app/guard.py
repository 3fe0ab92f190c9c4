"""Refuses requests that would make the page read anything but uploads, before Gradio sees them."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from passband.app.files.checks import UploadError
from passband.app.files.room import no_room
from passband.app.files.uploads import uploaded_file
from passband.naming import suggestion

_log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

API_BYTES = 2_000_000
"""Largest body of a request that is not an upload. The page sends paths and settings only."""
OVERHEAD = 100_000
"""Bytes of an upload beside its files: borders and names."""
REFUSED = ("/proxy=", "/vibe-", "/process_recording", "/monitoring", "/component_server", "/custom_component")
"""Parts of addresses of Gradio that the page does not use."""
CALL = re.compile(r"/gradio_api/(?:call|run|api)(?:/v2)?/(?P<name>[^/]+)(?:/(?P<event>[^/]+))?/?")
"""Addresses that call a function, or fetch the answer of a call."""
HEADERS = {
    # the browser loads nothing from other addresses; Gradio needs scripts and styles inside the page
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class Functions:
    """The functions of the page, and what happens to their calls.

    Attributes:
        names: names of the functions that programs call.
        numbers: numbers of all functions.
        is_known: function that says whether a call was made, and its answer was not fetched yet.
        leave: function that is told the call whose client leaves before the answer.
        make_room: function that makes room for a number of bytes, and says whether there is enough.
    """

    names: Collection[str]
    numbers: Collection[int]
    is_known: Callable[[str], bool]
    leave: Callable[[str], None]
    make_room: Callable[[int], bool]


class Guard:
    """Checks each request of the page. It is middleware of ASGI.

    Args:
        app: the application behind it.
        uploads: folder of all uploads.
        upload_bytes: largest size of an uploaded file in bytes.
        files: largest number of files in one upload.
        functions: functions of the page.
    """

    def __init__(self, app: Any, uploads: Path, upload_bytes: int, files: int, functions: Functions):
        self.app, self.uploads, self.functions = app, uploads, functions
        self.upload_bytes, self.files = upload_bytes, files

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        path = unquote(unquote(scope["path"]))
        problem, missing = self._problem(path), self._missing(path)
        if problem or missing:
            await _refuse(send_with_headers, 403 if problem else 404, problem or missing)
        elif scope["method"] != "POST":
            await self._answered(scope, self._followed(path, receive), send_with_headers)
        elif path.rstrip("/").endswith("/upload"):
            most = self.upload_bytes * self.files
            length = _length(scope)
            if length is not None and length > most + OVERHEAD * self.files:
                await _refuse(send_with_headers, 413, _too_large(most), is_shown=True)
                return
            if not self.functions.make_room(length or self.upload_bytes):
                await _refuse(send_with_headers, 507, no_room("these files"), is_shown=True)
                return
            await self._answered(scope, _limited(receive, most + OVERHEAD * self.files), send_with_headers)
        else:
            await self._checked(scope, receive, send_with_headers)

    def _problem(self, path: str) -> str:
        """Return the reason why an address is refused; empty if it is not."""
        if any(part in path for part in REFUSED):
            return "This page does not offer this address."
        if "/file=" in path:
            try:
                uploaded_file(path.split("/file=", 1)[1], self.uploads)
            except UploadError as error:
                return str(error)
        return ""

    def _missing(self, path: str) -> str:
        """Return a sentence if an address names no function or no call; empty otherwise."""
        found = CALL.fullmatch(path)
        if found is None:
            return ""
        name, event = found["name"], found["event"]
        if name not in self.functions.names:
            return f"This page has no function named {name!r}.{suggestion(name, list(self.functions.names))}"
        if event is not None and not self.functions.is_known(event):
            return "There is no such call, or its answer was fetched already. Call the function again."
        return ""

    def _followed(self, path: str, receive: Receive) -> Receive:
        """Return a receiver that ends the work of a call whose client leaves."""
        found = CALL.fullmatch(path)
        event = None if found is None else found["event"]

        async def receive_until_left() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and event is not None:
                self.functions.leave(event)
            return message

        return receive_until_left

    async def _answered(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, and answer in a sentence if Gradio fails at it."""
        kind = None

        async def watched(message: Message) -> None:
            nonlocal kind
            if message["type"] == "http.response.start":
                kind = dict(message.get("headers", [])).get(b"content-type", b"")
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except _TooLargeError as error:
            await _refuse(send, 413, str(error), is_shown=True)
        except (TypeError, KeyError, ValueError) as error:  # Gradio checks neither names nor types of arguments
            if kind is not None:
                raise
            _log.info("Gradio cannot use a request: %r", error)
            await _refuse(send, 422, "The page cannot use this request. Check its names and values.")
        except RuntimeError:
            if not (kind or b"").startswith(b"text/event-stream"):
                raise
            await send({"type": "http.response.body", "body": b""})  # the stream has told its client already

    async def _checked(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Read a body, check the files that it names, and pass it on."""
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > API_BYTES:
                await _refuse(send, 413, f"The request has more than {API_BYTES} bytes. Upload files, and name them.")
                return
        body = b"".join(parts)
        try:
            values = json.loads(body, parse_constant=_refused_constant) if body else None
            for path in _named_files(values):
                uploaded_file(path, self.uploads, or_removed=True)  # a list may name files that were removed
        except UploadError as error:
            await _refuse(send, 403, str(error))
            return
        except (ValueError, RecursionError):
            await _refuse(send, 400, "The request is not JSON.")
            return
        number = values.get("fn_index") if isinstance(values, dict) else None
        if isinstance(number, int) and number not in self.functions.numbers:
            await _refuse(send, 404, f"This page has no function with the number {number}.")
            return

        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._answered(scope, replay, send)


def _named_files(value: Any) -> Iterator[str]:
    """Yield all paths and addresses of files in a request, wherever they are."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("path"), str):
                yield one["path"]
            elif "url" in one and one["url"] is not None:
                yield str(one["url"])
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _too_large(most: int) -> str:
    """Return the sentence about an upload of more bytes than allowed."""
    return f"These files are too large together. Upload at most {most / 1e6:g} MB at once."


class _TooLargeError(Exception):
    """A body is larger than its limit."""


def _limited(receive: Receive, most: int) -> Receive:
    """Return a receiver that stops at a number of bytes, also if no header says how many will come."""
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise _TooLargeError(_too_large(most))
        return message

    return receive_some


def _refused_constant(name: str) -> None:
    """Refuse NaN and infinity, which JSON does not have.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not JSON")


def _length(scope: MutableMapping[str, Any]) -> int | None:
    """Return the length of a body by its header."""
    text = dict(scope["headers"]).get(b"content-length", b"")
    return int(text) if text.isdigit() else None


async def _refuse(send: Send, status: int, reason: str, *, is_shown: bool = False) -> None:
    """Answer with an error and a sentence. The page shows the whole answer to an upload, so that is the sentence."""
    body = reason.encode() if is_shown else json.dumps({"detail": reason, "error": reason}).encode()
    kind = b"text/plain; charset=utf-8" if is_shown else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
