"""HTTP on the loopback address: pages, tiles, and the files that manifests list, to no one else.

A page of a stranger in the same browser could ask this server for files (DNS rebinding: its name suddenly
means 127.0.0.1), so a request whose ``Host`` is not ours is refused, see
https://owasp.org/www-community/attacks/DNS_Rebinding. Products may come from anyone as well: their own
pages are served in a sandbox, everything else as a download.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from geodl.errors import GeodlError, OptionError
from geodl.page import REPORT_FILE
from geodl.publish.stac import THUMBNAIL
from geodl.viewing.catalogue import ShownProduct
from geodl.viewing.pages import map_page, start_page
from geodl.viewing.tiles import tiler
from geodl.viewing.view import ProductView

HOST = "127.0.0.1"
AT_ONCE = 16  # requests; further ones wait
_PIECE = 2**20
_SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
_NOTHING = "default-src 'none'"


class Server(ThreadingHTTPServer):
    """Serves products until it is shut down.

    Parameters
    ----------
    products : dict
        By name.
    port : int
        0 takes any that is free.
    scenes : pathlib.Path, optional
        Folder in which the scenes lie.

    Raises
    ------
    OptionError
        The port is taken, or rio-tiler is not installed.
    """

    daemon_threads = True

    def __init__(self, products: Mapping[str, ShownProduct], *, port: int = 0, scenes: Path | None = None):
        tiler()
        self.views = {name: ProductView(product, scenes) for name, product in products.items()}
        self.free = threading.BoundedSemaphore(AT_ONCE)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OptionError(
                f"--port {port}", f"cannot be used ({error.strerror})", "take another one"
            ) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def url(self) -> str:
        """Where the start page is."""
        return f"http://{HOST}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, once one of `AT_ONCE` is free."""
        self.free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 20  # seconds that a silent connection may hold its place
    server_version, sys_version = "geodl", ""

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser does not want the tile any more
        except GeodlError as error:
            self._send(f"{error}\n".encode(), "text/plain; charset=utf-8", status=500)

    do_HEAD = do_GET  # noqa: N815 - the name is the library's

    def _answer(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            return self._send(b"this server answers on its own address only\n", "text/plain", status=421)
        if (
            self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
            and self.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            return self._send(b"asked for by a foreign page\n", "text/plain", status=403)
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[1:]]
        if parts == [""]:
            return self._page(*start_page(view.product for view in self.server.views.values()))
        view = self.server.views.get(parts[1]) if parts[0] == "p" and len(parts) > 2 else None
        answers: dict[str, Callable[[ProductView, list[str]], bool]] = {
            "": self._map, REPORT_FILE: self._report, "files": self._file, "tiles": self._tile,
        }  # fmt: skip
        answer = answers.get(parts[2]) if view is not None else None
        if view is None or answer is None or not answer(view.ready(), parts[3:]):
            return self._send(b"there is nothing here\n", "text/plain", status=404)
        return None

    def _map(self, view: ProductView, rest: list[str]) -> bool:
        if rest:
            return False
        if view.page is None:
            text = "the product has no report.html of this version of geodl: predict it again\n"
            self._send(text.encode(), "text/plain; charset=utf-8", status=404)
            return True
        self._page(*map_page(view.product, *view.page, {*view.rasters, *view.imagery}))
        return True

    def _report(self, view: ProductView, rest: list[str]) -> bool:
        path = view.product.file(REPORT_FILE)
        if rest or path is None:
            return False
        self._send_file(path, "text/html; charset=utf-8", policy=_SANDBOX)
        return True

    def _file(self, view: ProductView, rest: list[str]) -> bool:
        path = view.product.file(rest[0]) if len(rest) == 1 else None
        if path is None:
            return False
        if path.name == THUMBNAIL:
            self._send_file(path, "image/png")
        else:
            self._send_file(path, "application/octet-stream", download=True)
        return True

    def _tile(self, view: ProductView, rest: list[str]) -> bool:
        numbers = [_number(text.removesuffix(".png")) for text in rest[1:]]
        if None in numbers:
            return False
        if rest[:1] == ["at"] and len(numbers) == 2:
            found = view.pixel(*numbers)  # type: ignore[arg-type]
            if found is not None:
                self._send(json.dumps(found).encode(), "application/json")
            return found is not None
        tile = view.tile(rest[0], *numbers) if len(numbers) == 3 else None  # type: ignore[arg-type]
        if tile is not None:
            self._send(tile, "image/png", keep=True)
        return tile is not None

    def _page(self, text: str, policy: str) -> None:
        self._send(text.encode(), "text/html; charset=utf-8", policy=policy)

    def _send(
        self, body: bytes, kind: str, *, status: int = 200, policy: str = _NOTHING, keep: bool = False
    ) -> None:
        self._head(kind, len(body), status=status, policy=policy, keep=keep)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_file(self, path: Path, kind: str, *, policy: str = _NOTHING, download: bool = False) -> None:
        with path.open("rb") as file:
            size = path.stat().st_size
            self._head(kind, size, policy=policy, download=download)
            while self.command != "HEAD" and (piece := file.read(min(_PIECE, size))):
                self.wfile.write(piece)
                size -= len(piece)

    def _head(
        self,
        kind: str,
        length: int,
        *,
        status: int = 200,
        policy: str,
        keep: bool = False,
        download: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "private, max-age=300" if keep else "no-store")
        if download:
            self.send_header("Content-Disposition", "attachment")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: each tile would be a line."""


def _number(text: str) -> int | None:
    """Return a plain number of at most nine digits.

    >>> _number("12"), _number("-1"), _number("1e9"), _number("²")
    (12, None, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
