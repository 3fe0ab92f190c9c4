import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from passband.app.api import description
from passband.app.files.uploads import Storage
from passband.app.html.results import details, status
from passband.app.html.words import done, duration, findings, limits_sentence
from passband.app.settings import Limits
from passband.app.work.jobs import Job
from passband.app.work.requests import Predictors, command_line
from passband.app.work.restoration import InspectRequest, Restored, RestoreRequest, joined_weights
from passband.app.work.restoring import Moment, Options, Result, joined
from passband.cli import main
from passband.inference import Diagnosis, InspectedChoice, Restorer
from passband.inference.inspection.auto import LISTED_SCENES
from passband.inference.restoration.choice import Decision, Scene, VideoDecision
from passband.io.image import write_image
from tests.inspecting import Layered, photograph

BOTH = "dehaze-small+derain-small"
CLEAN = Diagnosis({"rain": 0.1, "clean": 0.9}, 40.0, {"derain-small": -1.0}, 1.0, tried=True)


def scenes_of(*names):
    """Return scenes of 20 frames with these networks."""
    return tuple(Scene(20 * number, Decision(name, diagnoses=(CLEAN,))) for number, name in enumerate(names))


@pytest.fixture
def restored(tmp_path):
    """Return the result for an image that two networks restore, one after the other."""

    class Prepared(Predictors):
        def get(self, build, *settings, **more):
            return Restorer("auto", "cpu", choice=InspectedChoice(Layered(5.25)))

    write_image(tmp_path / "a.png", photograph(1))
    (tmp_path / "out").mkdir()
    return RestoreRequest(tmp_path / "a.png", tmp_path / "out").do(Prepared())


def test_numbers_have_their_nouns():
    limits = Limits(image_pixels=1_000_000, files=1, keep_seconds=60)
    assert "1 megapixel each, at most 1 file. " in limits_sentence(limits)
    assert limits_sentence(limits).endswith("after 1 minute at most.")
    assert "50 megapixels each, at most 100 files. " in limits_sentence(Limits())
    times = (0.5, 1.2, 89, 90, 3600, 5400)
    words = ["less than a second", "1 second", "89 seconds", "2 minutes", "60 minutes", "1.5 hours"]
    assert list(map(duration, times)) == words


def test_the_end_tells_files_that_were_left_alone_from_restored_ones():
    def job(name, weights):
        result = SimpleNamespace(weights=weights)
        return Job("me", InspectRequest(Path(name)), "done", result=result)

    def said(*jobs):
        return re.findall(r"<p>(.*?) <a", status(Moment(jobs, (), (), True)))[0]

    assert said(job("a.png", "general")) == said(job("a.png", "general"), job("a.png", None)) == "a.png is restored."
    assert said(job("a.png", None)) == "a.png is left alone."
    assert said(job("a.png", None), job("b.png", None)) == "2 files are left alone."
    three = [job("a.png", None), job("b.png", "general"), job("c.png", None)]
    assert said(*three) == "1 file is restored, and 2 files are left alone."
    other = Job("me", InspectRequest(Path("a.png")), "done", result={})
    assert "a.png is classified." in status(Moment((other,), (), (), True), "classified")


def test_names_that_begin_like_options_name_files_on_the_command_line(tmp_path):
    line = command_line("restore", tmp_path / "-rf.png", "-o", tmp_path / "-rf_restored.png", "--weights", "general")
    assert line == "passband restore ./-rf.png -o ./-rf_restored.png --weights general"
    assert command_line("classify", tmp_path / "a b.png") == "passband classify 'a b.png'"


