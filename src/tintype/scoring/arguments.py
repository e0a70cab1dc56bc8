"""The arguments of `tintype evaluate` and `tintype compare`. Imports nothing heavy."""

from __future__ import annotations

import argparse

from tintype.arguments import SEVERAL

EVALUATE_EXAMPLES = """\
examples:
  tintype evaluate tint gray mean --data photos           a table
  tintype evaluate mine.onnx tint --data val.tar --out runs/scores
                                                          and scores.json, scores.csv, report.html; the
                                                          same command goes on with a run that was stopped
  tintype evaluate tint --data val.tar --lpips alex=FEATURES.safetensors,HEADS.safetensors
  tintype evaluate tint --data val.tar --classifier mobilenet_v2.safetensors --index labels.csv \\
      --classes classes.csv                               classes.csv has the columns label, class
  tintype evaluate tint gray --data val.tar --random-hints 10      and how many of ten hints are kept
  tintype evaluate tint --data val.tar --steady-sizes 160 384 512   how far colours move with the size
  tintype evaluate tint --data val.tar --damage fade grain          on faded, grainy versions
  tintype evaluate tint --data val.tar --pictures painted           and painted/tint/, painted/truth/

docs/guides/evaluation.md says what each score means, and how they mislead.

exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""

COMPARE_EXAMPLES = """\
examples:
  tintype compare tint mine.onnx --images album -o sheet.png
  tintype compare gray tint --images one.jpg two.tif -o sheet.jpg --size 400
"""


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype evaluate` takes."""
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a model by name or file, or gray (no colour), or mean (one)",
    )
    data = parser.add_argument_group("photographs, in colour")
    add = data.add_argument
    add("--data", **SEVERAL, required=True, metavar="PATH", help="folders, .tar shards or Parquet files")
    add("--image-column", default="", metavar="NAME", help="where Parquet files hold pictures, if not plain")
    add("--limit", type=int, metavar="N", help="take N of them, evenly spread")
    add("--index", metavar="FILE.csv", help="take those with a row in it: key, label")
    add("--size", type=int, default=256, metavar="N", help="pixels a side to score at (default: 256)")
    crops = ["center", "squash", "none"]
    add("--crop", choices=crops, default="center", help="how pictures get to that size (default: center)")
    run = parser.add_argument_group("how models are run")
    add = run.add_argument
    add("--input-size", type=int, metavar="N", help="shorter side that networks see (default: their cards')")
    add("--random-hints", type=int, default=0, metavar="N", help="tell the network N true colours")
    steady = "tell how far colours move when networks see pictures of these shorter sides"
    add("--steady-sizes", type=int, **SEVERAL, default=[], metavar="N", help=steady)
    damaged = (
        "damage what networks see as age and scans do: blur, uneven, fade, grain, scratches, halftone, jpeg"
    )
    add("--damage", **SEVERAL, default=[], metavar="KIND", help=damaged)
    add("--end-to-end", action="store_true", help="score the whole pipeline, not the network's ab alone")
    add(
        "--threads", type=int, metavar="N", help="processor threads of a network (default: all; timed with 1)"
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of hints and intervals (default: 0)")
    _add_judges(parser)
    _add_results(parser)


def _add_judges(parser: argparse.ArgumentParser) -> None:
    judges = parser.add_argument_group("scores that need a network (and the extra train)")
    add = judges.add_argument
    lpips = "weights of LPIPS: alex=FEATURES,HEADS or squeeze=FEATURES,HEADS"
    add("--lpips", action="append", default=[], metavar="NET=FILE,FILE", help=lpips)
    add("--classifier", metavar="FILE", help="a classifier's weights, FILE.ops.json beside them")
    add("--classes", metavar="FILE.csv", help="which of its classes a label is: label, class")
    add("--inception", metavar="FILE.pt", help="Inception's TorchScript file, for FID")


def _add_results(parser: argparse.ArgumentParser) -> None:
    results = parser.add_argument_group("results")
    add = results.add_argument
    add(
        "-o",
        "--out",
        metavar="DIR",
        help="write scores.json, scores.csv and report.html, and what resuming needs",
    )
    pictures = "write the pictures that are scored, and the true ones: MODEL/NAME.png and truth/NAME.png"
    add("--pictures", metavar="DIR", help=pictures)
    add("--json", action="store_true", help="print the scores as one JSON object")


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype compare` takes."""
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="a model by name or file, or gray")
    add("--images", **SEVERAL, required=True, metavar="PATH", help="pictures, folders or globs")
    add("--recursive", action="store_true", help="take pictures below the folders, too")
    add("-o", "--output", required=True, metavar="SHEET", help="the sheet: a .png, .jpg or .webp file")
    add("--size", type=int, default=256, metavar="N", help="pixels of a picture's longer side (default: 256)")
    add("--limit", type=int, default=40, metavar="N", help="take N pictures, evenly spread (default: 40)")
    add("--overwrite", action="store_true", help="replace the sheet if it exists")
