"""The arguments of `tintype live`. Imports nothing heavy."""

from __future__ import annotations

import argparse

from tintype.arguments import add_model_arguments, count, port

PORT = 8765
PANELS = ("original", "grey", "color")

LIVE_EXAMPLES = """\
sources:
  0, 1, …            the cameras of this computer; or /dev/video0
  csi, csi:1         the CSI camera of a Jetson, through GStreamer
  rtsp://…           a camera in the network; http:// too
  FILE               a film, at its own speed
  "videotestsrc ! …" any GStreamer pipeline: it has a " ! " in it, and ends with pictures

keys:
  ESC or q ends, s saves a still, m takes the next model, space freezes

examples:
  tintype live                                   the first camera, in a window
  tintype live --source csi --view web --loss    on a Jetson, seen in a browser
  tintype live --source 0 --show color --record out.mkv

docs/guides/embedded.md tells more of small boards.

exit status: 0 ended, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype live` takes."""
    add = parser.add_argument
    add("--source", default="0", metavar="SOURCE", help="where pictures come from (default: 0, a camera)")
    views = ("window", "web", "none")
    add("--view", choices=views, default="window", help="where they are shown (default: window)")
    add("--port", type=port, metavar="N", help=f"of --view web, 0 for any (default: {PORT})")
    what = f"what is shown, side by side (default: {','.join(PANELS)})"
    add("--show", type=panels, default=PANELS, metavar="A,B,…", help=what)
    add("--loss", action="store_true", help="plot how far the colours are from the original's")
    add("--record", metavar="OUT", help="write what is shown to a film, .mkv, .mp4 or .mov")
    add("--overwrite", action="store_true", help="replace the film of --record if it exists")
    add("--every", type=count, default=4, metavar="N", help="look at one picture of N, or more (default: 4)")
    add("--frames", type=count, metavar="N", help="end after so many pictures")
    add_model_arguments(parser)
    add("--quiet", action="store_true", help="tell of failures alone")


def panels(text: str) -> tuple[str, ...]:
    """Names of PANELS, divided by commas."""
    names = tuple(text.split(","))
    if not names or set(names) - set(PANELS):
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(PANELS)}, not {text}")
    return names
