import inspect
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import passband
from passband.data.degradations import KINDS
from passband.inference import Diagnosis, InspectedChoice, Inspector, Restorer, plan_jobs, restore_files
from passband.inference.files.restoring import LeftAlone
from passband.inference.inspection.inspector import mean_of
from passband.inference.restoration.choice import Decision
from passband.inference.restoration.memory import MemoryPlan
from passband.io.conversion import as_tensor
from passband.io.image import ImageError, read_image, to_pil, write_image
from passband.state_dicts import CheckpointError
from passband.weights_finding import find_weights, shipped_weights
from tests import clips
from tests.inspecting import decided, photograph, saved


def inspector(folder, *args, **options):
    return Inspector(saved(decided(*args, **options), folder / "inspector"))


class Halved:
    """Stands for a network: gives half of what it gets."""

    def __init__(self, name):
        self.name, self.weights = name, name

    def predict(self, degraded, report=None):
        return degraded / 2, MemoryPlan("whole", 0)


def automatic(folder, monkeypatch, *args, **options):
    """A restorer that always finds the same, with networks that halve."""
    restorer = Restorer("auto", "cpu", choice=InspectedChoice(inspector(folder, *args, **options)))
    loaded = []
    monkeypatch.setattr(restorer, "network", lambda name: loaded.append(name) or Halved(name))
    return restorer, loaded


class TestDiagnosis:
    def test_a_degraded_image_gets_the_network_of_the_largest_gain(self):
        found = Diagnosis({"rain": 0.93, "haze": 0.2, "clean": 0.02}, 24.2, {"general": 3.0, "derain-small": 5.1}, 1.0)
        assert found.choice == "derain-small"
        assert found.line == "rain (0.93), about 24 dB: derain-small, expected +5.1 dB"

    def test_a_picture_that_is_clean_strange_or_beyond_help_is_left_alone_and_told_why(self):
        gains = {"general": 3.0}
        clean = Diagnosis({"rain": 0.1, "clean": 0.97}, 40.0, gains, 1.0)
        unsure = Diagnosis({"rain": 0.6, "clean": 0.7}, 40.0, gains, 1.0)
        strange = Diagnosis({"rain": 0.9, "clean": 0.02}, 20.0, gains, 0.04)
        hopeless = Diagnosis({"rain": 0.9, "clean": 0.02}, 30.0, {"general": 0.08}, 1.0)
        assert [one.choice for one in (clean, unsure, strange, hopeless)] == [None] * 4
        doubtful = Diagnosis({"rain": 0.4, "clean": 0.1}, 30.0, gains, 1.0)
        assert doubtful.choice is None
        assert doubtful.line == "not sure, most likely rain (0.40): left alone"
        assert clean.line == "clean (0.97): left alone"
        assert replace(unsure, probabilities={"rain": 0.6, "clean": 0.35}, tried=True).line == (
            "rain (0.60), or clean (0.35): left alone"
        )
        assert "like nothing that the inspector knows (confidence 0.04): left alone" in strange.line
        assert hopeless.line == (
            "rain (0.90), about 30 dB: no network is expected to help (general +0.1 dB): left alone"
        )

    def test_after_a_trial_an_image_is_restored_if_it_is_hardly_clean_whatever_its_degradation(self):
        gains = {"general": 3.0}
        doubtful = Diagnosis({"rain": 0.4, "snow": 0.3, "clean": 0.2}, 30.0, gains, 1.0, tried=True)
        assert doubtful.choice == "general"
        assert doubtful.line == "not sure, most likely rain (0.40), about 30 dB: general, expected +3.0 dB"
        assert doubtful.among(["general"]).tried
        perhaps_clean = Diagnosis({"rain": 0.6, "clean": 0.35}, 30.0, gains, 1.0, tried=True)
        assert perhaps_clean.choice is None

    def test_the_network_of_a_likely_degradation_is_preferred_among_those_that_help(self):
        kinds, special = {"rain": 0.8, "snow": 0.1, "clean": 0.0}, {"derain-small": "rain", "desnow-small": "snow"}
        found = Diagnosis(kinds, 24.0, {"general": 5.0, "desnow-small": 5.4, "derain-small": 4.8}, 1.0, True, special)
        assert found.choice == "derain-small"
        assert found.line.endswith("derain-small, expected +4.8 dB")
        assert replace(found, gains={**found.gains, "derain-small": 4.6}).choice == "desnow-small"
        helpless = replace(found, gains={"general": 0.5, "derain-small": 0.0})
        assert helpless.choice == "general"
        assert replace(found, gains={"general": -0.2, "derain-small": -0.1}).choice is None

    def test_a_small_gain_is_enough_for_the_network_of_a_degradation_that_is_found(self):
        special = {"derain-small": "rain", "desnow-small": "snow"}
        gains = {"general": 0.3, "desnow-small": 0.3, "derain-small": 0.1}
        found = Diagnosis({"rain": 0.6, "snow": 0.4, "clean": 0.1}, 30.0, gains, 1.0, True, special)
        assert found.choice == "derain-small"
        assert replace(found, gains={**gains, "derain-small": 0.04}).choice is None
        unsure = replace(found, probabilities={"rain": 0.4, "snow": 0.4, "clean": 0.1})
        assert unsure.choice is None
        assert unsure.line.endswith("no network is expected to help (desnow-small +0.3 dB): left alone")
        assert replace(unsure, gains={**gains, "general": 0.5}).choice == "general"

    def test_networks_that_do_not_ship_are_not_chosen(self):
        found = Diagnosis({"rain": 0.9, "clean": 0.0}, 24.0, {"general": 3.0, "mine": 9.0}, 1.0)
        assert found.among(["general"]).choice == "general"
        assert found.among([]).choice is None

    def test_the_mean_of_frames_is_of_all_that_is_said(self):
        one = Diagnosis({"rain": 0.8, "clean": 0.1}, 20.0, {"general": 2.0}, 1.0)
        two = Diagnosis({"rain": 0.4, "clean": 0.5}, 30.0, {"general": 4.0}, 0.5)
        mean = mean_of([one, two])
        assert mean.probabilities == pytest.approx({"rain": 0.6, "clean": 0.3})
        assert (mean.psnr, mean.gains["general"], mean.confidence) == pytest.approx((25.0, 3.0, 0.75))


