"""Downloads from a server that plays Google Drive, by the real gdown."""

import errno
import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import gdown
import pytest
import requests

from tests.drive_server import Drive, redirect, serve
from ztfrep.errors import InputError
from ztfrep.params import read_params
from ztfrep.sources.drive.downloads import download
from ztfrep.sources.drive.drive_source import DriveSource
from ztfrep.sources.drive.file_cache import WantedFile

GDOWN = sys.modules["gdown.download"]  # The function of that name hides the module.
FOLDER = "1vqfoxF-KyMNnLxABZZ_kb76DrUrixEud"
STAMPS, SERIES, README = "1stamps" * 5, "1series" * 5, "1readme" * 5
STAMPS_NAME, SERIES_NAME = "td_ztf_stamp_17_06_20-002.pkl", "recurrent_dataset-001.pk"
CONTENT = {
    "stamps": b"\x80\x04" + bytes(range(256)) * 12_000,  # several of gdown's chunks of 512 KiB
    "series": b"\x80\x02" + b"s" * 5000,
}
SHA256 = {key: hashlib.sha256(content).hexdigest() for key, content in CONTENT.items()}
WANTED = {
    "stamps": WantedFile("td_ztf_stamp_17_06_20*.pkl", b"\x80", None, "a pickle"),
    "series": WantedFile("recurrent_dataset*.pk", b"\x80", None, "a pickle"),
}
CHUNK = 512 * 1024
PARTIAL_BYTES = 2 * CHUNK


@pytest.fixture
def drive(monkeypatch):
    made = Drive(
        FOLDER,
        {
            STAMPS: (STAMPS_NAME, CONTENT["stamps"]),
            SERIES: (SERIES_NAME, CONTENT["series"]),
            README: ("README.txt", b"hello"),
        },
    )
    server = serve(made)
    redirect(monkeypatch, server)
    # gdown waits longer and longer between its tries.
    monkeypatch.setattr(GDOWN, "_wait_or_cancel", lambda **_: None)
    yield made
    server.shutdown()
    server.server_close()


def fetch(cache, wanted=WANTED, **options):
    return download(FOLDER, wanted, cache, **{"timeout": 5.0, "retries": 0, **options})


