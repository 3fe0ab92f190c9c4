import multiprocessing
import os
import pickle
import runpy
import subprocess
import sys

import pytest
import torch
from torch.utils._pytree import tree_leaves

from passband.data.datasets.loaders import LostWorkerError, batch_loader, on_device
from passband.data.datasets.restoration import PhotographTrainingSet
from passband.io.image import ImageError
from passband.tasks import TASKS
from tests.documents import ROOT

SMALL = runpy.run_path(str(ROOT / "benchmarks" / "scale" / "small_runs.py"))
BATCHES = [[0, 1], [2, 3], [4, 5], [6, 7]]


def training_set(task, folder):
    """A small training set of a task, and the function that makes its batches."""
    made = TASKS[task](SMALL["small_recipe"](task, 1))
    data = SMALL["write_data"](folder, task, 6)
    return made.training_data(data, made.network_config(data, None)), made.collate


def assert_equal(one, other):
    one, other = tree_leaves(one), tree_leaves(other)
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right


@pytest.mark.parametrize("task", SMALL["RECIPES"])
def test_a_data_set_that_was_pickled_gives_the_same_samples(task, tmp_path):
    dataset, _ = training_set(task, tmp_path)
    copy = pickle.loads(pickle.dumps(dataset))
    for number in (0, 3, 7):
        assert_equal(copy[number], dataset[number])


def test_workers_of_a_fork_server_give_the_batches_of_this_process(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["passband.tasks"])
    for task in SMALL["RECIPES"]:
        dataset, collate = training_set(task, tmp_path)
        here = list(batch_loader(dataset, BATCHES, collate))
        loader = batch_loader(dataset, BATCHES, collate, workers=2)
        loader.multiprocessing_context = context
        for one, other in zip(here, loader, strict=True):
            assert_equal(one, other)
            assert all(leaf.is_shared() for leaf in tree_leaves(other) if getattr(leaf, "nbytes", 0))


def test_only_batches_for_a_gpu_are_pinned():
    assert batch_loader([1, 2], [[0], [1]], list, device=torch.device("cuda")).pin_memory
    assert not batch_loader([1, 2], [[0], [1]], list, device=torch.device("cpu")).pin_memory
    assert not batch_loader([1, 2], [[0], [1]], list).pin_memory


def test_batches_are_moved_whatever_holds_their_tensors():
    batch = {"image": torch.zeros(2), "names": ["a", "b"], "masks": [torch.ones(1)]}
    (moved,) = on_device([batch], torch.device("meta"))
    assert moved["image"].is_meta
    assert moved["masks"][0].is_meta
    assert moved["names"] == ["a", "b"]


class Dying:
    """A data set whose second sample ends the process that prepares it."""

    def __getitem__(self, number):
        return torch.zeros(1) if number == 0 else os._exit(3)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_without_any_image_that_can_be_used_is_named_without_a_traceback(tmp_path, workers):
    (tmp_path / "a.png").write_bytes(b"hello")
    data = PhotographTrainingSet(tmp_path, {"rain": 1.0}, 16, 0, skip_bad=True)
    with pytest.raises(ImageError) as raised:
        list(on_device(batch_loader(data, [[0]], list, workers=workers), torch.device("cpu")))
    assert str(raised.value).startswith("none of 1 images can be used; the first problem: ")
    assert str(raised.value).endswith("it begins with b'hello'")


def test_a_lost_worker_is_named_with_what_to_do(tmp_path):
    with pytest.raises(LostWorkerError, match=r"a process that prepares samples ended.* set fewer data\.workers"):
        list(on_device(batch_loader(Dying(), [[0], [1]], torch.stack, workers=1), torch.device("cpu")))


def test_a_script_without_a_guard_is_told_that_spawned_workers_need_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\n"
        "from passband.data.datasets.loaders import batch_loader, on_device\n"
        "torch.multiprocessing.set_start_method('spawn', force=True)\n"
        "list(on_device(batch_loader([torch.zeros(1)], [[0]], torch.stack, workers=1), torch.device('cpu')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "LostWorkerError: a process that prepares samples ended, see its message above." in last
    assert "A script that starts a training needs `if __name__ == '__main__':` around it." in last
