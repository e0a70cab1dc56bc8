"""The arguments of the commands that train and make models. Imports nothing heavy."""

from __future__ import annotations

import argparse
import math
from typing import Any

from tintype.arguments import SEVERAL, count

_IMAGE_COLUMN: dict[str, Any] = {
    "default": "", "metavar": "NAME", "help": "where Parquet files hold pictures, if not plain"
}  # fmt: skip

TRAIN_EXAMPLES = """\
examples:
  tintype train tint --from tint --lr-scale 0.3 --data photos --out runs/mine
  tintype train autoencoder --data train.tar --val val.tar --out runs/small --epochs 13
  tintype train colornet --data faces --out runs/width --set width=64,128,256
  tintype train tint --data photos --out runs/mine --resume
  tintype train tint --data "https://example.org/shard-{000..099}.tar" --out runs/far --steps 20000
  tintype train tint --help                       the settings of a recipe
  tensorboard --logdir runs                       watch the runs in a browser

exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C (go on with --resume).
"""

EXPORT_EXAMPLES = """\
examples:
  tintype export runs/mine -o models --name mine
  tintype export runs/a runs/a runs/b -o models --name mean   the mean of their weights, a's counted twice
  tintype colorize photo.jpg --model models/mine.onnx
"""

QUANTIZE_EXAMPLES = """\
examples:
  tintype quantize tint --data train.tar --val val.tar -o tint-int8.onnx
  tintype colorize photo.jpg --model ./tint-int8.onnx

Only processors with instructions for 8 bits are quicker with it; benchmarks/networks.py measures that.
"""

DATA_EXAMPLES = """\
examples:
  tintype data inspect photos --picture colours.png
  tintype data pack photos -o shards --size 256
"""


EXPERIMENT_EXAMPLES = """\
examples:
  tintype experiment experiments/rgb-or-lab.yaml --data photos --val others --work runs -o pages
  tintype experiment experiments/*.yaml --data photos --val others --work runs -o pages --photographs 100000

What was made before is kept in the work folder and not made again.
"""


class RecipeHelp(argparse.Action):
    """`--help` that shows the settings of the recipe that was named before it."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        parser.print_help()
        if getattr(namespace, "recipe", None):
            print()
            print(namespace.describe(namespace.recipe))
        parser.exit()


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {text}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def _from_zero(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"must be from 0 to {(1 << 32) - 1}, not {text}")
    return value


_share.__name__ = _positive.__name__ = "number"  # what argparse calls them
_from_zero.__name__ = _seed.__name__ = "whole number"


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype train` takes."""
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help="what to train: tint, autoencoder, binned, …")
    add("-h", "--help", action=RecipeHelp, nargs=0, help="show this, and the settings of RECIPE")
    _add_photographs(parser)
    _add_run(parser)
    _add_machine(parser)


def _add_photographs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("photographs").add_argument
    add(
        "--data",
        **SEVERAL,
        metavar="PATH",
        help="folders, .tar shards, .parquet files, or URLs of shards (shard-{000..099}.tar) to train on "
        "(default with --resume: the run's)",
    )
    add(
        "--val",
        **SEVERAL,
        metavar="PATH",
        help="the same to validate on (default: 2%% held out; of a stream none)",
    )
    add("--image-column", **_IMAGE_COLUMN)
    add("--index", metavar="FILE.csv", help="a table with a row for each picture: key, label and more")
    what = "take only pictures whose row in the index has one of these values: source=a,b,label=sea"
    add("--where", metavar="COLUMN=VALUE,…", help=what)
    add("--limit", type=count, metavar="N", help="take only N of them, by a hash of their names")
    add("--categories", metavar="A,B", help="COCO categories or supercategories to take")


