"""A server of a map on this machine alone, read-only."""

import errno
import logging
import os
import socketserver
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from ztfrep.errors import InputError
from ztfrep.explorer.map_files import MapFile, MapFiles

ADDRESS = "127.0.0.1"
# Nothing from another machine, no inline script, no form and no frame around the page. A script of
# another page may not read the data: they are scripts too.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The next map on this port may be another.
    "Cache-Control": "no-store",
}
_ICON = "/favicon.ico"
# Seconds that a connection may be without a request.
_IDLE = 60


class MapServer(ThreadingHTTPServer):
    """A server of the files of a map on a port of 127.0.0.1, 0 for any free one.

    Raises InputError if the port cannot be used.
    """

    # Ctrl-C does not wait for them.
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: MapFiles, port: int) -> None:
        self.files = files
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise _port_error(port, error) from error
        names = (ADDRESS, "localhost", "[::1]")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == 80:
            self.hosts |= set(names)

    def server_bind(self) -> None:
        """Bind the socket, without asking a name server for the machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error in one line, unless the browser has closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            logging.error("%s: %s", type(error).__name__, error)


def _port_error(port: int, error: Exception) -> InputError:
    remedy = "pass another --port, or --port 0 for any that is free"
    if isinstance(error, OverflowError):
        found = "no port of this number"
    elif isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        found = "another server on it"
        remedy = f"end it, or {remedy}"
    else:
        code = error.errno if isinstance(error, OSError) else None
        found = os.strerror(code) if code else str(error)
    return InputError(f"port {port}", found=found, expected="a free port", remedy=remedy)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the files of a map, for a browser on this machine."""

    server: MapServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ztfrep", ""
    timeout = _IDLE
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain; charset=utf-8"
    _open: ClassVar[tuple[str, ...]] = ("/", "/index.html")

    def do_GET(self) -> None:
        """Send a file."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self._send(self._answer())

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return lambda: self._send((405, None))
        raise AttributeError(name)

    def _answer(self) -> tuple[int, MapFile | None]:
        path = self.path.partition("?")[0]
        # A name of another machine that leads here: a page of it would read the data.
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in self.server.hosts:
            return 403, None
        # A page of another server may have a link to this one, and no script of it.
        site = self.headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin") and path not in self._open:
            return 403, None
        if path == _ICON:
            return 204, None
        try:
            file = self.server.files.read("index.html" if path == "/" else path[1:])
        except Exception as error:
            # The catalogue was removed or changed, or there is too little memory.
            text = " ".join(f"{type(error).__name__}: {error}".split())
            logging.error("%s: %s", path[:80].encode("ascii", "replace").decode(), text)
            return 500, None
        return (404, None) if file is None or path[:1] != "/" else (200, file)

    def _send(self, answer: tuple[int, MapFile | None]) -> None:
        status, file = answer
        content = f"{status}\n".encode() if file is None else file.content
        if status == 204:
            content = b""
        # The body of a request is not read: what follows it would be taken for a request.
        if {"Content-Length", "Transfer-Encoding"} & set(self.headers):
            self.close_connection = True
        self.send_response(status)
        media_type = "text/plain; charset=utf-8" if file is None else file.media_type
        self.send_header("Content-Type", media_type)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def end_headers(self) -> None:
        """End the headers with those of every answer."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing for each request."""
