import http.client
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from tests.catalogues.small_catalogues import CANDID, write_small_catalogue
from tests.explorer.conftest import value_of
from ztfrep.errors import InputError
from ztfrep.explorer.catalogue_map import make_map
from ztfrep.explorer.map_server import MapServer


@contextmanager
def serving(files):
    with MapServer(files, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "v.parquet"
    vectors = np.random.default_rng(1).normal(size=(40, 6))
    write_small_catalogue(path, vectors, preview_size=9)
    with serving(make_map(path, projections=["pca"])) as server:
        yield server


def ask(server, path, method="GET", body=None, **headers):
    """Return the status, the headers and the bytes of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def ask_raw(server, request):
    """Send bytes; return what comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        content = b""
        while block := connection.recv(65536):
            content += block
    return content


def test_every_file_of_a_map_is_served(server):
    names = ["data/details-7.js", "stamps/7.png", *server.files.names_of_columns()]
    for name in ("index.html", "explorer.js", "explorer.css", "LICENSES.txt", *names):
        status, headers, content = ask(server, f"/{name}")
        expected = server.files.read(name)
        assert (status, content) == (200, expected.content), name
        assert headers["Content-Type"] == expected.media_type
        assert int(headers["Content-Length"]) == len(content)
        if name.startswith("data/"):
            assert f"data/{value_of(content)[0]}.js" == name
    assert ask(server, "/")[2] == ask(server, "/index.html")[2] == ask(server, "/?a=b")[2]
    assert ask(server, "/favicon.ico")[::2] == (204, b"")


def test_the_page_may_load_nothing_from_elsewhere(server):
    for path in ("/", "/data/map.js", "/nothing", "/stamps/0.png"):
        _, headers, _ = ask(server, path)
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["img-src"] == "'self' data: blob:"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Server"].strip() == "ztfrep"


def test_head_has_the_headers_alone(server):
    status, headers, content = ask(server, "/data/map.js", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) == len(ask(server, "/data/map.js")[2])
    assert ask(server, "/nothing", "HEAD")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_reading_is_allowed(server, method):
    status, headers, content = ask(server, "/data/map.js", method)
    assert (status, headers["Allow"], content) == (405, "GET, HEAD", b"405\n")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/data", "/data/", "/stamps/", "/data/details-40.js", "/data/details--1.js",
        "/data/details-1e1.js", "/stamps/01.png", "/stamps/99999999999999999999999.png",
        "/../pyproject.toml", "/data/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/data/%2e%2e/data/map.js", "/data\\..\\map.js", "//etc/passwd", "/index.html/",
        "/__init__.py", "/web/dist/index.html", "/data/map.js%00", "*", "/v.parquet",
    ],
)  # fmt: skip
def test_anything_else_is_not_found(server, path):
    status, _, content = ask(server, path)
    assert (status, content) == (404, b"404\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}",
             "127.0.0.1:{port}.evil.example", "localhost:{port}@evil.example", "",
             "127.0.0.1:{port},a"],
)  # fmt: skip
def test_a_name_of_another_machine_is_refused(server, host):
    # A page of that name would be the same origin as the data, if its name led here.
    for path in ("/", "/data/ids.js"):
        status, _, content = ask(server, path, Host=host.format(port=server.server_port))
        assert (status, content) == (403, b"403\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_the_names_of_this_machine_are_accepted(server, host):
    assert ask(server, "/data/ids.js", Host=f"{host}:{server.server_port}")[0] == 200


def test_no_host_and_two_hosts_are_refused(server):
    good = f"Host: 127.0.0.1:{server.server_port}\r\n"
    for hosts in ("", good + "Host: evil.example\r\n", good + good):
        answer = ask_raw(server, f"GET /data/ids.js HTTP/1.1\r\n{hosts}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ") and b"ztfrepData" not in answer


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_server_may_have_a_link_and_no_script(server, site):
    assert ask(server, "/data/ids.js", Sec_Fetch_Site=site)[0] == 403
    assert ask(server, "/stamps/1.png", Sec_Fetch_Site=site)[0] == 403
    assert ask(server, "/", Sec_Fetch_Site=site)[0] == 200
    for own in ("same-origin", "none"):
        assert ask(server, "/data/ids.js", Sec_Fetch_Site=own)[0] == 200


def test_the_body_of_a_request_is_not_taken_for_another_request(server):
    host = f"Host: 127.0.0.1:{server.server_port}\r\n"
    hidden = f"GET /data/map.js HTTP/1.1\r\n{host}\r\n"
    for method, status in (("GET", 200), ("POST", 405)):
        head = f"{method} / HTTP/1.1\r\n{host}Content-Length: {len(hidden)}\r\n\r\n"
        answer = ask_raw(server, (head + hidden).encode())
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert answer.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in answer


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET", 400),
        (b"\0\xff\xfe", 400),
        (b"GET / HTTP/9.9", 505),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", 414),
        (b"GET <script>alert(1)</script> x HTTP/1.1", 400),
    ],
)
def test_a_broken_request_has_a_short_answer(server, request_line, status):
    answer = ask_raw(server, request_line + b"\r\nHost: a\r\n\r\n")
    assert f"{status}\n".encode() in answer and b"<script>" not in answer.split(b"\r\n\r\n", 1)[-1]
    # It serves on.
    assert ask(server, "/")[0] == 200


