"""The arguments of `tintype serve`. Imports nothing heavy."""

from __future__ import annotations

import argparse

from tintype.arguments import add_engine_arguments, count, port

SERVE_EXAMPLES = """\
the page:
  Open the address that is printed in a browser. Photographs stay on this computer.

other computers:
  Without --host the service is for this computer alone. With another host every request needs the token,
  which is made up and printed unless --token or the environment's TINTYPE_TOKEN gives one. Requests are not
  encrypted: put a server that speaks HTTPS in front, or go through SSH.

examples:
  tintype serve --open                            and open the page in a browser
  tintype serve --port 9000 --workers 4           four pictures at once
  tintype serve --host 0.0.0.0                    for other computers too, with a token
  curl --data-binary @in.jpg http://127.0.0.1:8000/v1/colorize -o out.jpg

docs/guides/service.md tells more.

exit status: 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype serve` takes."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1, this computer)")
    add(
        "--port",
        type=port,
        default=8000,
        metavar="N",
        help="the port, 0 for any that is free (default: 8000)",
    )
    add_engine_arguments(parser)
    add("--workers", type=count, metavar="N", help="pictures in hand at once (default: up to 4)")
    waiting = "requests that may wait beside; more are sent away for a while (default: 32)"
    add("--queue", type=count, default=32, metavar="N", help=waiting)
    seconds = "seconds for a request's body, as many for its work and for its answer (default: 120)"
    add("--timeout", type=count, default=120, metavar="N", help=seconds)
    pixels = "refuse pictures of more, all pages together (default: 120 million)"
    add("--max-pixels", type=count, default=120_000_000, metavar="N", help=pixels)
    size = "refuse requests of more bytes (default: 268435456, 256 MiB)"
    add("--max-bytes", type=count, default=256 << 20, metavar="N", help=size)
    add(
        "--token", help="what every request must bring; at least 16 letters (default: only with another host)"
    )
    add("--open", action="store_true", help="open the page in a browser")
