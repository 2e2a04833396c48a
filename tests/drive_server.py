"""A server on this machine that plays Google Drive's part, and the way to it."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import requests

HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
QUOTA = (
    '<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file '
    "recently. Please try accessing the file again later.</p></html>"
)
SPAM = '<p class="uc-error-subcaption">This file has been identified as malware or spam.</p>'
PRIVATE = "<html><title>Google Drive - Access denied</title>You need permission</html>"
CONFIRM = (
    '<html><form id="download-form" action="https://drive.usercontent.google.com/download">'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t">'
    "</form></html>"
)


class Request(NamedTuple):
    """A request as it came."""

    host: str
    path: str
    id: str
    range: str | None


@dataclass
class Drive:
    """A folder, and the requests for it.

    `files` are names and contents by id; an id has 25 characters or more. `modes` are how a file
    or the folder answers, by id: quota, private, spam, a status code, html (a page as a download),
    truncate:N (N bytes at a time, then the line breaks), stall (no answer), stall:N (none after N
    bytes), busy (503 to a range), no_range (a range is ignored), no_type (no Content-Type).
    "once " before a mode: it is forgotten after its first use.
    """

    folder: str
    files: dict[str, tuple[str, bytes]]
    modes: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def mode(self, wanted, *applicable):
        """Return mode and number of an id, if applicable; a mode that applies once is removed."""
        text = self.modes.get(wanted, "")
        name, _, number = text.removeprefix("once ").partition(":")
        if name not in applicable:
            return "", 0
        if text.startswith("once "):
            self.modes.pop(wanted)
        return name, int(number or 0)

    def listing(self):
        links = "".join(
            f'<a href="https://drive.google.com/file/d/{file_id}/view?usp=drive_web">{name}</a>'
            for file_id, (name, _) in self.files.items()
        )
        return f"<html><title>the folder</title><body>{links}</body></html>"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def page(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        drive = self.server.drive
        _, host, path = self.path.split("/", 2)
        parts = urlsplit("/" + path)
        wanted = parse_qs(parts.query)["id"][0]
        drive.requests.append(Request(host, parts.path, wanted, self.headers.get("Range")))
        codes = ("401", "403", "404", "429", "500", "503")
        mode, _ = drive.mode(wanted, "quota", "private", "spam", *codes)
        if mode in codes:
            self.page("<html>no</html>", int(mode))
        elif mode:
            self.page({"quota": QUOTA, "private": PRIVATE, "spam": SPAM}[mode])
        elif drive.modes.get(wanted) == "stall":
            drive.closing.wait(10)
        elif parts.path == "/embeddedfolderview":
            self.page(drive.listing())
        elif host != "drive.usercontent.google.com":
            self.page(CONFIRM.format(id=wanted))
        else:
            self.file(drive, wanted)

    def file(self, drive, wanted):
        name, content = drive.files[wanted]
        if drive.mode(wanted, "html")[0]:
            content = b"\n<!DOCTYPE HTML><html>Sign in</html>"
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if part and drive.mode(wanted, "busy")[0]:
            return self.page("<html>busy</html>", 503)
        if self.headers.get("If-Range", tag) != tag or drive.mode(wanted, "no_range")[0]:
            part = None
        start = int(part[1]) if part else 0
        if part and start >= len(content):
            return self.page("<html>no such range</html>", 416)
        self.send_response(206 if part else 200)
        if not drive.mode(wanted, "no_type")[0]:
            self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Disposition", f'attachment; filename="{name}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        if part:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        # gdown requests the whole file before a part, and does not read the first response.
        mode, number = drive.mode(wanted, "truncate", "stall")
        self.wfile.write(content[start : start + number] if mode else content[start:])
        if mode == "stall":
            self.wfile.flush()
            drive.closing.wait(10)
        self.close_connection = True
        return None


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Log no error of a client that disconnects: gdown does so before it requests a range."""

    def server_close(self):
        self.drive.closing.set()
        super().server_close()


def serve(drive):
    """Start the server in a thread; call `shutdown` and `server_close` on what comes back."""
    server = Server(("127.0.0.1", 0), Handler)
    server.drive = drive
    drive.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def patched_send(url):
    """Make a `send` of requests that goes to `url` for Drive's hosts, and to no other at all."""
    send = requests.adapters.HTTPAdapter.send

    def redirected(self, request, **options):
        target = urlsplit(request.url)
        if target.hostname not in HOSTS:
            raise AssertionError(f"a request to {request.url}")
        request.url = f"{url}/{target.hostname}{target.path}?{target.query}"
        # The proxy of a machine does not lead back to that machine.
        return send(self, request, **options | {"proxies": {}})

    return redirected


def patch_requests(base_url):
    """Send this process's requests to the server at `base_url`, until it ends."""
    requests.adapters.HTTPAdapter.send = patched_send(base_url)


def redirect(monkeypatch, server):
    """Send a test's requests to a server."""
    send = patched_send(server.drive.url)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