def test_many_headers_are_refused(server):
    many = "".join(f"H{i}: 1\r\n" for i in range(300))
    answer = ask_raw(server, f"GET / HTTP/1.1\r\n{many}\r\n".encode())
    assert b" 431 " in answer.split(b"\r\n")[0]


def test_a_connection_serves_several_requests(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    for name in ("/", "/nothing", "/data/map.js", "/favicon.ico", "/data/ids.js"):
        connection.request("GET", name)
        connection.getresponse().read()
        assert connection.sock is not None
    connection.close()


def test_requests_at_the_same_time_have_their_own_answers(server):
    answers = {}

    def worker(row):
        answers[row] = (
            ask(server, f"/data/details-{row}.js")[2],
            ask(server, f"/stamps/{row}.png")[2],
        )

    threads = [threading.Thread(target=worker, args=(row,)) for row in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row, (details, image) in answers.items():
        assert value_of(details)[1][0]["candid"] == str(CANDID + row)
        assert image == server.files.read(f"stamps/{row}.png").content


def test_a_catalogue_that_is_removed_is_an_error_of_one_line(alerts, caplog, capfd):
    with serving(make_map(alerts, projections=["pca"])) as server:
        alerts.unlink()
        status, headers, content = ask(server, "/stamps/3.png")
        assert (status, content) == (500, b"500\n")
        assert "Content-Security-Policy" in headers
        assert len(caplog.messages) == 1 and "\n" not in caplog.messages[0]
        assert caplog.messages[0].startswith("/stamps/3.png: InputError: ")
        # What is in memory is served on.
        assert ask(server, "/data/ids.js")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_leaves_is_no_error(server, capfd, caplog):
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", server.server_port))
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        host = f"Host: 127.0.0.1:{server.server_port}"
        connection.sendall(f"GET /data/ids.js HTTP/1.1\r\n{host}\r\n\r\n".encode() * 20)
        connection.close()
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "") and caplog.messages == []


def test_the_server_listens_on_this_machine_alone(server):
    assert server.socket.getsockname() == ("127.0.0.1", server.server_port)
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_cannot_be_used_is_one_line(server, monkeypatch):
    def message(port):
        with pytest.raises(InputError, match="--port 0") as error:
            MapServer(server.files, port)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "found another server on it" in message(server.server_port)
    assert "no port of this number" in message(70_000)
    assert "no port of this number" in message(-1)

    def privileged(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(MapServer, "server_bind", privileged)
    assert "found Permission denied" in message(80)