def _add_run(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("the run")
    add = run.add_argument
    add("-o", "--out", required=True, metavar="RUN", help="the run's folder: checkpoints, curves, settings")
    add("--set", action="append", metavar="KEY=VALUE", help="a setting; KEY=A,B,C trains each and compares")
    add("--config", metavar="FILE.yaml", help="settings from a file; --set goes before it")
    length = run.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs",
        type=_positive,
        metavar="N",
        help="passes over the photographs (times repeats, see the recipe)",
    )
    length.add_argument("--steps", type=count, metavar="N", help="batches")
    add("--minutes", type=_positive, metavar="N", help="stop after this time, whatever else was asked for")
    add("--batch", type=count, metavar="N", help="photographs a step, over all processes")
    add("--size", type=count, metavar="N", help="side of the training crops, in pixels")
    add("--lr-scale", type=_positive, metavar="F", help="factor on the recipe's learning rates (default: 1)")
    add("--seed", type=_seed, metavar="N", help="seed of everything random (default: 0)")
    resume = "go on with the run in RUN from its last checkpoint, as it was unless told otherwise"
    add("--resume", action="store_true", help=resume)
    add(
        "--from",
        **SEVERAL,
        dest="start_from",
        metavar="MODEL|RUN|FILE",
        help="start from the weights of a model (tint, or NAME.onnx), a run, a checkpoint or a safetensors "
        "file, or from several' mean",
    )
    add("--init-encoder", metavar="FILE", help="start from a pretrained encoder (.safetensors, .pth)")
    add("--checkpoint-every", type=count, metavar="N", help="steps between checkpoints (default: 200)")
    kept = "keep a checkpoint every N epochs, checkpoints/epoch-0005.ckpt, beside the best and the last"
    add("--keep-every", type=count, metavar="N", help=kept)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("the machine")
    add = machine.add_argument
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="(default: auto)")
    add("--devices", type=count, default=1, metavar="N", help="processes on this machine, one a device")
    add("--nodes", type=count, default=1, metavar="N", help="machines")
    add("--precision", choices=["32", "bf16"], help="(default: 32)")
    add(
        "--workers",
        type=_from_zero,
        default=1,
        metavar="N",
        help="processes that read photographs (default: 1)",
    )
    add(
        "--cache",
        choices=["auto", "gpu", "ram", "none"],
        default="auto",
        help="keep decoded photographs in memory; auto: on a GPU, if half its free memory will do",
    )


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype export` takes."""
    add = parser.add_argument
    several = "a training run's folder; of it and other runs or models, the weights' mean"
    add("folders", nargs="+", metavar="RUN", help=several)
    add("-o", "--output", metavar="DIR", help="where the model and its card go (default: RUN)")
    add("--name", metavar="NAME", help="the model's name (default: the run's)")
    add("--overwrite", action="store_true", help="replace a model in DIR (in RUN one always is)")
    add("--data", **SEVERAL, metavar="PATH", help="photographs to check and score on (default: the run's)")
    add("--image-column", **_IMAGE_COLUMN)
    add("--limit", type=count, default=200, metavar="N", help="how many of them at most (default: 200)")
    add("--size", type=count, metavar="N", help="shorter side at which pictures are shown to the model")
    add("--precision", type=int, choices=[16, 32], default=16, help="bits of a stored weight (default: 16)")
    add("--version", default="1", metavar="TEXT", help="the model's version on its card (default: 1)")
    add("--license", default="unstated", metavar="TEXT", help="the model's licence on its card")
    add("--source", default="own photographs", metavar="TEXT", help="where the photographs came from")
    add("--description", metavar="TEXT", help="one sentence on the model")
    add("--limits", default="", metavar="TEXT", help="what the model is known to get wrong")


def add_quantize_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype quantize` takes."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model by name or file")
    add("-o", "--output", required=True, metavar="NAME.onnx", help="the new model; its card goes beside it")
    add("--data", **SEVERAL, required=True, metavar="PATH", help="photographs that set the ranges of values")
    add("--count", type=count, default=48, metavar="N", help="how many of them, evenly spread (default: 48)")
    add("--val", **SEVERAL, required=True, metavar="PATH", help="other photographs, to tell what is lost")
    add("--image-column", **_IMAGE_COLUMN)
    add(
        "--limit", type=count, default=200, metavar="N", help="how many of them, evenly spread (default: 200)"
    )
    float32 = "beginnings of the names of nodes that keep float32 (default: as the model's recipe says)"
    add("--float", action="extend", nargs="*", metavar="NAME", help=float32)
    add("--overwrite", action="store_true", help="replace the model if it exists")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype data` takes."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="action")
    inspect = commands.add_parser("inspect", help="tell what a set of photographs holds", allow_abbrev=False)
    inspect.add_argument("--picture", metavar="OUT.png", help="draw the histogram of all colours")
    inspect.add_argument("--limit", type=count, metavar="N", help="look at the first N alone")
    pack = commands.add_parser("pack", help="pack photographs into tar shards", allow_abbrev=False)
    pack.add_argument("-o", "--out", required=True, metavar="DIR", help="the folder of the shards")
    pack.add_argument("--size", type=count, default=256, metavar="N", help="shorter side (default: 256)")
    pack.add_argument(
        "--shard", type=count, default=5000, metavar="N", help="photographs a shard (default: 5000)"
    )
    pack.add_argument("--limit", type=count, metavar="N", help="pack only N, by a hash of their names")
    pack.add_argument(
        "--grey-share", type=_share, default=0.0, metavar="F",
        help="make this share grey, to learn what leaving out grey photographs is worth (default: 0)",
    )  # fmt: skip
    for command in (inspect, pack):
        command.add_argument("data", nargs="+", metavar="PATH", help="folders, .tar shards or .parquet files")
        command.add_argument("--image-column", **_IMAGE_COLUMN)
        command.add_argument("--workers", type=count, metavar="N", help="processes (default: one a core)")


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype experiment` takes."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE.yaml", help="what to compare")
    add("--data", **SEVERAL, required=True, metavar="PATH", help="photographs to train on")
    add("--val", **SEVERAL, required=True, metavar="PATH", help="photographs to score on")
    add("--image-column", **_IMAGE_COLUMN)
    add("--index", metavar="FILE.csv", help="a table with a row for each picture: key, label and more")
    add("--work", required=True, metavar="DIR", help="where runs, models and scores are kept")
    add("-o", "--output", required=True, metavar="DIR", help="where the pages and plots go")
    add(
        "--photographs",
        type=count,
        metavar="N",
        help="photographs that each run sees (default: as FILE says)",
    )
    add("--limit", type=count, metavar="N", help="score on the first N alone")
    add("--size", type=count, default=224, metavar="N", help="side of the scored pictures (default: 224)")
    add("--beside", **SEVERAL, default=[], metavar="MODEL", help="models to score beside those of FILE")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="(default: auto)")
    add("--init-encoder", metavar="FILE", help="what {init_encoder} stands for: a pretrained encoder")
    add("--vgg", metavar="FILE", help="what {vgg} stands for: VGG-19's features")
    add("--grey", metavar="PATH", help="what {grey} stands for: photographs of which many are grey")
    add("--file", action="append", metavar="NAME=PATH", help="what {NAME} stands for; may be repeated")
    lpips = "score by LPIPS too (alex or squeeze)"
    add("--lpips", action="append", metavar="NETWORK=FEATURES,HEADS", help=lpips)
    add("--classifier", metavar="FILE", help="score the classes kept too, by this classifier")
    add("--license", metavar="TEXT", help="the models' licence on their cards (default: unstated)")
    add("--limits", metavar="TEXT", help="what the models' cards warn of")
    add("--sources", metavar="FILE.csv", help="source, photographs, terms: what the cards say of the data")