def failure(cache, wanted=WANTED, **options):
    with pytest.raises(InputError) as caught:
        fetch(cache, wanted, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1000
    return text


def contents(files):
    return {key: path.read_bytes() for key, path in files.items()}


def partials(cache):
    return list((cache / FOLDER).glob("*.part"))


def test_the_files_arrive_byte_for_byte_whatever_their_suffix(drive, tmp_path):
    files = fetch(tmp_path)
    assert contents(files) == CONTENT
    assert files == {
        "stamps": tmp_path / FOLDER / STAMPS_NAME,
        "series": tmp_path / FOLDER / SERIES_NAME,
    }
    assert not [request for request in drive.requests if request.id == README]


def test_a_second_run_requests_nothing_and_reads_no_content(drive, tmp_path, monkeypatch):
    files = fetch(tmp_path)
    drive.requests.clear()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert fetch(tmp_path) == files
    assert drive.requests == []


@pytest.mark.parametrize("retries", [0, 2])
def test_an_interrupted_download_is_resumed_to_the_same_bytes(drive, tmp_path, retries):
    drive.modes[STAMPS] = f"once truncate:{PARTIAL_BYTES}"
    if retries == 0:
        text = failure(tmp_path)
        assert "broke off" in text
        assert f"the {PARTIAL_BYTES:,} bytes" in text
        assert [path.stat().st_size for path in partials(tmp_path)] == [PARTIAL_BYTES]
        drive.requests.clear()
    assert contents(fetch(tmp_path, retries=retries)) == CONTENT
    assert f"bytes={PARTIAL_BYTES}-" in [request.range for request in drive.requests]
    assert not partials(tmp_path)


FAILURES = [
    # The answer to many downloads of one file; gdown breaks its text into lines.
    (STAMPS, "quota", "found its download quota used up", "try again in a day, or download it wit"),
    # Drive's own words are shown; gdown's advice about permissions is not.
    (STAMPS, "spam", "has been identified as malware or spam.); expected", "or download it with a"),
    # gdown reports a missing permission for each of these: the status differs.
    (STAMPS, "private", "found a page that asks for permission", "have it shared with anyone"),
    (STAMPS, "403", "found a private file or folder (403)", "have it shared with anyone"),
    (STAMPS, "404", "found nothing there (404)", "correct the id in sources.drive, or download"),
    # Tried by gdown as a Google document before.
    (STAMPS, "500", "found an error of the server (500)", "later, or download it with a browser"),
    # A page with the header of a download, which gdown saves as the file.
    (STAMPS, "html", "found an HTML page; expected a pickle", "download it with a browser"),
    (STAMPS, "stall", "found no answer in time", "raise sources.drive.timeout"),
    # requests raises a ConnectionError, which must not be reported as offline.
    (STAMPS, f"stall:{CHUNK}", "found no answer in time", "raise sources.drive.timeout"),
    (STAMPS, f"truncate:{CHUNK}", "found a download that broke off", "it goes on where it broke"),
    # gdown raises KeyError for a missing header.
    (
        STAMPS,
        "no_type",
        "found an answer that cannot be used (KeyError",
        "or download it with a br",
    ),
    (FOLDER, "404", "found nothing there (404)", "correct the id in sources.drive"),
    (FOLDER, "401", "found a private file or folder (401)", "have it shared with anyone"),
    (FOLDER, "500", "found an error of the server (500)", "run the same command again later"),
    # A page without links, as of a folder that asks to sign in.
    (FOLDER, "private", "found no file; expected one file named td_ztf", "correct the folder's id"),
    (FOLDER, "stall", "found no answer in time", "raise sources.drive.timeout"),
]


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize(
    ("where", "mode", "message", "remedy"),
    FAILURES,
    ids=[f"{row[0][1:7]}-{row[1]}" for row in FAILURES],
)
def test_every_failure_is_one_line_with_its_remedy(
    drive, tmp_path, where, mode, message, remedy, retries
):
    """With retries gdown wraps what requests raised; the line is the same."""
    drive.modes[where] = mode
    text = failure(tmp_path, timeout=0.2, retries=retries)
    assert message in text
    assert remedy in text
    assert text.startswith("Drive file" if where == STAMPS else f"Drive folder {FOLDER}: ")
    assert not (tmp_path / FOLDER / STAMPS_NAME).exists()
    # The failure is not remembered.
    drive.modes.clear()
    assert contents(fetch(tmp_path)) == CONTENT


# Failures before the transfer and during it, in which gdown does not remove a partial file.
@pytest.mark.parametrize("mode", ["quota", "404", "stall", f"truncate:{CHUNK}", "no_type"])
def test_another_failure_does_not_remove_a_partial_file(drive, tmp_path, mode):
    drive.modes[STAMPS] = f"truncate:{PARTIAL_BYTES}"
    failure(tmp_path)
    drive.modes[STAMPS] = mode
    text = failure(tmp_path, timeout=0.2)
    (partial,) = partials(tmp_path)
    content = partial.read_bytes()
    assert len(content) >= PARTIAL_BYTES
    assert CONTENT["stamps"].startswith(content)
    assert f"the {len(content):,} bytes already in {tmp_path / FOLDER} stay there" in text


def test_the_first_file_remains_if_the_second_fails(drive, tmp_path):
    drive.modes[SERIES] = "quota"
    assert f"the {len(CONTENT['stamps']):,} bytes already" in failure(tmp_path)
    drive.modes.clear()
    drive.requests.clear()
    assert contents(fetch(tmp_path)) == CONTENT
    assert not [request for request in drive.requests if request.id == STAMPS]


@pytest.mark.parametrize("retries", [0, 1])
def test_offline_is_reported(drive, monkeypatch, tmp_path, retries):
    def refuse(self, request, **options):
        raise requests.ConnectionError("Name or service not known")

    listed = gdown.download_folder(id=FOLDER, skip_download=True, quiet=True, use_cookies=False)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)
    assert "found no connection to Google Drive" in failure(tmp_path, retries=retries)
    monkeypatch.setattr(gdown, "download_folder", lambda **_: listed)
    assert "found no connection to Google Drive" in failure(tmp_path, retries=retries)


