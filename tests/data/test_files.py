import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from ztfrep.data import files
from ztfrep.data.files import replacing, replacing_folder, scratch_folder, write_json
from ztfrep.errors import InputError

ROOT = Path(__file__).parents[2]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_nan_and_infinity_are_refused_in_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line():
    error = InputError("a\nb", found="c\n  d", expected="e", remedy="f")
    assert str(error) == "a b: found c d; expected e; f"


def test_the_suffix_stays_and_the_mode_is_that_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.tar.npy") as temporary:
            assert temporary.suffix == ".npy"
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.tar.npy").stat().st_mode & 0o777 == 0o640


def test_a_planted_link_is_not_followed(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "base.npy"
    victim.write_text("precious")
    # Names that could be guessed: those of earlier versions.
    for process in (os.getpid(), "x" * 8):
        (tmp_path / f".base.{process}.npy").symlink_to(victim)
        (tmp_path / f".base.npy.{process}.tmp").symlink_to(tmp_path)
    path.symlink_to(victim)
    with replacing(path) as temporary:
        # Nobody else can plant anything where the bytes are written.
        assert temporary.parent.stat().st_mode & 0o777 == 0o700
        temporary.write_text("new")
    assert victim.read_text() == "precious"
    assert path.read_text() == "new"
    assert not path.is_symlink()


def test_names_are_not_predictable(tmp_path):
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        assert one.parent != other.parent
        assert str(os.getpid()) not in one.parent.name
        one.write_text("1")
        other.write_text("2")


def test_a_folder_that_another_run_removes_before_it_is_locked_is_not_used(tmp_path, monkeypatch):
    path, lock, removed = tmp_path / "base.npy", files._folder_lock, []

    def remove_first(folder, target):
        if not removed:
            removed.append(folder)
            # In the same place, as filelock makes it again.
            folder.rename(tmp_path / "removed")
        return lock(folder, target)

    monkeypatch.setattr(files, "_folder_lock", remove_first)
    with scratch_folder(path) as folder:
        assert folder != removed[0]
        assert folder.stat().st_mode & 0o077 == 0
        assert {entry.name for entry in tmp_path.iterdir()} == {folder.name, "removed"}


KILLED = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from ztfrep.data import files
with files.KIND(sys.argv[1]) as path:
    (path / "x" if path.is_dir() else path).write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["replacing", "scratch_folder"])
def test_the_next_run_of_an_output_removes_the_folder_of_a_killed_run(tmp_path, kind):
    path, other = tmp_path / "base.npy", tmp_path / "base.parquet"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED.replace("KIND", kind), str(where)],
            stdout=subprocess.PIPE, text=True,
        )
        for where in (path, path, other)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    killed, running, of_another = processes
    left = {entry.name for entry in tmp_path.iterdir()}
    assert len(left) == 3
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    of_another.send_signal(signal.SIGKILL)
    of_another.wait()
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
    names = {entry.name for entry in tmp_path.iterdir()}
    # The running one's and that of another output.
    assert len(names & left) == 2
    assert sum(name.startswith(".base.npy.") for name in names) == 1
    running.kill()
    for process in processes:
        process.communicate()


def test_folders_of_others_are_not_removed(tmp_path):
    file = tmp_path / ".a.abcdefgh.tmp"
    file.write_text("a file")
    folder = tmp_path / ".a.ijklmnop.tmp"
    folder.mkdir(mode=0o755)
    (folder / "x").write_text("of somebody else")
    similar = tmp_path / ".a.notes.tmp"
    similar.mkdir(mode=0o700)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert file.exists()
    assert (folder / "x").exists()
    assert similar.exists()


def test_bytes_are_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    path, events = tmp_path / "a", []
    fsync, rename = os.fsync, os.replace

    def note_sync(descriptor):
        events.append(("sync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def note_rename(source, target):
        events.append(("rename", os.stat(source).st_ino))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    with replacing(path) as temporary:
        temporary.write_text("x")
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert events == [("sync", file), ("rename", file), ("sync", folder)]


def test_a_full_disk_is_an_error_of_the_path(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(path) as tmp:
        # What writing to an open file raises has no name of its own.
        tmp.write_text("half")
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="writing failed") as caught, replacing(path) as tmp:
        (tmp.parent / "no" / "folder").write_text("x")
    assert caught.value.filename == str(path)
    # The innermost is the one that was written.
    with pytest.raises(OSError, match="writing failed") as caught:  # noqa: SIM117
        with replacing(tmp_path / "outer"), scratch_folder(path) as folder:
            (folder / "x").write_text("x")
            raise OSError(28, "No space left on device")
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        # safetensors, and DuckDB when it writes and when it sorts.
        "Error while serializing: I/O error: No space left on device (os error 28)",
        'IO Error: Could not write file "x": No space left on device',
        "Out of Memory Error: failed to offload data block of size 256.0 KiB",
    ],
)
def test_a_full_disk_is_recognised_by_the_message_of_a_library(tmp_path, text):
    path = tmp_path / "a"
    with pytest.raises(OSError, match="No space left") as caught, replacing(path):
        raise RuntimeError(text)
    assert caught.value.filename == str(path)


def test_an_error_of_another_file_is_not_changed(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        (tmp_path / "input").read_text()
    assert caught.value.filename == str(tmp_path / "input")
    assert "writing" not in str(caught.value)


def test_a_limit_of_file_size_names_the_path(tmp_path):
    program = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
from ztfrep.process import exiting_in_one_line
from ztfrep.data import files
from ztfrep.data.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with exiting_in_one_line(), replacing("a.bin") as temporary:
    temporary.write_bytes(bytes(5000))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: a.bin: writing failed: File too large; make room on its disk, then run it again\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "plots"
    for text in ("old", "new"):
        with replacing_folder(path) as temporary:
            (temporary / "inner").mkdir(parents=True)
            (temporary / "inner" / text).write_text(text)
        assert [part.name for part in path.rglob("*")] == ["inner", text]
    with pytest.raises(RuntimeError), replacing_folder(path) as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert (path / "inner" / "new").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    import filelock

    def no_locks(self, timeout):
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", no_locks)
    for _ in range(2):
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_concurrent_runs_of_an_output_leave_a_complete_file(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from ztfrep.data import files
from ztfrep.data.files import replacing
for number in range(30):
    with replacing("a") as temporary:
        temporary.write_text(sys.argv[1] * 1000)
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, letter], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for letter in "xyz"
    ]
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == ""
    assert (tmp_path / "a").read_text() in {letter * 1000 for letter in "xyz"}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_writing_many_small_files_is_quick(tmp_path):
    start = time.perf_counter()
    for number in range(20):
        write_json(tmp_path / f"{number}.json", {})
    assert time.perf_counter() - start < 5
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("error", [FileExistsError, FileNotFoundError])
def test_a_folder_that_another_run_removes_before_it_is_locked_is_made_again(
    tmp_path, monkeypatch, error
):
    acquire, folders = filelock.FileLock.acquire, []

    def removed_once(self, *arguments, **options):
        folders.append(Path(self.lock_file).parent)
        if len(folders) == 1:
            shutil.rmtree(folders[0])
            raise error(17, "File exists")
        return acquire(self, *arguments, **options)

    monkeypatch.setattr(filelock.FileLock, "acquire", removed_once)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("content")
    assert (tmp_path / "a").read_text() == "content"
    assert len(folders) == 2
