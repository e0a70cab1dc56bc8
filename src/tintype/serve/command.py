"""Runs `tintype serve`."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import secrets
import socket
import sys
import threading
import webbrowser
from urllib.parse import quote

from tintype.errors import SettingsError, TintypeError
from tintype.running import processors
from tintype.serve.settings import ServeSettings

TOKEN_VARIABLE = "TINTYPE_TOKEN"
LEAST_TOKEN = 16
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


def run_serve(args: argparse.Namespace) -> int:
    """Serve until the process is ended; the exit status. Raises TintypeError."""
    try:
        from tintype.serve.app import make_app
        from tintype.serve.server import Server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tintype"):
            raise
        raise TintypeError(
            f"The page needs more than is installed ({error.name} is missing): pip install 'tintype[web]'."
        ) from None
    settings = settings_of(args)
    app = make_app(settings)
    listening = _listen(args.host, args.port)
    address = _address(args.host, listening.getsockname()[1])
    page = f"{address}?token={quote(settings.token, safe='')}" if settings.token else address

    def tell() -> None:
        if args.provider is not None:
            print(f"The model {settings.model} runs on {args.provider}.", file=sys.stderr)
        print(f"Tintype listens. Open {page} in a browser; Ctrl-C ends.", file=sys.stderr, flush=True)
        if args.open:
            # One in the terminal must not keep the server waiting. Its command stands in the list of
            # processes, so the page asks for the token instead.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with listening:
        Server(app, tell).run(sockets=[listening])
    return 0


def settings_of(args: argparse.Namespace) -> ServeSettings:
    """What the arguments say. SettingsError for a token that is too short."""
    local = is_local(args.host)
    token = os.environ.get(TOKEN_VARIABLE) or None if args.token is None else args.token
    if token is None and not local:
        token = secrets.token_urlsafe(24)
    if token is not None and not re.fullmatch(rf"[!-~][ -~]{{{LEAST_TOKEN - 2},}}[!-~]", token):
        raise SettingsError(
            f"A token is at least {LEAST_TOKEN} letters, digits or signs of ASCII, hard to guess, with no "
            "space at its ends."
        )
    workers = args.workers or min(4, processors())
    return ServeSettings(
        model=args.model,
        threads=args.threads or max(1, processors() // workers),  # all workers together use the machine once
        provider=args.provider or "cpu",
        workers=workers,
        queue=args.queue,
        timeout=args.timeout,
        max_pixels=args.max_pixels,
        max_bytes=args.max_bytes,
        token=token,
        hosts=_LOCAL_NAMES | {_in_address(args.host)} if token is None else None,
    )


def is_local(host: str) -> bool:
    """Whether only this computer can reach a server on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. TintypeError where it cannot."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise TintypeError(
            f"Port {port} of {host} cannot be used ({_refusal(error)}); --host and --port name others."
        ) from None


def _refusal(error: OSError) -> str:
    """Why an address cannot be used, without the address, which Python puts in brackets behind."""
    return str(error.strerror).partition(" (")[0].lower()


def _address(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://{_in_address(host)}:{port}/"


def _in_address(host: str) -> str:
    """A host as an address has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
