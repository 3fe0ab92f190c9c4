"""Sends requests through the guard to small applications that stand for Gradio."""

import asyncio
import json

import pytest

from passband.app.guard import OVERHEAD, Functions, Guard


def answered(tmp_path, app, method, path, *messages, left=None, known=("one",), room=10**9):
    """Send a request with these messages of its body, and return the status and the content of the answer."""
    left = [] if left is None else left
    functions = Functions(
        ("inspect", "ratio"), (0, 1), lambda event: event in known, left.append, lambda size: size <= room
    )
    guard = Guard(app, tmp_path, 1000, 2, functions)
    given, sent = list(messages), []

    async def receive():
        return given.pop(0) if given else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(guard({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], content


def body(content, *, more=False):
    return {"type": "http.request", "body": content, "more_body": more}


async def fine(scope, receive, send):
    """Read all of a request, and answer that all is fine."""
    while (await receive()).get("more_body"):
        continue
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "words"),
    [
        ("POST", "/gradio_api/call/inspect", b'{"data": [], "fn_index": 1}', 200, "fine"),
        ("POST", "/gradio_api/call/inspct", b'{"data": []}', 404, "named 'inspct'. Did you mean 'inspect'?"),
        ("POST", "/gradio_api/call/v2/nothing", b"{}", 404, "no function named 'nothing'"),
        ("POST", "/gradio_api/run/nothing/", b"{}", 404, "no function named 'nothing'"),
        ("POST", "/gradio_api/queue/join", b'{"data": [], "fn_index": 7}', 404, "no function with the number 7"),
        ("POST", "/gradio_api/queue/join", b'{"data": [], "fn_index": -1}', 404, "no function with the number -1"),
        ("GET", "/gradio_api/call/inspect/one", b"", 200, "fine"),
        ("GET", "/gradio_api/call/inspect/two", b"", 404, "There is no such call"),
        ("POST", "/gradio_api/call/ratio", b'{"data": [NaN]}', 400, "not JSON"),
        ("POST", "/gradio_api/call/ratio", b'{"data": [-Infinity]}', 400, "not JSON"),
    ],
)
def test_requests_for_nothing_are_refused_in_sentences(tmp_path, method, path, content, status, words):
    answer = answered(tmp_path, fine, method, path, body(content))
    assert answer[0] == status
    assert words in (json.loads(answer[1])["error"] if status != 200 else answer[1].decode())


def test_uploads_without_a_length_meet_the_limit_of_all_files(tmp_path):
    small = [body(bytes(1000), more=True), body(bytes(1000))]
    assert answered(tmp_path, fine, "POST", "/gradio_api/upload", *small)[0] == 200
    large = [body(bytes(OVERHEAD), more=True) for _ in range(3)]
    status, content = answered(tmp_path, fine, "POST", "/gradio_api/upload", *large)
    assert (status, content) == (413, b"These files are too large together. Upload at most 0.202 MB at once.")


def test_an_upload_without_room_is_refused_before_it_is_read(tmp_path):
    status, content = answered(tmp_path, fine, "POST", "/gradio_api/upload", body(bytes(10)), room=999)
    assert (status, content[:35]) == (507, b"There is no room for these files on")
    assert answered(tmp_path, fine, "POST", "/gradio_api/upload", body(bytes(10)), room=1000)[0] == 200


def test_a_list_may_name_uploads_that_were_removed(tmp_path):
    for name, status in (("x/gone.png", 200), ("../gone.png", 403), ("", 403)):
        content = json.dumps({"data": [[{"path": f"{tmp_path.resolve()}/{name}"}]]}).encode()
        assert answered(tmp_path, fine, "POST", "/gradio_api/queue/join", body(content))[0] == status


@pytest.mark.parametrize("error", [TypeError("no argument"), KeyError("name"), ValueError("value")])
@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/call/v2/inspect"])
def test_requests_at_which_gradio_fails_are_answered_in_a_sentence(tmp_path, error, path):
    async def failing(scope, receive, send):
        raise error

    status, content = answered(tmp_path, failing, "POST", path, body(b"{}"))
    assert (status, json.loads(content)["error"][:34]) == (422, "The page cannot use this request. ")


def test_errors_of_the_page_itself_are_not_hidden(tmp_path):
    async def failing(scope, receive, send):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        answered(tmp_path, failing, "GET", "/")


def test_a_stream_that_fails_after_its_start_is_ended(tmp_path):
    async def failing(scope, receive, send):
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"event: error", "more_body": True})
        raise RuntimeError("the response has started")

    assert answered(tmp_path, failing, "GET", "/gradio_api/queue/data") == (200, b"event: error")


def test_the_work_of_a_call_ends_when_its_client_leaves(tmp_path):
    left = []
    answered(tmp_path, fine, "GET", "/gradio_api/call/inspect/one", body(b""), left=left)
    assert left == []
    answered(tmp_path, fine, "GET", "/gradio_api/call/inspect/one", {"type": "http.disconnect"}, left=left)
    assert left == ["one"]
