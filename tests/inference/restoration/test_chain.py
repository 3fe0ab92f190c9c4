import pickle
import re

import pytest
import torch
from PIL import Image

from passband.evaluation import evaluate_restoration
from passband.inference import Restorer, restorer
from passband.inference.restoration.chain import NetworkChain, chained_names
from passband.inference.restoration.memory import MemoryPlan
from passband.inference.restoration.network import RestorationNetwork
from passband.io.image import read_image, write_image
from passband.models import load_model
from passband.state_dicts import CheckpointError
from tests.inspecting import photograph

TWO = "dehaze-small+derain-small"


@pytest.fixture(scope="module")
def both():
    return Restorer(TWO, "cpu", precision="float32")


class Doubled(RestorationNetwork):
    """Stands for a network that doubles values, in a plan of some bytes."""

    views = 1

    def __init__(self, name, size=0):
        self.weights, self.device, self.size = name, torch.device("cpu"), size

    def predict(self, degraded, report=None):
        assert degraded.device == self.device
        if report is not None:
            report(1.0)
        return degraded * 2, MemoryPlan("bands" if self.size else "whole", self.size)


class Elsewhere(Doubled):
    """Stands for a network on another device, which holds no values, so that it returns those of an image of 0.2."""

    def __init__(self, name):
        super().__init__(name)
        self.device = torch.device("meta")

    def predict(self, degraded, report=None):
        doubled, plan = super().predict(degraded, report)
        return torch.full(doubled.shape, 0.4), plan


class InTiles(Doubled):
    """Stands for a network that needs tiles."""

    def predict(self, degraded, report=None):
        return super().predict(degraded, report)[0], MemoryPlan("tiles", self.size, 512)


class TestNames:
    def test_a_plus_joins_names_in_their_order(self):
        assert chained_names("general") == ("general",)
        assert chained_names(TWO) == ("dehaze-small", "derain-small")
        assert chained_names("runs/a+hub/b+c.pkl") == ("runs/a", "hub/b", "c.pkl")

    def test_a_path_that_exists_is_one_network(self, tmp_path):
        (tmp_path / "a+b").mkdir()
        assert chained_names(str(tmp_path / "a+b")) == (str(tmp_path / "a+b"),)

    @pytest.mark.parametrize("name", ["general+", "+general", "general++derain-small", "+"])
    def test_a_missing_name_is_told_with_an_example(self, name):
        with pytest.raises(CheckpointError, match=f"No weights named {re.escape(repr(name))}.*such as dehaze-small"):
            Restorer(name, "cpu")

    def test_a_choice_is_no_part(self):
        with pytest.raises(CheckpointError, match=r"'auto\+general' joins auto, which chooses the networks by itself"):
            Restorer("auto+general", "cpu")

    def test_an_unknown_part_is_named(self):
        with pytest.raises(CheckpointError, match=r"No weights named 'derain-smal'.*Did you mean .derain-small."):
            Restorer("general+derain-smal", "cpu")


