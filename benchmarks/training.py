"""How well training is fed: photographs/s on real data over photographs/s on tensors that lie in memory.

Both sides take the same steps (colour conversion, augmentation, forward, backward, optimiser) in turn, in
one run, after a warm-up. Then the peak memory on few and on many photographs, each in a process of its own.

    python benchmarks/training.py --data FOLDER|SHARD.tar ... [--recipes tint,autoencoder] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tintype.train import recipes
from tintype.train.augment import GreySettings, to_training_pair
from tintype.train.data import CropDataset, CropSettings, OrderedBatches
from tintype.train.photographs import Photographs
from tintype.train.sources import find_photographs

ROUNDS, STEPS = 5, 6


class Trainee:
    """A recipe with all that one step needs."""

    def __init__(self, name: str, device: str) -> None:
        module = recipes.get(name)
        self.schedule, self.device = module.SCHEDULE, torch.device(device)
        self.model = module.Model(module.Settings()).to(self.device)
        layout = torch.channels_last if self.model.channels_last else torch.contiguous_format
        self.model.to(memory_format=layout)
        self.optimizer, self.layout = self.model.optimizer(), layout

    def step(self, rgb8: Tensor, labels: Tensor) -> None:
        """One optimiser step on a batch of uint8 photographs, as `fit` takes it."""
        rgb = rgb8.to(self.device, non_blocking=True).float() / 255
        L, ab = to_training_pair(rgb, GreySettings())
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.model.loss(L.contiguous(memory_format=self.layout), ab, labels.to(self.device))[
                "loss"
            ]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def rate(self, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> float:
        """Photographs a second over `steps` batches."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step(*next(batches))
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return steps * self.schedule.batch / (time.perf_counter() - start)


def real_batches(photographs: Photographs, batch: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, read and cropped by one process, as in training."""
    order = OrderedBatches(len(photographs), batch, seed=0)
    dataset = CropDataset(photographs, size, CropSettings())
    loader = DataLoader(dataset, batch_sampler=order, num_workers=1, persistent_workers=True)
    while True:
        yield from loader


def synthetic_batches(batch: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same random batch without end."""
    one = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8), torch.full((batch,), -1)
    while True:
        yield one


def feeding(names: list[str], photographs: Photographs, device: str, size: int) -> None:
    print(
        f"{size}×{size} crops, {device}, {torch.get_num_threads()} threads, bf16 autocast, {ROUNDS} rounds\n"
    )
    print("| recipe | batch | real photographs/s | in memory, photographs/s | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in names:
        trainee = Trainee(name, device)
        batch = trainee.schedule.batch
        real, synthetic = real_batches(photographs, batch, size), synthetic_batches(batch, size)
        trainee.rate(real, 2), trainee.rate(synthetic, 2)
        rates = [(trainee.rate(real, STEPS), trainee.rate(synthetic, STEPS)) for _ in range(ROUNDS)]
        ratio = median(a / b for a, b in rates)
        left, right = (median(values) for values in zip(*rates, strict=True))
        print(f"| {name} | {batch} | {left:.1f} | {right:.1f} | {ratio:.2f} |", flush=True)


def memory(count: int, data: list[Path], size: int) -> None:
    """Print this process's peak memory, without its reader's, after some steps on `count` photographs."""
    found = find_photographs(data)
    trainee = Trainee("tint", "cpu")
    trainee.rate(real_batches(Photographs(found.records[:count]), trainee.schedule.batch, size), 8)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {min(count, len(found)):,} | {peak:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--recipes", default="tint,autoencoder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        memory(options.memory, options.data, options.size)
        return
    feeding(options.recipes.split(","), find_photographs(options.data), options.device, options.size)
    print("\n| photographs | peak memory, MiB |\n| ---: | ---: |", flush=True)
    for count in (4_000, 25_000):
        line = [sys.executable, __file__, "--data", *map(str, options.data), "--memory", str(count)]
        subprocess.run(line, check=True)


if __name__ == "__main__":
    main()