class TestInspector:
    def test_files_arrays_pictures_and_tensors_are_taken(self, tmp_path):
        look = inspector(tmp_path, ["rain", "haze"], 22.0)
        image = photograph(1)
        write_image(tmp_path / "a.png", image)
        array = np.asarray(to_pil(image))
        content = (tmp_path / "a.png").read_bytes()
        for picture in (tmp_path / "a.png", str(tmp_path / "a.png"), content, to_pil(image), array, image):
            found = look(picture)
            assert list(found.found) == ["rain", "haze"]
            assert found.psnr == pytest.approx(22.0, abs=1e-4)
            assert found.gains["derain-small"] == pytest.approx(5.0, abs=1e-4)
            assert found.confidence == 1

    def test_a_bad_file_does_not_keep_the_others_from_being_done(self, tmp_path):
        (tmp_path / "bad.jpg").write_bytes(b"nothing")
        write_image(tmp_path / "good.jpg", photograph(2))
        bad, good = inspector(tmp_path, ["rain"]).inspect([tmp_path / "bad.jpg", tmp_path / "good.jpg"])
        assert "bad.jpg" in (bad.error or "")
        assert bad.as_dict()["error"]
        assert good.as_dict()["choice"] == "derain-small"
        with pytest.raises(ImageError, match=r"bad\.jpg"):
            inspector(tmp_path, ["rain"])(tmp_path / "bad.jpg")

    def test_weights_of_another_task_are_refused(self):
        with pytest.raises(CheckpointError, match="general"):
            Inspector("general")

    def test_the_shipped_inspector_is_small_has_a_card_and_knows_networks_that_ship(self):
        assert (find_weights("inspector").stat().st_size) < 1_000_000
        assert "PSNR" in find_weights("inspector", "README.md").read_text()
        look = Inspector()
        assert set(look.networks) & set(shipped_weights())
        assert look.kinds == (*KINDS, "clean")
        assert look.model.judge is not None
        assert Restorer("auto", "cpu").choice.names

    def test_the_inspector_is_public_and_no_restoration_network(self):
        assert passband.Inspector is Inspector
        assert "inspector" not in shipped_weights()