class FullDisk:
    """Opens a file on a disk with room for one more write."""

    def __init__(self, path, mode):
        self.file = Path(path).open(mode)  # noqa: SIM115
        self.writes = 0

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.writes += 1
        if self.writes > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)


def test_a_full_disk_is_reported_and_the_bytes_remain(drive, tmp_path, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(GDOWN, "open", FullDisk, raising=False)
        text = failure(tmp_path, retries=1)
    assert "found a full disk" in text
    assert f"make room on the disk of {tmp_path / FOLDER}" in text
    assert f"the {CHUNK:,} bytes already" in text
    drive.requests.clear()
    assert contents(fetch(tmp_path)) == CONTENT
    assert f"bytes={CHUNK}-" in [request.range for request in drive.requests]


def test_a_cache_that_cannot_be_written_is_reported(drive, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert "can be written" in failure(tmp_path / "cache")


@pytest.mark.parametrize(
    ("size", "mode"),
    [
        (
            PARTIAL_BYTES,
            "no_range",
        ),  # The server sends the whole file: it must not be added to the partial.
        (5_000_000, ""),  # Longer than the file: no range of it can follow.
    ],
)
def test_a_partial_file_that_cannot_be_resumed_is_downloaded_again(drive, tmp_path, size, mode):
    drive.modes[STAMPS] = mode
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / f"{STAMPS_NAME}abcdefgh.part").write_bytes(b"x" * size)
    assert contents(fetch(tmp_path)) == CONTENT
    assert not partials(tmp_path)


def test_a_partial_file_is_resumed_if_the_server_is_busy_once(drive, tmp_path):
    drive.modes[STAMPS] = f"truncate:{PARTIAL_BYTES}"
    failure(tmp_path)
    drive.modes[STAMPS] = "once busy"
    drive.requests.clear()
    assert contents(fetch(tmp_path)) == CONTENT
    ranges = [request.range for request in drive.requests if request.id == STAMPS and request.range]
    assert ranges == [f"bytes={PARTIAL_BYTES}-"] * 2


def test_of_several_partial_files_the_longest_is_resumed(drive, tmp_path):
    (tmp_path / FOLDER).mkdir()
    for size, letters in ((10, "zzzzzzzz"), (PARTIAL_BYTES, "aaaaaaaa"), (0, "mmmmmmmm")):
        partial = tmp_path / FOLDER / f"{STAMPS_NAME}{letters}.part"
        partial.write_bytes(CONTENT["stamps"][:size])
    assert contents(fetch(tmp_path)) == CONTENT
    assert f"bytes={PARTIAL_BYTES}-" in [request.range for request in drive.requests]
    assert not partials(tmp_path)


def test_the_checksum_of_a_file_is_logged_if_none_is_set(drive, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fetch(tmp_path, WANTED | {"series": WANTED["series"]._replace(sha256=SHA256["series"])})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "root"]
    assert SHA256["stamps"] in line
    assert "sources.drive.sha256.stamps" in line


def test_another_checksum_is_refused_until_it_is_corrected(drive, tmp_path):
    wrong = {key: want._replace(sha256="0" * 64) for key, want in WANTED.items()}
    path = tmp_path / FOLDER / STAMPS_NAME
    text = failure(tmp_path, wrong)
    assert f"found sha256 {SHA256['stamps']}; expected {'0' * 64}; correct sources.drive" in text
    assert f"delete {path}" in text
    # Both files stay: only what is deleted is downloaded again.
    drive.requests.clear()
    assert failure(tmp_path, wrong) == text
    right = {key: want._replace(sha256=SHA256[key]) for key, want in WANTED.items()}
    assert contents(fetch(tmp_path, right)) == CONTENT
    assert drive.requests == []
    path.unlink()
    assert contents(fetch(tmp_path, right)) == CONTENT
    assert {request.id for request in drive.requests} == {FOLDER, STAMPS}


def test_files_that_the_user_put_there_are_used(drive, tmp_path):
    (tmp_path / FOLDER).mkdir()
    for key, name in (("stamps", "td_ztf_stamp_17_06_20.pkl"), ("series", "recurrent_dataset.pk")):
        (tmp_path / FOLDER / name).write_bytes(CONTENT[key])
    for _ in range(2):
        files = fetch(tmp_path)
        assert contents(files) == CONTENT
        assert files["stamps"].name == "td_ztf_stamp_17_06_20.pkl"
    assert drive.requests == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        # What a browser saves of a page.
        ({STAMPS_NAME: b"<!DOCTYPE html><html>"}, "found an HTML page; expected a pickle"),
        ({STAMPS_NAME: b"PK\x03\x04"}, "found a zip archive; expected a pickle"),
        ({STAMPS_NAME: b"\x93NUMPY\x01"}, "found a numpy array; expected a pickle"),
        ({STAMPS_NAME: b""}, "found an empty file; expected a pickle"),
        (
            {STAMPS_NAME: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"},
            "found a Git LFS pointer, in place of the file; run git lfs pull",
        ),
        (
            {STAMPS_NAME: b"<html><title>Google Drive - Quota exceeded</title>"},
            "Google Drive refused the download, its download quota is used up; expected a pickle",
        ),
        (
            {STAMPS_NAME: b"<html><title>Google Drive - Virus scan warning</title>"},
            "it asks to confirm a file that is too large for its virus scan; expected a pickle",
        ),
        (
            {STAMPS_NAME: b"<html><base href='https://accounts.google.com/v3/signin/'>"},
            "it asks to sign in; expected a pickle",
        ),
        # Which one is meant is not ours to guess.
        (
            {STAMPS_NAME: b"\x80", "td_ztf_stamp_17_06_20-003.pkl": b"\x80"},
            f"{STAMPS_NAME}, td_ztf_stamp_17_06_20-003.pkl; expected one file named",
        ),
    ],
)
def test_a_wrong_file_that_the_user_put_there_is_refused_and_not_removed(
    drive, tmp_path, files, message
):
    (tmp_path / FOLDER).mkdir()
    for name, content in files.items():
        (tmp_path / FOLDER / name).write_bytes(content)
    text = failure(tmp_path)
    assert message in text
    assert "remove" in text
    assert {name: (tmp_path / FOLDER / name).read_bytes() for name in files} == files
    assert drive.requests == []


