"""The arguments of `tintype video`. Imports nothing heavy."""

from __future__ import annotations

import argparse
import math

from tintype.arguments import add_model_arguments, count

VIDEO_EXAMPLES = """\
where the result goes:
  Without -o beside the film as NAME.color.EXT. The suffix sets the container: .mp4 .m4v .mov .mkv .webm.
  While it is made, finished parts lie in a hidden folder beside it; --resume goes on with them.

examples:
  tintype video film.mp4                                  writes film.color.mp4
  tintype video film.mp4 -o test.mp4 --start 1:30 --end 1:40 --compare
                                                          ten seconds, grey | colour
  tintype video scan.mov -o master.mkv --codec ffv1       losslessly
  tintype video film.mkv --preset veryfast --every 10     faster

docs/guides/video.md tells more.

exit status: 0 done or skipped, 1 failed or the film is damaged, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def add_video_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype video` takes."""
    add = parser.add_argument
    add("input", metavar="INPUT", help="a film")
    add("-o", "--output", metavar="OUT", help="a file for the result")
    add_model_arguments(parser)
    add("--every", type=count, default=4, metavar="N", help="look at one picture of N, or more (default: 4)")
    add("--start", type=seconds, metavar="TIME", help="begin there: seconds, or h:mm:ss")
    add("--end", type=seconds, metavar="TIME", help="end there")
    add("--compare", action="store_true", help="write grey and colour side by side")
    add("--skip-colored", action="store_true", help="leave a film alone that is in colour already")
    stored = parser.add_argument_group("how it is stored")
    add = stored.add_argument
    add("--codec", metavar="NAME", help="FFmpeg's name of an encoder (default: libx264; .webm: libvpx-vp9)")
    add("--crf", type=float, metavar="N", help="quality, lower is better (libx264: 0..51, default: 18)")
    add("--preset", metavar="NAME", help="the encoder's trade of time for size, as veryfast")
    run = parser.add_argument_group("the run")
    add = run.add_argument
    add("--resume", action="store_true", help="go on with a film that was stopped")
    add("--overwrite", action="store_true", help="replace a result that exists, or begin anew")
    add("--quiet", action="store_true", help="tell of failures alone")


def seconds(text: str) -> float:
    """Seconds, minutes and seconds, or hours, minutes and seconds, divided by colons."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3:
        raise argparse.ArgumentTypeError(f"must be seconds or h:mm:ss, not {text}")
    total = 0.0
    for part in map(float, parts):
        total = 60 * total + part if part >= 0 else math.nan
    if not 0 <= total < math.inf:
        raise argparse.ArgumentTypeError(f"must be seconds or h:mm:ss, from 0 on, not {text}")
    return total


seconds.__name__ = "time"  # what argparse calls it: "invalid time value"