class TestAutomatic:
    def test_it_is_what_restorer_makes_of_auto(self, tmp_path, monkeypatch):
        look = inspector(tmp_path, ["rain"])
        monkeypatch.setattr("passband.inference.inspection.auto.Inspector", lambda: look)
        restorer = Restorer("auto", "cpu")
        assert type(restorer) is Restorer
        assert restorer.choice.names == ["general", "derain-small"]
        assert Restorer("general", "cpu").choice.fixed == "general"
        assert list(inspect.signature(Restorer).parameters)[:3] == ["weights", "device", "memory"]
        with pytest.raises(ValueError, match="Name it, such as general"):
            _ = restorer.model

    def test_a_degraded_picture_is_restored_by_the_chosen_network(self, tmp_path, monkeypatch):
        restorer, loaded = automatic(tmp_path, monkeypatch, ["rain"])
        image = photograph(3)
        torch.testing.assert_close(restorer.restore(image[None])[0], image / 2)
        assert loaded == ["derain-small"]

    @pytest.mark.parametrize("found", [{"kinds": ["clean"]}, {"kinds": ["rain"], "known": False}])
    def test_a_clean_or_strange_picture_keeps_its_bytes_and_its_file(self, tmp_path, monkeypatch, found):
        restorer, loaded = automatic(tmp_path, monkeypatch, **found)
        image = photograph(4)
        assert torch.equal(restorer.restore(image[None])[0], image)
        assert np.array_equal(restorer(np.asarray(to_pil(image))), np.asarray(to_pil(image)))
        data = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        to_pil(image).save(data, "JPEG", quality=70, exif=exif)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jpg").write_bytes(data.getvalue())
        (outcome,) = restore_files(restorer, plan_jobs([tmp_path / "in" / "a.jpg"], tmp_path / "out"))
        assert (outcome.status, outcome.result) == ("restored", LeftAlone())
        assert "left alone" in outcome.notes[0]
        assert (tmp_path / "out" / "a.jpg").read_bytes() == data.getvalue()
        restorer.restore_file(tmp_path / "in" / "a.jpg", tmp_path / "a.png")
        assert torch.equal(read_image(tmp_path / "a.png"), read_image(tmp_path / "in" / "a.jpg"))
        assert not loaded

    def test_a_file_gets_the_network_of_its_content_however_it_is_passed(self, tmp_path, monkeypatch):
        restorer, loaded = automatic(tmp_path, monkeypatch, ["rain"])
        # as for a file of JPEG whose coefficients show what its rounded pixels do not
        monkeypatch.setattr(restorer.choice, "of_image", lambda image: Decision(None))
        write_image(tmp_path / "a.jpg", photograph(3))
        path, image = tmp_path / "a.jpg", read_image(tmp_path / "a.jpg")
        for given in (path, str(path), path.read_bytes()):
            torch.testing.assert_close(as_tensor(restorer(given)), image / 2, rtol=0, atol=0.51 / 255)  # of 8 bits
            assert loaded == ["derain-small"]
            loaded.clear()
        assert torch.equal(as_tensor(restorer(to_pil(image))), image)
        assert not loaded

    def test_an_option_that_no_network_takes_is_refused_without_naming_one(self):
        for options, message in (
            ({"tile": 100}, "tile=100: tile must be a multiple of 8 from 64 pixels"),
            ({"tile": 80, "pool_window": 9}, "tile=80, pool_window=9: blend_windows needs global pooling"),
        ):
            with pytest.raises(CheckpointError, match=f"^the networks of the weights 'auto' do not take {message}"):
                Restorer("auto", "cpu", **options)

    def test_a_network_of_a_choice_that_is_given_is_named(self, tmp_path):
        choice = InspectedChoice(inspector(tmp_path, ["rain"]))
        for name, message in (("derain-small", "derain-small: tile must be"), ("derain-smal", "No weights named")):
            choice.names = [name]
            with pytest.raises(CheckpointError, match=f"^{message}"):
                Restorer(device="cpu", choice=choice, tile=100)

    def test_what_was_chosen_is_the_first_note_of_a_file(self, tmp_path, monkeypatch, tiny_weights):
        restorer, _ = automatic(tmp_path, monkeypatch, ["rain"], 24.0)
        monkeypatch.setattr(restorer, "network", lambda name: Restorer(tiny_weights, "cpu").network())
        write_image(tmp_path / "a.png", photograph(5))
        (outcome,) = restore_files(restorer, plan_jobs([tmp_path / "a.png"], tmp_path / "out"))
        assert outcome.notes[0] == "rain (0.95), about 24 dB: derain-small, expected +5.0 dB"
        assert outcome.result is None

    def test_a_scene_is_decided_once_from_several_frames(self, tmp_path, monkeypatch, tiny_weights):
        clips.write_clip(tmp_path / "a.mp4", clips.even(12))
        restorer, loaded = automatic(tmp_path, monkeypatch, ["rain"])
        restorer = Restorer("auto", "cpu", choice=restorer.choice)
        tiny = Restorer(tiny_weights, "cpu").network()
        restorer._networks = {"derain-small": tiny}
        network, line = restorer.for_video(tmp_path / "a.mp4")
        assert network.network() is tiny
        assert not loaded
        assert line.startswith("2 frames inspected: rain (0.95)")
        with pytest.raises(ValueError, match="one network"):
            passband.inference.restore_video(restorer, tmp_path / "a.mp4", tmp_path / "b.mp4")

    def test_a_clean_video_is_copied(self, tmp_path, monkeypatch):
        clips.write_clip(tmp_path / "a.mp4", clips.even(3))
        restorer, _ = automatic(tmp_path, monkeypatch, ["clean"])
        (outcome,) = restore_files(restorer, plan_jobs([tmp_path / "a.mp4"], tmp_path / "out"))
        assert (outcome.status, outcome.result) == ("restored", LeftAlone())
        assert "left alone" in outcome.notes[0]
        assert (tmp_path / "out" / "a.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()

    def test_a_clean_video_stays_left_alone_when_only_its_comparison_is_written(self, tmp_path, monkeypatch):
        clips.write_clip(tmp_path / "a.mp4", clips.even(3))
        restorer, _ = automatic(tmp_path, monkeypatch, ["clean"])
        compare = tmp_path / "out" / "a_compare.mp4"
        jobs = plan_jobs([tmp_path / "a.mp4"], tmp_path / "out")
        for _ in range(2):  # with its copy, and beside a copy of an earlier run
            (outcome,) = restore_files(restorer, jobs, compare=True)
            assert (outcome.status, outcome.result) == ("restored", LeftAlone())
            assert clips.times(compare) == clips.times(tmp_path / "a.mp4")
            compare.unlink()

    def test_the_checksum_depends_on_the_inspector(self, tmp_path, monkeypatch):
        one, _ = automatic(tmp_path / "1", monkeypatch, ["rain"])
        other, _ = automatic(tmp_path / "2", monkeypatch, ["snow"])
        assert one.checksum() == one.checksum()
        assert one.checksum() != other.checksum()

    @pytest.mark.parametrize(
        "limit",
        [
            "FOUND",
            "MOST_CLEAN",
            "LEAST_GAIN",
            "LEAST_GAIN_IF_FOUND",
            "PREFERENCE",
            "LEAST_CONFIDENCE",
            "COMMON",
            "LIMITS",
        ],
    )
    def test_the_checksum_depends_on_every_limit(self, tmp_path, monkeypatch, limit):
        choice, _ = automatic(tmp_path, monkeypatch, ["rain"])
        before = choice.checksum()
        monkeypatch.setattr(f"passband.inference.inspection.inspector.{limit}", (7,))
        assert choice.checksum() != before

    def test_an_inspector_that_knows_no_shipped_network_is_refused(self, tmp_path):
        with pytest.raises(CheckpointError, match="knows none of the networks that ship"):
            InspectedChoice(inspector(tmp_path, ["rain"], gains={"mine": 3.0}))
