"""The command `tintype`. Whatever is heavy is imported inside the function of the subcommand that needs it.

A new subcommand is one function `add_NAME(commands)`, which declares its arguments and names the function
that runs it, and its entry in SUBCOMMANDS.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tintype import __version__
from tintype.errors import SettingsError, TintypeError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

Commands = Any  # argparse's collection of subparsers, whose class is private


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own by default) and return the exit status.

    Raises SystemExit as argparse does: 2 for wrong usage, 0 after --help and --version.
    """
    try:
        if threading.current_thread() is threading.main_thread():
            _end_like_ctrl_c()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show
        try:
            args = build_parser().parse_args(argv)
            status: int = args.run(args)
            return status
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("stopped.", INTERRUPTED)
    except BrokenPipeError:
        _give_up_stdout()  # its reader (`head`, say) has gone
        return FAILED
    except SettingsError as error:
        return _fail(str(error), WRONG_USAGE)
    except TintypeError as error:
        return _fail(str(error), FAILED)
    except MemoryError:
        return _fail("there is not enough memory for this.", FAILED)
    except OSError as error:
        return _fail(f"{error.filename or _place_of_fault()}: {error.strerror or error}.", FAILED)


def _end_like_ctrl_c() -> None:
    """Being ended, or losing the terminal, is like Ctrl-C; what was started with nohup goes on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _on_hangup)


def _on_hangup(signum: int, frame: object) -> None:
    """As SIGTERM, whatever handles that by now."""
    signal.signal(signum, signal.SIG_IGN)  # it comes twice: from the shell and from the system
    signal.raise_signal(signal.SIGTERM)


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand."""
    parser = argparse.ArgumentParser(
        prog="tintype", description="Gives colour to black-and-white photographs.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tintype {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in SUBCOMMANDS:
        add(commands)
    return parser


def add_colorize(commands: Commands) -> None:
    """`tintype colorize`."""
    from tintype.colorize_command import COLORIZE_EXAMPLES, add_colorize_arguments, run_colorize

    parser = _command(commands, "colorize", run_colorize, "colour photographs", COLORIZE_EXAMPLES)
    add_colorize_arguments(parser)


def add_batch(commands: Commands) -> None:
    """`tintype batch`."""
    from tintype.archive.arguments import BATCH_EXAMPLES, add_batch_arguments

    what = "colour an archive, on many processors or machines"
    parser = _command(commands, "batch", run_batch, what, BATCH_EXAMPLES)
    add_batch_arguments(parser)


def run_batch(args: argparse.Namespace) -> int:
    """Colour an archive; the exit status."""
    from tintype.archive import command

    return command.run_batch(args)


def add_models(commands: Commands) -> None:
    """`tintype models`."""
    from tintype.models_command import MODELS_EXAMPLES, run_models

    parser = _command(commands, "models", run_models, "list the models that are installed", MODELS_EXAMPLES)
    parser.add_argument("--json", action="store_true", help="print the cards as one JSON array")


def add_video(commands: Commands) -> None:
    """`tintype video`."""
    from tintype.video.arguments import VIDEO_EXAMPLES, add_video_arguments

    parser = _command(commands, "video", run_video, "colour a film", VIDEO_EXAMPLES)
    add_video_arguments(parser)


def run_video(args: argparse.Namespace) -> int:
    """Colour a film; the exit status."""
    from tintype.video import command

    return command.run_video(args)


def add_live(commands: Commands) -> None:
    """`tintype live`."""
    from tintype.live.arguments import LIVE_EXAMPLES, add_live_arguments

    parser = _command(commands, "live", run_live, "colour a camera's pictures as they come", LIVE_EXAMPLES)
    add_live_arguments(parser)


def run_live(args: argparse.Namespace) -> int:
    """Colour a camera; the exit status."""
    from tintype.live import command

    return command.run_live(args)


def add_serve(commands: Commands) -> None:
    """`tintype serve`."""
    from tintype.serve.arguments import SERVE_EXAMPLES, add_serve_arguments

    what = "a page to colour photographs by hand, and a service for programs"
    parser = _command(commands, "serve", run_serve, what, SERVE_EXAMPLES)
    add_serve_arguments(parser)


def run_serve(args: argparse.Namespace) -> int:
    """Serve the page; the exit status."""
    from tintype.serve import command

    return command.run_serve(args)


def add_train(commands: Commands) -> None:
    """`tintype train`."""
    from tintype.train.arguments import TRAIN_EXAMPLES, add_train_arguments

    parser = _command(
        commands,
        "train",
        _in_training("train"),
        "train a model on own photographs",
        TRAIN_EXAMPLES,
        add_help=False,
    )
    add_train_arguments(parser)
    parser.set_defaults(describe=lambda recipe: _training().describe(recipe))


def add_export(commands: Commands) -> None:
    """`tintype export`."""
    from tintype.train.arguments import EXPORT_EXAMPLES, add_export_arguments

    what = "make a model for use of a training run"
    parser = _command(commands, "export", _in_training("export"), what, EXPORT_EXAMPLES)
    add_export_arguments(parser)


def add_quantize(commands: Commands) -> None:
    """`tintype quantize`."""
    from tintype.train.arguments import QUANTIZE_EXAMPLES, add_quantize_arguments

    what = "make a model that computes in 8 bits"
    parser = _command(commands, "quantize", _in_training("quantize"), what, QUANTIZE_EXAMPLES)
    add_quantize_arguments(parser)


def add_data(commands: Commands) -> None:
    """`tintype data`."""
    from tintype.train.arguments import DATA_EXAMPLES, add_data_arguments

    what = "inspect or pack photographs to train on"
    parser = _command(commands, "data", _in_training("data"), what, DATA_EXAMPLES)
    add_data_arguments(parser)


def add_evaluate(commands: Commands) -> None:
    """`tintype evaluate`."""
    from tintype.scoring.arguments import EVALUATE_EXAMPLES, add_evaluate_arguments

    what = "score models on photographs whose colours are known"
    parser = _command(commands, "evaluate", _in_scoring("run_evaluate"), what, EVALUATE_EXAMPLES)
    add_evaluate_arguments(parser)


def add_compare(commands: Commands) -> None:
    """`tintype compare`."""
    from tintype.scoring.arguments import COMPARE_EXAMPLES, add_compare_arguments

    what = "show what several models make of the same pictures, on one sheet"
    parser = _command(commands, "compare", _in_scoring("run_compare"), what, COMPARE_EXAMPLES)
    add_compare_arguments(parser)


def _in_scoring(action: str) -> Callable[[argparse.Namespace], int]:
    """What runs a subcommand that scores or compares: the function of that name in `scoring.command`."""

    def run(args: argparse.Namespace) -> int:
        from tintype.scoring import command

        status: int = getattr(command, action)(args)
        return status

    return run


def add_experiment(commands: Commands) -> None:
    """`tintype experiment`."""
    from tintype.train.arguments import EXPERIMENT_EXAMPLES, add_experiment_arguments

    what = "train models that differ in one thing, and compare them"
    parser = _command(commands, "experiment", _in_training("experiment"), what, EXPERIMENT_EXAMPLES)
    add_experiment_arguments(parser)


def _in_training(action: str) -> Callable[[argparse.Namespace], int]:
    """What runs a subcommand that needs the extra `train`: the function of that name in `train.command`."""
    return lambda args: getattr(_training(), action)(args)


def _training() -> Any:
    """The module that trains and exports; TintypeError when the extra it needs is missing."""
    try:
        from tintype.train import command
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tintype"):
            raise
        raise TintypeError(
            f"Training needs more than is installed ({error.name} is missing): pip install 'tintype[train]'."
        ) from None
    return command


SUBCOMMANDS: list[Callable[[Commands], None]] = [
    add_colorize, add_batch, add_video, add_live, add_serve, add_models, add_compare, add_evaluate, add_train,
    add_data,
    add_export, add_quantize, add_experiment,
]  # fmt: skip


def _command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    epilog: str,
    add_help: bool = True,
) -> argparse.ArgumentParser:
    """A subcommand's parser, whose arguments `run` will be given; `run` returns the exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=add_help,
    )
    parser.set_defaults(run=run)
    return parser


def _place_of_fault() -> str:
    """Standard output, where that is what cannot be written, else what is true of any file."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _give_up_stdout()
        return "standard output"
    return "a file cannot be read or written"


def _give_up_stdout() -> None:
    """Keep Python from failing once more when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(message: str, status: int) -> int:
    if sys.stderr is not None:
        print(f"tintype: {message}", file=sys.stderr)
    return status