def test_a_file_changed_in_the_cache_is_fetched_again(drive, tmp_path):
    path = fetch(tmp_path)["stamps"]
    path.write_bytes(b"\x80 something else")
    assert contents(fetch(tmp_path)) == CONTENT


def test_a_file_with_a_new_time_and_the_same_bytes_is_not_fetched_again(drive, tmp_path):
    path = fetch(tmp_path)["stamps"]
    os.utime(path, (1, 1))
    drive.requests.clear()
    assert contents(fetch(tmp_path)) == CONTENT
    assert drive.requests == []


def test_a_file_replaced_by_the_expected_one_is_used(drive, tmp_path):
    drive.files[STAMPS] = (STAMPS_NAME, b"\x80 an older one")
    path = fetch(tmp_path)["stamps"]
    path.write_bytes(CONTENT["stamps"])
    drive.requests.clear()
    wanted = {"stamps": WANTED["stamps"]._replace(sha256=SHA256["stamps"])}
    assert fetch(tmp_path, wanted) == {"stamps": path}
    assert path.read_bytes() == CONTENT["stamps"]
    assert drive.requests == []


@pytest.mark.parametrize("record", ["", "[]", '{"stamps": 3}', '{"stamps": {"name": "x"}}', "\0"])
def test_a_broken_record_causes_no_download(drive, tmp_path, record):
    fetch(tmp_path)
    (tmp_path / FOLDER / "files.json").write_text(record)
    drive.requests.clear()
    assert contents(fetch(tmp_path)) == CONTENT
    assert drive.requests == []


