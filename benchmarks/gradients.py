"""What the gradients of depthwise convolutions cost on a processor, in bfloat16: torch's own and Tintype's.

    python benchmarks/gradients.py [--threads N] [--rounds N]

One convolution after the other of those that the encoders have for a batch of 24 crops of 160 pixels; both
sides in turn in one run, the gradients of x, weights and bias; medians.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from tintype.train.blocks import SameConv

# Kernel, stride, channels, side in pixels.
SHAPES = (
    (3, 1, 144, 40), (3, 2, 96, 80), (3, 2, 144, 40), (3, 2, 192, 20),
    (5, 1, 240, 20), (5, 1, 672, 10), (5, 1, 1152, 5), (5, 2, 144, 40), (5, 2, 672, 10),
)  # fmt: skip
BATCH = 24


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"batch of {BATCH}, bfloat16, {options.threads} threads, {options.rounds} rounds\n")
    print("| kernel | stride | channels | side | torch ms | Tintype ms | ratio |")
    print("| --- " + "| ---: " * 6 + "|")
    for kernel, stride, channels, side in SHAPES:
        conv = SameConv(channels, channels, kernel, stride, groups=channels)
        x = torch.randn(BATCH, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
        torchs, own = measured(conv, x, options.rounds)
        times = f"{torchs:.1f} | {own:.1f} | {own / torchs:.2f}"
        print(f"| {kernel}×{kernel} | {stride} | {channels} | {side} | {times} |")


def measured(conv: SameConv, x: torch.Tensor, rounds: int) -> tuple[float, float]:
    """Median milliseconds of a forward and backward pass: as torch has it, and as `SameConv` trains."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds + 2):  # the first two warm up
        for training in times:
            conv.train(training)
            with torch.autocast("cpu", torch.bfloat16):
                began = time.perf_counter()
                y = conv(x)
            torch.autograd.grad(y, (x, *conv.parameters()), torch.ones_like(y))
            times[training] += [1e3 * (time.perf_counter() - began)] if number >= 2 else []
    return median(times[False]), median(times[True])


if __name__ == "__main__":
    main()
