"""Refuses requests that would make the page read anything but uploads, before Gradio sees them."""

import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from passband.app.files.checks import UploadError
from passband.app.files.uploads import uploaded_file

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

API_BYTES = 2_000_000
"""Largest body of a request that is not an upload. The page sends paths and settings only."""
OVERHEAD = 100_000
"""Bytes of an upload beside its files: borders and names."""
REFUSED = ("/proxy=", "/vibe-", "/process_recording", "/monitoring", "/component_server", "/custom_component")
"""Parts of addresses of Gradio that the page does not use."""
HEADERS = {
    # the browser loads nothing from other addresses; Gradio needs scripts and styles inside the page
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """Checks each request of the page. It is middleware of ASGI.

    Args:
        app: the application behind it.
        uploads: folder of all uploads.
        upload_bytes: largest size of an uploaded file in bytes.
        files: largest number of files in one upload.
    """

    def __init__(self, app: Any, uploads: Path, upload_bytes: int, files: int):
        self.app, self.uploads = app, uploads
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
        problem = self._problem(path)
        if problem:
            await _refuse(send_with_headers, 403, problem)
        elif scope["method"] != "POST":
            await self.app(scope, receive, send_with_headers)
        elif path.rstrip("/").endswith("/upload"):
            most = self.upload_bytes * self.files
            length = _length(scope)
            if length is not None and length > most + OVERHEAD * self.files:
                await _refuse(send_with_headers, 413, f"These files are too large together, more than {most} bytes.")
                return
            await self.app(scope, receive, send_with_headers)
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
            for path in _named_files(json.loads(body)) if body else ():
                uploaded_file(path, self.uploads)
        except UploadError as error:
            await _refuse(send, 403, str(error))
            return
        except (ValueError, RecursionError):
            await _refuse(send, 400, "The request is not JSON.")
            return

        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


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


def _length(scope: MutableMapping[str, Any]) -> int | None:
    """Return the length of a body by its header."""
    text = dict(scope["headers"]).get(b"content-length", b"")
    return int(text) if text.isdigit() else None


async def _refuse(send: Send, status: int, reason: str) -> None:
    """Answer with an error and a sentence."""
    body = json.dumps({"detail": reason, "error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