def test_an_error_for_a_missing_name_lists_those_of_the_folder(drive, tmp_path):
    drive.files |= {f"1number{n:02}" * 4: (f"z{n:02}.txt", b"") for n in range(20)}
    text = failure(tmp_path, {"stamps": WantedFile("other*.pkl", b"\x80", None)})
    assert f"found {STAMPS_NAME}, {SERIES_NAME}, README.txt, z00" in text
    assert "; expected one file named other*.pkl; correct the folder's id" in text
    assert ("z08.txt" in text, "z09.txt" in text) == (True, False)  # twelve names


def test_of_several_names_the_one_without_a_number_is_used(drive, tmp_path):
    drive.files["1plain" * 5] = ("td_ztf_stamp_17_06_20.pkl", b"\x80plain")
    assert fetch(tmp_path)["stamps"].read_bytes() == b"\x80plain"


@pytest.mark.parametrize(
    "name",
    [
        "td_ztf_stamp_17_06_20-2.pkl",  # Shorter, but a number as well.
        STAMPS_NAME,  # Drive lets two files have one name.
    ],
)
def test_several_matching_names_are_refused(drive, tmp_path, name):
    drive.files["1other" * 5] = (name, b"\x80")
    text = failure(tmp_path)
    assert STAMPS_NAME in text
    assert name in text
    assert "expected one file named td_ztf_stamp_17_06_20*.pkl" in text


def test_two_processes_download_once_and_write_nothing_to_the_home_folder(drive, tmp_path):
    program = f"""
import sys
from pathlib import Path
from tests.drive_server import patch_requests
patch_requests(sys.argv[1])
from ztfrep.sources.drive.downloads import download
from ztfrep.sources.drive.file_cache import WantedFile
assert "gdown" not in sys.modules
download({FOLDER!r}, {WANTED!r}, Path(sys.argv[2]), timeout=5.0)
"""
    home = tmp_path / "home"
    home.mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, drive.url, tmp_path / "cache"],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        for _ in range(2)
    ]
    assert [run.wait(30) for run in runs] == [0, 0]
    assert sum(request.path == "/embeddedfolderview" for request in drive.requests) == 1
    assert (tmp_path / "cache" / FOLDER / STAMPS_NAME).read_bytes() == CONTENT["stamps"]
    assert not list(home.rglob("*"))


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "folder_id",
    ["../..", "..", ".", "", "/", "a/b" * 5, "a" * 9, "a" * 101, "a" * 20 + "\n", "a" * 20 + "\0",
     "é" * 20, "١" * 20, "a b" * 5, "https://drive.google.com/drive/folders/" + FOLDER],
)  # fmt: skip
def test_an_invalid_folder_id_is_refused_before_a_path_is_made(drive, tmp_path, folder_id):
    cache = tmp_path / "a" / "b"
    with pytest.raises(InputError, match="take the last part of the folder's address") as caught:
        download(folder_id, WANTED, cache, timeout=5.0)
    assert str(caught.value).isprintable()
    assert everything_below(tmp_path) == []
    assert drive.requests == []


@pytest.mark.parametrize("folder_id", ["0AMoSTLpUKDHGUk9PVA", FOLDER, "0B" + "x-_" * 8 + "xx"])
def test_folder_ids_of_drive_are_accepted(drive, tmp_path, folder_id):
    drive.folder = folder_id
    assert contents(download(folder_id, WANTED, tmp_path, timeout=5.0, retries=0)) == CONTENT


class Listed:
    """A file as gdown lists it."""

    def __init__(self, path):
        self.id, self.path = STAMPS, path