class TestNetworks:
    def test_the_second_restores_what_the_first_has_restored(self, both):
        image = photograph(3)[None]
        first = Restorer("dehaze-small", "cpu", precision="float32").restore(image)
        second = Restorer("derain-small", "cpu", precision="float32").restore(first)
        assert torch.equal(both.restore(image), second)
        assert not torch.allclose(first, second)

    def test_the_result_of_each_is_clamped_progress_goes_on_and_the_largest_plan_is_told(self):
        chain = NetworkChain([Doubled("a", 7), Doubled("b"), Doubled("c")])
        told = []
        restored, plan = chain.predict(torch.tensor([0.1, 0.2, 0.4]).view(1, 3, 1, 1), told.append)
        assert restored.flatten().tolist() == pytest.approx([0.8, 1.6, 2.0])
        assert told == pytest.approx([1 / 3, 2 / 3, 1])
        assert plan == MemoryPlan("bands", 7)
        assert chain.weights == "a+b+c"

    def test_tiles_are_told_although_another_network_needed_more_memory(self):
        chain = NetworkChain([Doubled("a", 7), InTiles("b", 3), InTiles("c", 5)])
        assert chain.predict(torch.zeros(1, 3, 1, 1))[1] == MemoryPlan("tiles", 5, 512)

    def test_networks_on_several_devices_get_the_image_on_their_own(self):
        image = torch.full((1, 3, 1, 1), 0.1)
        after, _ = NetworkChain([Doubled("a"), Elsewhere("b"), Doubled("c")]).predict(image)
        assert after.device == image.device
        assert after.flatten().tolist() == pytest.approx([0.8] * 3)
        before, _ = NetworkChain([Elsewhere("a"), Doubled("b")]).predict(image.to("meta"))
        assert before.device == torch.device("meta")

    def test_networks_that_got_different_precisions_get_them_again_in_another_process(self, monkeypatch):
        chosen = {"dehaze-small": "bfloat16", "derain-small": "float32"}

        def make(name, *, options, precision, **others):
            own = chosen[name] if precision == "auto" else precision
            return RestorationNetwork(name, precision=own, **others)

        monkeypatch.setattr(restorer, "RestorationNetwork", make)
        first = Restorer(TWO, "cpu")
        again = pickle.loads(pickle.dumps(first))
        for one in (first, again):
            assert (one.precision, one.engine_name) == ("bfloat16+float32", "torch")
            assert [part.engine.precision for part in one.network().parts] == ["bfloat16", "float32"]
        assert pickle.loads(pickle.dumps(Restorer(TWO, "cpu", precision="float32"))).precision == "float32"

    def test_commands_for_one_network_say_so(self):
        with pytest.raises(CheckpointError, match=r"joined by \+ restore one after the other, but one network is need"):
            load_model(TWO)

    @pytest.mark.usefixtures("without_charts")
    def test_several_networks_are_scored(self, tmp_path):
        for folder in ("input", "target"):
            (tmp_path / "pairs" / folder).mkdir(parents=True)
            write_image(tmp_path / "pairs" / folder / "a.png", photograph(4))
        result = evaluate_restoration(TWO, tmp_path / "pairs", tmp_path / "report", device="cpu")
        assert result["network"]["architecture"] == "chain"
        assert result["images"][0]["computed"] == "whole"

    def test_order_decides_checksums_and_all_are_named(self, both):
        other = Restorer("derain-small+dehaze-small", "cpu", precision="float32")
        assert both.checksum() != other.checksum()
        assert both.network().weights_checksum() != other.network().weights_checksum()
        assert re.fullmatch(
            r"passband \S+, weights dehaze-small, sha256 \w{16}, then weights derain-small, sha256 \w{16}",
            both.network().signature(),
        )
        assert [one["width"] for one in both.network().description["networks"]] == [32, 32]
        assert both.network().license_note == ""
        assert TWO in repr(both)

    def test_what_needs_one_network_is_refused(self, both):
        with pytest.raises(ValueError, match="are several networks, but one is needed here: name one of them"):
            _ = both.model
        with pytest.raises(ValueError, match="frames are smoothed for one"):
            both.smoothing(0.5)
        views = Doubled("pairs")
        views.views = 2
        with pytest.raises(ValueError, match="pairs takes 2 views of a scene, so it runs alone only"):
            NetworkChain([Doubled("a"), views])

    def test_a_file_is_restored_and_names_both(self, both, tmp_path):
        write_image(tmp_path / "a.png", photograph(4))
        both.restore_file(tmp_path / "a.png", tmp_path / "b.png", name_weights=True)
        restored = both.restore(read_image(tmp_path / "a.png")[None])[0]
        torch.testing.assert_close(read_image(tmp_path / "b.png"), restored, rtol=0, atol=0.51 / 255)
        with Image.open(tmp_path / "b.png") as file:
            assert file.text["Software"] == both.network().signature()
        with pytest.raises(MemoryError, match=r"a\.png"):
            Restorer(TWO, "cpu", memory="1MB").network().check_room(tmp_path / "a.png", 10**8)
