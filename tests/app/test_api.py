"""Calls the page from programs: as documented, and as an attacker would."""

import json
import re
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from passband import Classifier, Restorer, Segmenter
from passband.analysis.images import ImageChannels, ImageSpectrum, radial_curve
from passband.analysis.images.spectrum import described_spectrum
from passband.io.image import read_image
from passband.io.mask import read_stored_mask


@pytest.fixture
def client(address, tmp_path):
    return Client(address, verbose=False, download_files=str(tmp_path / "downloads"))


@pytest.fixture
def http(address):
    with httpx.Client(base_url=address, timeout=120) as opened:
        yield opened


def test_the_client_gets_the_file_that_the_library_writes(client, photo, tiny, tiny_weights, tmp_path):
    path, facts = client.predict(handle_file(photo), tiny, 0.5, True, api_name="/restore")
    expected = tmp_path / "expected.jpg"
    Restorer(str(tiny_weights), strength=0.5).restore_file(photo, expected, name_weights=True)
    assert Path(path).read_bytes() == expected.read_bytes()
    assert path.endswith(f"my photo_{tiny}.jpg")
    assert facts["weights"] == tiny
    assert facts["command"].endswith("--strength 0.5 --name-weights")
    assert 0 <= facts["inspections"][0]["confidence"] <= 1


def test_the_client_lists_networks_inspects_and_gets_errors_as_sentences(client, photo, tiny, tmp_path):
    names = client.predict(api_name="/networks")
    assert names[:2] == ["auto", "general"]
    assert tiny in names
    assert set(client.predict(handle_file(photo), api_name="/inspect")["probabilities"]) > {"rain", "clean"}
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(AppError, match=r"notes.txt is neither an image nor a video"):
        client.predict(handle_file(tmp_path / "notes.txt"), "auto", 1, False, api_name="/restore")


def test_the_documented_examples_run(address, client, photo, tmp_path, monkeypatch):
    document = (Path(__file__).parents[2] / "docs" / "app.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", document.split("## For programs")[1], flags=re.DOTALL)
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    monkeypatch.chdir(tmp_path)
    own = {task: name for name, task in client.predict(api_name="/own_networks").items()}
    names = {}
    for example in examples[:2]:
        example = example.replace("http://127.0.0.1:7860", address).replace('"polyps"', repr(own["segmentation"]))
        exec(example.replace('"photos"', repr(own["classification"])), names)
    assert Path(names["path"]).name == "photo_restored.jpg"
    assert names["restored"]["command"].startswith("passband restore photo.jpg")
    assert [
        Path(names[name]).suffix for name in ("spectrum", "curve", "low", "high", "rebuilt", "mask", "overlay")
    ] == [*(".png", ".png", ".jpg", ".jpg", ".jpg", ".png", ".png")]


def test_the_client_gets_the_figures_of_the_library(client, photo, own_networks):
    curve = radial_curve(read_image(photo))
    _, _, facts = client.predict(handle_file(photo), api_name="/spectrum")
    assert facts["title"] == described_spectrum(curve)[0]
    assert facts["columns"]["energy_inside"] == pytest.approx(curve.energy_inside.tolist())
    _, _, facts = client.predict(handle_file(photo), 0.2, "energy", api_name="/ratio")
    parts = ImageSpectrum(read_image(photo)).parts(0.2, "energy")
    assert (facts["radius"], facts["ratio"], facts["definition"]) == (pytest.approx(parts.radius), 0.2, "energy")
    _, facts = client.predict(handle_file(photo), "24S", "0, 64, 128", api_name="/channels")
    assert facts["channels"] == [0, 64, 128]
    assert facts["psnr"] == pytest.approx(ImageChannels.of_file(photo).fidelity((0, 64, 128))["psnr"])
    segmenter, classifier = own_networks
    facts = client.predict(handle_file(photo), classifier.name, api_name="/classify")
    assert [one["class"] for one in facts["guesses"]] == [one.name for one in Classifier(classifier)(photo)]
    assert facts["is_gated"]
    mask, _, facts = client.predict(handle_file(photo), segmenter.name, 0.5, api_name="/segment")
    assert read_stored_mask(mask).values.bool().equal(Segmenter(segmenter)(photo).bool())
    assert sum(facts["shares"].values()) == pytest.approx(1)