HOSTILE = [
    "td_ztf_stamp_17_06_20\0.pkl",
    "td_ztf_stamp_17_06_20\n.pkl",
    "td_ztf_stamp_17_06_20\x1b[2J.pkl",
    "td_ztf_stamp_17_06_20\u202e.pkl",
    "td_ztf_stamp_17_06_20\ud800.pkl",
    "td_ztf_stamp_17_06_20\\.pkl",
    f"td_ztf_stamp_17_06_20{'x' * 300}.pkl",
    f"td_ztf_stamp_17_06_20{'é' * 100}.pkl",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_listed_name_that_cannot_be_a_file_is_refused(drive, tmp_path, monkeypatch, name):
    monkeypatch.setattr(gdown, "download_folder", lambda **_: [Listed(name)])
    text = failure(tmp_path, {"stamps": WANTED["stamps"]})
    assert "found a file named 'td_ztf_stamp_17_06_20" in text
    assert text.isprintable()
    assert everything_below(tmp_path) == [FOLDER, f"{FOLDER}/.lock"]


@pytest.mark.parametrize("name", [".lock", "files.json", ".hidden"])
def test_a_listed_name_of_our_own_is_refused(drive, tmp_path, monkeypatch, name):
    fetch(tmp_path)
    record = (tmp_path / FOLDER / "files.json").read_bytes()
    monkeypatch.setattr(gdown, "download_folder", lambda **_: [Listed(name)])
    text = failure(tmp_path, {"other": WantedFile(name, b"\x80", None)})
    assert f"found a file named '{name}'" in text
    assert (tmp_path / FOLDER / "files.json").read_bytes() == record


@pytest.mark.parametrize("path", ["../../td_ztf_stamp_17_06_20.pkl", "/td_ztf_stamp_17_06_20.pkl"])
def test_a_listed_path_stays_in_the_cache(drive, tmp_path, monkeypatch, path):
    monkeypatch.setattr(gdown, "download_folder", lambda **_: [Listed(path)])
    cache = tmp_path / "a" / "b"
    (file,) = download(FOLDER, {"stamps": WANTED["stamps"]}, cache, timeout=5.0).values()
    assert file == cache / FOLDER / "td_ztf_stamp_17_06_20.pkl"
    assert {path.split("/")[0] for path in everything_below(tmp_path)} == {"a"}


@pytest.mark.parametrize("name", ["td_ztf_stamp_17_06_20/../../victim.pkl", *HOSTILE[:2], 3, None])
def test_a_recorded_name_that_leaves_the_cache_is_not_followed(drive, tmp_path, name):
    fetch(tmp_path)
    victim = tmp_path / "victim.pkl"
    victim.write_bytes(b"mine")
    (tmp_path / FOLDER / "td_ztf_stamp_17_06_20").mkdir()
    path = tmp_path / FOLDER / "files.json"
    record = json.loads(path.read_text())
    record["stamps"] |= {"name": name}
    path.write_text(json.dumps(record))
    assert contents(fetch(tmp_path)) == CONTENT
    assert victim.read_bytes() == b"mine"


def test_a_folder_with_a_wanted_name_is_refused(drive, tmp_path):
    (tmp_path / FOLDER / "td_ztf_stamp_17_06_20.pkl").mkdir(parents=True)
    assert "found a folder; expected a pickle" in failure(tmp_path)


def test_pickles_and_encodings_may_be_in_one_folder(drive, tmp_path, monkeypatch):
    folders = {}

    def record(folder_id, wanted, cache_folder, timeout):
        folders[folder_id] = sorted(wanted)
        return {}

    monkeypatch.setattr("ztfrep.sources.drive.downloads.download", record)
    config = read_params(Path(__file__).parents[2] / "params.yaml").sources.drive
    DriveSource().fetch(config, tmp_path, tmp_path)
    assert folders == {config.pickles: ["series", "stamps"]}
    one_folder = config.model_copy(update={"encoded": True, "encodings": config.pickles})
    DriveSource().fetch(one_folder, tmp_path, tmp_path)
    assert folders == {config.pickles: ["base", "base_recurrente", "series", "stamps"]}
    two_folders = config.model_copy(update={"encoded": True})
    DriveSource().fetch(two_folders, tmp_path, tmp_path)
    assert folders[config.encodings] == ["base", "base_recurrente"]
