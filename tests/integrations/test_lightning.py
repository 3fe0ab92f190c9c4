import sys

import pytest
import pytorch_lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from passband.curriculum import AdaptiveSchedule, Curriculum, RatioSchedule, RatioSearch, curriculum_batch, enlarged
from passband.integrations.lightning import CurriculumCallback

STEPS, SIDE = 10, 32
CURRICULUM = Curriculum(RatioSchedule(1, start=0.5, shape="step", plateaus=3), sizes=(16, 24))
pytestmark = [
    # advice about loaders and loops, which has nothing to do with the callback
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    # Lightning 2.6 uses a name that newer versions of torch replace
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Blobs(Dataset):
    """Random images and masks, as dicts or tuples."""

    def __init__(self, keyed):
        generator = torch.Generator().manual_seed(3)
        self.images = torch.rand(2 * STEPS, 3, SIDE, SIDE, generator=generator)
        self.masks = (self.images[:, :1] > 0.5).float()
        self.keyed = keyed

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        image, mask = self.images[number], self.masks[number]
        return {"image": image, "mask": mask, "label": number} if self.keyed else (image, mask)


class Module(pytorch_lightning.LightningModule):
    """A network whose loss enlarges its output to the masks."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        self.losses, self.seen, self.validated = [], [], []

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, batch_idx):
        image, mask = (batch["image"], batch["mask"]) if isinstance(batch, dict) else batch
        self.seen.append((tuple(image.shape[-2:]), tuple(mask.shape[-2:])))
        loss = nn.functional.binary_cross_entropy_with_logits(enlarged(self(image), mask), mask)
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch, batch_idx):
        self.validated.append((batch["image"] if isinstance(batch, dict) else batch[0]).shape[-1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


class Stop(pytorch_lightning.Callback):
    """Ends a training after its first epoch."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


def trainer(folder, *callbacks, **options):
    settings = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    return pytorch_lightning.Trainer(callbacks=list(callbacks), **{**settings, **options})


def loader(keyed=True):
    return DataLoader(Blobs(keyed), batch_size=2)


@pytest.mark.parametrize(("keyed", "key"), [(True, "image"), (False, 0)])
def test_ten_steps_of_the_real_trainer_have_the_losses_of_a_plain_loop(keyed, key, tmp_path):
    module, plain = Module(), Module()
    run = trainer(tmp_path, CurriculumCallback(CURRICULUM, key, multiple=8))
    run.fit(module, loader(keyed), loader(keyed))
    assert run.global_step == STEPS

    optimizer = plain.configure_optimizers()
    losses = []
    for step, batch in enumerate(loader(keyed=False)):
        images, masks = curriculum_batch(*batch, CURRICULUM, step / STEPS)
        loss = nn.functional.binary_cross_entropy_with_logits(enlarged(plain(images), masks), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert module.losses == losses
    assert [seen[0][0] for seen in module.seen] == [16] * 4 + [24] * 3 + [32] * 3
    assert {seen[1] for seen in module.seen} == {(SIDE, SIDE)}
    assert set(module.validated) == {SIDE}


def test_masks_follow_if_asked(tmp_path):
    module = Module()
    trainer(tmp_path, CurriculumCallback(CURRICULUM, "image", resize_targets=True)).fit(module, loader())
    assert all(image == mask for image, mask in module.seen)
    assert module.seen[0] == ((16, 16), (16, 16))


def test_two_epochs_and_a_resumed_training_follow_the_whole_run(tmp_path):
    whole, first, second = Module(), Module(), Module()
    trainer(tmp_path, CurriculumCallback(CURRICULUM, "image"), max_epochs=2).fit(whole, loader())
    half = trainer(tmp_path, CurriculumCallback(CURRICULUM, "image"), Stop(), max_epochs=2)
    half.fit(first, loader())
    half.save_checkpoint(tmp_path / "half.ckpt")
    rest = trainer(tmp_path, CurriculumCallback(CURRICULUM, "image"), max_epochs=2)
    rest.fit(second, loader(), ckpt_path=tmp_path / "half.ckpt", weights_only=False)
    assert first.seen + second.seen == whole.seen
    assert [seen[0][0] for seen in whole.seen] == [16] * 7 + [24] * 7 + [32] * 6


def test_the_ratios_of_an_adaptive_schedule_are_in_the_checkpoint(tmp_path):
    def adaptive():
        schedule = AdaptiveSchedule((0.0,), RatioSearch(radii=3, term="noise"))
        return Curriculum(schedule, mode="mask", definition="magnitude")

    module = Module()
    reference = Blobs(True).images[:2]
    callback = CurriculumCallback(adaptive(), "image", reference=reference)
    run = trainer(tmp_path, callback, limit_train_batches=1)
    run.fit(module, loader())
    found = callback.state_dict()["found"]
    assert list(found) == [0.0]
    run.save_checkpoint(tmp_path / "run.ckpt")
    saved = torch.load(tmp_path / "run.ckpt", weights_only=False)["callbacks"]
    other = CurriculumCallback(adaptive(), "image", reference=reference)
    other.load_state_dict(next(state for name, state in saved.items() if "CurriculumCallback" in name))
    assert other.state_dict()["found"] == found


@pytest.mark.parametrize(
    ("callback", "collate", "options", "error", "message"),
    [
        ({"images": "picture"}, None, {}, KeyError, "no images at the key 'picture', but the keys 'image', 'mask'"),
        ({"images": "label"}, None, {}, TypeError, "floats B C H W, got torch.int64"),
        ({"images": "image"}, tuple, {}, TypeError, "changes batches that are dicts or lists, got tuple"),
        ({"images": "image"}, None, {"max_epochs": -1}, ValueError, "set max_steps or max_epochs of the Trainer"),
    ],
)
def test_batches_and_trainers_that_do_not_fit_are_errors(callback, collate, options, error, message, tmp_path):
    data = DataLoader(Blobs(True), batch_size=2, collate_fn=collate)
    with pytest.raises(error, match=message):
        trainer(tmp_path, CurriculumCallback(CURRICULUM, **callback), **options).fit(Module(), data)


def test_settings_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match=r"multiples of 32.*got 16, 24"):
        CurriculumCallback(CURRICULUM, multiple=32)
    with pytest.raises(ValueError, match="pass a batch of them at full size as reference"):
        CurriculumCallback(Curriculum(AdaptiveSchedule(), mode="mask"))


def test_without_lightning_the_error_says_what_to_install(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "passband.integrations.lightning")
    with pytest.raises(ImportError, match=r"pip install 'passband\[lightning\]'"):
        __import__("passband.integrations.lightning")