def test_functions_refuse_what_they_cannot_use_in_sentences(client, photo):
    for arguments, name, sentence in (
        ((1.5, "magnitude"), "ratio", "needs a number from 0 to 1 for 'Frequency ratio, 0 to 1', got '1.5'"),
        ((None, "magnitude"), "ratio", "needs a number from 0 to 1 for 'Frequency ratio, 0 to 1', got 'None'"),
        ((0.5, "energi"), "ratio", "needs one of magnitude, energy, .* got 'energi'. Did you mean 'energy'"),
        ((["auto"], 1, False), "restore", "needs one of auto, general, .*, got"),
        (("auto", True, False), "restore", "needs a number from 0 to 1"),
        (("auto", 1, "yes"), "restore", "needs true or false"),
        (("24S", None), "channels", "needs a text"),
        (("24S", "9" * 5000), "channels", "Channels are numbers from 0 to 191"),
        (("24S", "0, x"), "channels", "Channels are numbers from 0 to 191"),
        (("24S", "500"), "channels", "numbered 0 to 191"),
        (("nothing",), "classify", "This page has no weights named 'nothing' for classification"),
        (("/etc/passwd", 0.5), "segment", "This page has no weights named '/etc/passwd' for segmentation"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(photo), *arguments, api_name=f"/{name}")


def upload(http, path):
    with path.open("rb") as file:
        answer = http.post("gradio_api/upload", files={"files": (path.name, file)})
    return answer.raise_for_status().json()[0]


def file_data(path, **more):
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def test_payloads_that_name_anything_but_an_upload_are_refused(http, photo, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo.read_bytes())
    link = upload(http, photo)
    paths = [str(secret), "/etc/passwd", f"{link}/../../../../../../etc/passwd", "file:///etc/passwd"]
    paths += ["http://127.0.0.1:1/x.png", "https://example.com/x.png", "data:image/png;base64,AAAA", "relative.png", ""]
    for path in paths:
        for payload in (file_data(path), file_data(path, url="http://127.0.0.1:1/"), [file_data(path)]):
            for route in ("gradio_api/call/restore", "gradio_api/run/restore", "gradio_api/queue/join"):
                body = {"data": [payload, "auto", 1, False], "fn_index": 0, "session_hash": "attacker"}
                answer = http.post(route, json=body)
                assert answer.status_code == 403, (path, route)
                assert "was not uploaded to this page" in answer.json()["error"]
    answer = http.post("gradio_api/call/v2/restore", json={"file": file_data("/etc/passwd"), "weights": "auto"})
    assert answer.status_code == 403


def test_values_that_are_missing_or_no_files_are_refused_in_sentences(http, photo):
    file = file_data(upload(http, photo))
    for data, words in (
        ([], "/inspect needs 1 value (File), got 0."),
        ([file, file], "/inspect needs 1 value (File), got 2."),
        ([None], "/inspect needs an uploaded file"),
        ([3], "/inspect needs an uploaded file"),
        ([{"path": file["path"]}], "/inspect needs an uploaded file"),
        ([[file]], "/inspect needs an uploaded file"),
    ):
        event = http.post("gradio_api/call/inspect", json={"data": data}).raise_for_status().json()["event_id"]
        answer = http.get(f"gradio_api/call/inspect/{event}").text
        assert answer.startswith("event: error")
        assert words in answer


def test_calls_of_nothing_are_not_found(http, photo):
    assert http.post("gradio_api/call/nothing", json={"data": []}).status_code == 404
    assert http.get("gradio_api/call/inspect/unknown").status_code == 404
    event = http.post("gradio_api/call/networks", json={"data": []}).json()["event_id"]
    assert "event: complete" in http.get(f"gradio_api/call/networks/{event}").text
    assert http.get("gradio_api/queue/data", params={"session_hash": "unknown"}).status_code == 200


def test_weights_that_the_page_does_not_offer_are_refused(http, photo, tmp_path):
    path = upload(http, photo)
    for weights in ("/etc/passwd", path, "owner/name", "../general", "https://example.com", None, ["general"], {}):
        event = http.post("gradio_api/call/restore", json={"data": [file_data(path), weights, 1, False]}).json()
        answer = http.get(f"gradio_api/call/restore/{event['event_id']}")
        assert "event: error" in answer.text, weights
        assert "event: complete" not in answer.text


def test_no_address_serves_anything_but_uploads_and_results(http, photo, tmp_path):
    path = upload(http, photo)
    assert http.get(f"gradio_api/file={path}").content == photo.read_bytes()
    for address in (
        *(
            "gradio_api/file=/etc/passwd",
            f"gradio_api/file={path}/../../../../etc/passwd",
            "gradio_api/file=.git/config",
        ),
        *(
            "gradio_api/file=http://127.0.0.1:1/",
            "gradio_api/file=https://example.com/",
            "gradio_api/file=pyproject.toml",
        ),
        *(
            "gradio_api/file=%2Fetc%2Fpasswd",
            "gradio_api/file=%252Fetc%252Fpasswd",
            "gradio_api/file=file:///etc/passwd",
        ),
        *("gradio_api/proxy=https://example.com/", "gradio_api/file//etc/passwd", "file=/etc/passwd"),
        *("passband/file/x/y", "passband/file/..%2F..%2Fetc/passwd", "passband/zip/../x.zip", "passband/zip/x/y"),
        *("static/../../../../etc/passwd", "assets/..%2F..%2F..%2Fetc%2Fpasswd", "gradio_api/custom_component/a/b/c/d"),
    ):
        answer = http.get(address)
        assert answer.status_code in (400, 403, 404, 405, 422) or "root:" not in answer.text, address
        assert "root:" not in answer.text
        assert "[project]" not in answer.text


def test_large_and_malformed_requests_are_refused_and_the_page_goes_on(http, tmp_path):
    large = tmp_path / "large.png"
    large.write_bytes(bytes(4_000_000))
    with large.open("rb") as file:
        assert http.post("gradio_api/upload", files={"files": (large.name, file)}).status_code >= 400
    assert http.post("gradio_api/call/restore", content=b"x" * 3_000_000).status_code == 413
    for content in (b"{", b"\xff", b"[" * 200_000, json.dumps({"data": [1] * 50}).encode(), b"null", b"[]"):
        answer = http.post("gradio_api/call/restore", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 422, 500)
    names = ["../../x.png", "..\\x.png", "/etc/x.png", "x" * 300 + ".png", "\x01.png"]
    for name in names:
        answer = http.post("gradio_api/upload", files={"files": (name, large.read_bytes()[:10])})
        if answer.status_code == 200:
            assert Path(answer.json()[0]).resolve().parts[-3] == "uploads"
    answer = http.get("")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_pickle_is_never_loaded(client, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    for name in ("evil.pkl", "evil.png", "evil.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(Evil()))
        with pytest.raises(AppError, match="neither an image nor a video"):
            client.predict(handle_file(tmp_path / name), "auto", 1, False, api_name="/restore")
    assert not (tmp_path / "pwned").exists()