@pytest.mark.parametrize(
    ("name", "settings", "command"),
    [
        ("my photo.png", {}, "passband restore 'my photo.png'"),
        ("a.png", {"label": "auto", "strength": 0.5}, "passband restore a.png --strength 0.5"),
        ("-n.png", {"weights": "TINY"}, "passband restore ./-n.png --weights TINY"),
        (
            *("-n.png", {"weights": "TINY", "label": "tiny", "is_named": True}),
            "passband restore ./-n.png -o ./-n_tiny.png --weights TINY",
        ),
        (
            *('it\'s "Größe" $x!.png', {"weights": "TINY", "is_named_inside": True}),
            """passband restore 'it'"'"'s "Größe" $x!.png' --weights TINY --name-weights""",
        ),
        ("100% [1]*.png", {"weights": "TINY"}, "passband restore '100% [1]*.png' --weights TINY"),
    ],
)
def test_the_command_is_the_shortest_that_writes_the_same_file(
    name, settings, command, tiny_weights, tmp_path, monkeypatch
):
    settings = {key: str(tiny_weights) if value == "TINY" else value for key, value in settings.items()}
    write_image(tmp_path / name, photograph(1)[:, :64, :96])
    (tmp_path / "out").mkdir()
    result = RestoreRequest(tmp_path / name, tmp_path / "out", **settings).do(Predictors())
    assert result.command == command.replace("TINY", str(tiny_weights))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", shlex.split(result.command))
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert (tmp_path / result.target.name).read_bytes() == result.target.read_bytes()


def test_restorations_that_run_at_once_have_one_state():
    first = Moment((Job("me", InspectRequest(Path("a.png"))),), ("one",), (), True)
    second = Moment((Job("me", InspectRequest(Path("b.png"))),), ("two",), ("b.png",), False)
    together = joined(second, (first, second))
    assert [job.request.name for job in together.jobs] == ["a.png", "b.png"]
    assert (together.problems, together.new, together.is_over) == (("one", "two"), ("b.png",), False)
    assert joined(first, (first,)) == first


@pytest.mark.parametrize(
    ("names", "name"),
    [((BOTH, None, "general"), f"{BOTH} and general"), ((BOTH, BOTH), BOTH), ((None,), None)],
)
def test_networks_of_scenes_are_told_from_networks_that_run_one_after_the_other(names, name):
    assert joined_weights(VideoDecision(scenes_of(*names))) == name


def test_both_networks_and_what_was_found_before_each_are_said_once(restored, tmp_path):
    assert findings(restored) == [
        "The inspector sees haze (probability 90 %) and rain (probability 80 %). Expected gain with dehaze-small: "
        "7.0 dB.",
        "After dehaze-small: The inspector sees rain (probability 70 %). Expected gain with derain-small: 5.2 dB.",
    ]
    words = "Restored by dehaze-small and then derain-small, which were chosen automatically, in "
    assert done(restored, "auto").startswith(words)
    assert not any("expected" in note for note in restored.notes)
    assert done(restored, "auto", 0.5).startswith(words.replace(", which", " with strength 0.5, which"))
    result = Result(tmp_path / "a.png", Options(), ("auto",), (restored,))
    storage = Storage(Limits())
    page = details(result, storage)
    storage.close()
    assert page.count("Expected gain with dehaze-small") == page.count("Expected gain with derain-small") == 1
    facts = description(result)
    assert facts["weights"] == BOTH
    assert [one["choice"] for one in facts["inspections"]] == ["dehaze-small", "derain-small"]
    assert {one["file"] for one in facts["inspections"]} == {"a.png"}


def test_each_scene_of_a_video_has_its_finding_and_its_network():
    path = Path("a.mp4")
    names = (BOTH, None, *["general"] * LISTED_SCENES)
    video = Restored(path, path, path, True, "all", scenes_of(*names), (), (64, 48), 2.0)
    texts = findings(video)
    assert texts[0] == (
        "From frame 0: It looks clean (probability 90 %). Restored by dehaze-small and then derain-small."
    )
    assert texts[1] == "From frame 20: It looks clean (probability 90 %). Left alone."
    assert texts[LISTED_SCENES:] == ["2 more scenes are not listed."]
    assert done(video, "auto") == "Each scene was restored by what was chosen for it, in 2 seconds."
    facts = description(Result(path, Options(), ("auto",), (video,)))
    assert [one["weights"] for one in facts["scenes"]] == list(names)
    assert facts["scenes"][1]["start"] == 20


def test_the_finding_of_the_automatic_choice_is_shown_beside_that_of_a_named_network(restored, tmp_path):
    quick = Restored(restored.target, tmp_path, tmp_path, False, "general", scenes_of("general"), (), (9, 9), 1.0)
    result = Result(tmp_path / "a.png", Options(), ("general", "auto"), (quick, restored))
    storage = Storage(Limits())
    page = details(result, storage)
    storage.close()
    assert "After dehaze-small" in page
    assert "It looks clean" not in page
