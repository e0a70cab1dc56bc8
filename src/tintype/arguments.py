"""Arguments that several subcommands share, and the types of arguments. Imports nothing heavy."""

from __future__ import annotations

import argparse
from typing import Any, Literal

SEVERAL: dict[str, Any] = {"action": "extend", "nargs": "+"}
"""A flag that takes several words, and may stand several times."""

PROVIDER_NAMES = ("cpu", "cuda", "tensorrt", "coreml", "openvino", "directml")


def add_model_arguments(
    parser: argparse.ArgumentParser, *, auto_size: bool = False, threads: bool = True
) -> None:
    """Which model colours, how strongly, and what computes it; `auto_size` offers --size auto.

    Without `threads` there is no --threads.
    """
    add = parser.add_argument
    add_engine_arguments(parser, threads=threads)
    add("--strength", type=strength, default=1.0, metavar="0..2", help="strength of the colours (default: 1)")
    vivid = "0 the mean of the likely colours, 2 bold ones (default: 1)"
    add("--vividness", type=strength, default=1.0, metavar="0..2", help=vivid)
    add("--colors", metavar="#RRGGBB,…", help="the picture's main colours, for a model that can be told them")
    pixels = "pixels of the shorter side as the model sees it, the longer at most twice that"
    if auto_size:
        add("--size", type=size, metavar="N|auto", help=f"{pixels}; auto chooses by size and detail")
    else:
        add("--size", type=count, metavar="N", help=pixels)


def add_engine_arguments(parser: argparse.ArgumentParser, *, threads: bool = True) -> None:
    """Which model colours, and what computes it. Without `threads` there is no --threads."""
    add = parser.add_argument
    add("--model", default="tint", metavar="NAME|FILE.onnx", help="a model by name or file (default: tint)")
    if threads:
        add(
            "--threads",
            type=count,
            metavar="N",
            help="processor threads for one picture (default: all; half for films)",
        )
    what = "what onnxruntime computes with: %(choices)s; an error where it is not installed (default: cpu)"
    add("--provider", choices=PROVIDER_NAMES, metavar="NAME", help=what)


def add_provenance_argument(parser: argparse.ArgumentParser) -> None:
    """Whether results say what they are."""
    unsaid = "do not say in a result's metadata that its colours are computed"
    parser.add_argument("--no-provenance", dest="provenance", action="store_false", help=unsaid)


def main_colors(args: argparse.Namespace) -> tuple[str, ...]:
    """The colours that `--colors` names."""
    return tuple(args.colors.split(",")) if args.colors else ()


def strength(text: str) -> float:
    """A number from 0 to 2."""
    value = float(text)
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"must be from 0 to 2, not {text}")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return value


def size(text: str) -> int | Literal["auto"]:
    """A whole number from 1 on, or "auto"."""
    return "auto" if text == "auto" else count(text)


def port(text: str) -> int:
    """A whole number from 0 to 65535."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, not {text}")
    return value


# What argparse calls them: "invalid number value".
strength.__name__ = "number"
count.__name__ = size.__name__ = port.__name__ = "whole number"
