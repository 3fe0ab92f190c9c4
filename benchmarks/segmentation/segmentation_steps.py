"""Training steps of `segmentation.py`: on a CUDA GPU as recorded graphs, elsewhere as usual."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from passband.config import SegmentationRecipe
from passband.hardware import resolved_precision
from passband.losses import segmentation_loss
from passband.metrics.mask_scores import resized_logits
from passband.mixed_precision import fast_layers, memory_format

TIMED = 20
"""Number of steps whose time is measured for each image size."""
WARM = 5
"""Number of steps before a recording or a measurement."""


class Steps:
    """Steps of a training, with weights, optimizer and averaged weights that are reset for each run.

    On a CUDA device, the time of a step is measured with and without a graph. Runs use graphs, unless they cannot be
    recorded. Maps are channels-last there: on an H100, a step of 32 images took 39 ms so, and 85 ms with
    one channel after the other.

    Args:
        build: function that builds the network with its initial weights, from the random numbers of torch.
        recipe: settings of the loss, the optimizer and the batch.
        device: device to train on.
        sizes: sides of the images in pixels; the last is that of the masks.
        recorded: whether a CUDA device records steps as graphs.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        recipe: SegmentationRecipe,
        device: torch.device,
        sizes: tuple[int, ...],
        recorded: bool = True,
    ):
        self.recorded = recorded and device.type == "cuda"
        self.build, self.recipe, self.device, self.sizes = build, recipe, device, sizes
        self.cuda = device.type == "cuda"
        self.precision = "bfloat16" if self.cuda else resolved_precision(recipe.precision, device, recipe.task)
        self.loss = segmentation_loss(recipe.loss.name, recipe.data.classes)
        self.graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}
        self.layout = memory_format(device.type, self.precision)
        self.report: dict[str, Any] = {"graphs": False, "layout": str(self.layout).removeprefix("torch.")}
        if self.cuda:
            # trials of algorithms (cudnn.benchmark) of all these convolutions took longer than 75 s on a busy machine
            torch.set_float32_matmul_precision("high")
        self.model = build().to(device)
        self._prepare()
        print("the network is on the device", flush=True)
        self.times = {size: self._seconds(size) for size in sizes}
        self.report["eager ms"] = {size: 1000 * seconds for size, seconds in self.times.items()}
        if self.recorded:
            try:
                for size in sizes:
                    self._record(size)
                    print(f"the step for {size} pixels is recorded", flush=True)
                self.report["graphs"] = True
                self.times = {size: self._seconds(size) for size in sizes}
                self.report["graph ms"] = {size: 1000 * seconds for size, seconds in self.times.items()}
            except RuntimeError as error:  # the runs are then slower, but still valid
                self.graphs.clear()
                self.report["problem"] = str(error)[:300]
                torch.cuda.synchronize()

    def _prepare(self) -> None:
        """Make the optimizer and the averaged weights of the network."""
        self.model.zero_grad(set_to_none=True)
        self.model.to(memory_format=self.layout).train()
        optim = self.recipe.optim
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            torch.tensor(optim.learning_rate, device=self.device) if self.cuda else optim.learning_rate,
            optim.betas,
            weight_decay=optim.weight_decay,
            capturable=self.cuda,
        )
        self.averaged = copy.deepcopy(self.model)
        pairs = zip(self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True)
        pairs = [pair for pair in pairs if pair[0].is_floating_point()]
        self.old, self.new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def now(self) -> float:
        """Return the time in seconds after all work of a GPU, or the processor's time on a CPU, which may be shared."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter() if self.cuda else time.process_time()

    @torch.no_grad()
    def start(self, seed: int) -> None:
        """Set the weights, the optimizer and the average to the start of a run.

        Args:
            seed: seed of the random weights, and of the noise in the network.
        """
        torch.manual_seed(seed)
        fresh = self.build().state_dict()
        for name, value in self.model.state_dict().items():
            value.copy_(fresh[name])
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        self.averaged.load_state_dict(self.model.state_dict())
        self.done = 0

    def step(self, images: Tensor, masks: Tensor, rate: float) -> Tensor:
        """Make one step, and return its loss.

        Args:
            images: images to learn from.
            masks: masks at full size.
            rate: learning rate.
        """
        self.model.train()
        if self.cuda:
            self.optimizer.param_groups[0]["lr"].fill_(rate)  # a recorded graph reads this tensor
        else:
            self.optimizer.param_groups[0]["lr"] = rate
        images = images.contiguous(memory_format=self.layout)
        if images.shape[-1] in self.graphs:
            graph, static_images, static_masks, loss = self.graphs[images.shape[-1]]
            static_images.copy_(images)
            static_masks.copy_(masks)
            graph.replay()
        else:
            loss = self._work(images, masks)
        self.done += 1
        decay = min(self.recipe.optim.ema, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            torch._foreach_lerp_(self.old, self.new, 1 - decay)
        return loss

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return the logits of the averaged network."""
        self.averaged.eval()
        with self._autocast():
            return self.averaged(images.contiguous(memory_format=self.layout))

    def _work(self, images: Tensor, masks: Tensor) -> Tensor:
        """Compute the loss and its gradient, and change the weights."""
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = resized_logits(self.model(images), masks.shape[-2:])
            loss = self.loss(logits, masks)
        loss.backward()
        if self.recipe.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.optim.clip_norm, foreach=True)
        self.optimizer.step()
        return loss.detach()

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        """Compute in the precision of the steps. A recorded graph must not use a cache of converted weights."""
        mixed, kind = self.precision == "bfloat16", self.device.type
        with (
            torch.autocast(kind, torch.bfloat16, enabled=mixed, cache_enabled=False),
            fast_layers(kind, self.precision),
        ):
            yield

    def _example(self, size: int) -> tuple[Tensor, Tensor]:
        """Return a batch of a size."""
        whole, batch = self.sizes[-1], self.recipe.data.batch
        images = torch.rand(batch, 3, size, size, device=self.device).contiguous(memory_format=self.layout)
        return images, (torch.rand(batch, whole, whole, device=self.device) > 0.5).long()

    def _record(self, size: int) -> None:
        """Record a step of a size as a graph, after some steps on another stream, as PyTorch asks for."""
        images, masks = self._example(size)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                self._work(images, masks)
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = self._work(images, masks)
        self.graphs[size] = graph, images, masks, loss

    def _seconds(self, size: int) -> float:
        """Measure the seconds of a step of a size."""
        images, masks = self._example(size)
        self.done = 0
        count, warm = (TIMED, WARM) if self.cuda else (1, 1)
        for _ in range(warm):
            self.step(images, masks, 1e-5)
        started = self.now()
        for _ in range(count):
            self.step(images, masks, 1e-5)
        return (self.now() - started) / count
