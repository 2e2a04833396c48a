"""Folders of packets: every file is read or ignored, with a reason."""

import gzip
import io
import os
import zipfile

import pytest

from tests.alert_packets import archive
from ztfrep.errors import InputError
from ztfrep.sources.packets.entries import IGNORED_FILE_KINDS
from ztfrep.sources.packets.folders import behind_links, find_files

AVRO = b"Obj\1"


def names(folder):
    return [path.relative_to(folder).as_posix() for path in find_files(folder).packets]


def ignored(folder):
    return {file.name: file.kind for file in find_files(folder).ignored}


def fill(folder, *files, data=AVRO):
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_bytes(data)


def test_archives_and_packets_of_every_name_are_read(tmp_path):
    files = ["1.avro", "2.AVRO", "3.avro.gz", "4.Avro.xz", "A.TAR.GZ", "b.tgz", "c.tar.bz2"]
    files += ["d.tbz2", "e.TXZ", "f.tar.xz", "g.zip", "h.tar"]
    fill(tmp_path, *files, data=b"whatever it is")
    assert names(tmp_path) == sorted(files)
    assert ignored(tmp_path) == {}


def test_other_names_are_read_if_their_bytes_are_packets(tmp_path):
    fill(tmp_path, "packet", "1.avro.1")
    fill(tmp_path, "2.packed", data=gzip.compress(AVRO))
    tar = archive(tmp_path / "n.tar.gz", {"1.avro": AVRO})
    tar.rename(tmp_path / "unnamed.part")
    assert names(tmp_path) == ["1.avro.1", "2.packed", "packet", "unnamed.part"]
    assert ignored(tmp_path) == {}


def test_ignored_files_have_a_kind_and_a_description(tmp_path):
    document = io.BytesIO()
    with zipfile.ZipFile(document, "w") as file:
        file.writestr("xl/workbook.xml", "")
    fill(tmp_path, "labels.csv", data=b"candid,class\n")
    fill(tmp_path, "labels.csv.gz", data=gzip.compress(b"candid,class\n"))
    fill(tmp_path, "labels.xlsx", data=document.getvalue())
    fill(tmp_path, "empty", data=b"")
    fill(tmp_path, "cut.gz", data=b"\x1f\x8b\x08")
    fill(tmp_path, ".DS_Store", "Thumbs.db", "._1.avro")
    fill(tmp_path / "__MACOSX", "1.avro")
    fill(tmp_path, "old.rar", "n.tar.zst", data=b"")
    fill(tmp_path, "n", data=b"7z\xbc\xaf\x27\x1c")
    fill(tmp_path, "1.avro")
    os.mkfifo(tmp_path / "pipe.avro")
    files = find_files(tmp_path)
    assert [path.name for path in files.packets] == ["1.avro"]
    assert ignored(tmp_path) == {
        **dict.fromkeys(["labels.csv", "labels.csv.gz", "labels.xlsx", "empty", "cut.gz"], "other"),
        **dict.fromkeys([".DS_Store", "Thumbs.db", "._1.avro", "__MACOSX/1.avro"], "system"),
        **dict.fromkeys(["old.rar", "n.tar.zst", "n"], "format"),
        "pipe.avro": "special",
    }
    assert {file.kind for file in files.ignored} <= set(IGNORED_FILE_KINDS)
    details = {file.name: file.detail for file in files.ignored}
    assert details["labels.csv.gz"] == "text that begins 'candid,class\\n'"
    assert details["labels.xlsx"] == "a zip archive"
    assert details["n"] == "a 7z archive"


def test_links_are_followed_and_loops_are_not(tmp_path):
    folder, disk = tmp_path / "folder", tmp_path / "disk"
    fill(folder, "1.avro")
    fill(folder / "sub", "2.avro")
    fill(disk, "3.avro")
    fill(disk / "deep", "4.avro")
    (folder / "a_link").symlink_to(folder / "sub")
    (folder / "disk2").symlink_to(disk)
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (disk / "deep" / "back").symlink_to(folder)
    (disk / "again").symlink_to(disk / "deep")
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "5.avro").symlink_to(disk / "3.avro")
    # A folder is read at its own path, or else by the first link to it.
    assert names(folder) == ["1.avro", "5.avro", "disk2/3.avro", "disk2/deep/4.avro", "sub/2.avro"]
    links = ["a_link", "disk2/again", "disk2/deep/back", "gone", "itself", "loop", "up"]
    assert ignored(folder) == dict.fromkeys(links, "link")
    details = {file.name: file.detail for file in find_files(folder).ignored}
    assert details["gone"] == f"a broken link to {tmp_path / 'nowhere'}"
    (tmp_path / "linked").symlink_to(folder)
    assert len(find_files(tmp_path / "linked").packets) == 5


def test_a_file_whose_name_is_not_text_is_read(tmp_path):
    for name in (b"caf\xe9.avro", b"caf\xe9.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"text")
    files = find_files(tmp_path)
    assert [os.fsencode(path.name) for path in files.packets] == [b"caf\xe9.avro"]
    assert [file.name for file in files.ignored] == ["caf\\udce9.txt"]


def test_a_single_file_is_read_whatever_its_name(tmp_path):
    fill(tmp_path, "packet")
    assert find_files(tmp_path / "packet").packets == [tmp_path / "packet"]
    fill(tmp_path, "notes", data=b"text")
    with pytest.raises(InputError, match=r"1 files, no alert packets: 1 other; .* notes, text"):
        find_files(tmp_path / "notes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_ignored(tmp_path):
    fill(tmp_path, "1.avro")
    fill(tmp_path, "unknown")
    fill(tmp_path / "closed", "2.avro")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "unknown").chmod(0)
    kinds = ignored(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert kinds == {"closed": "no_access", "unknown": "no_access"}


def test_a_folder_without_packets_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(InputError, match=r"1 files, no alert packets.*tgz"):
        find_files(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"0 files, no alert packets; "):
        find_files(tmp_path / "empty")


def test_behind_links_returns_the_files_in_linked_folders(tmp_path):
    fill(tmp_path / "folder", "1.avro")
    fill(tmp_path / "disk2", "2.avro")
    (tmp_path / "folder" / "more").symlink_to(tmp_path / "disk2", target_is_directory=True)
    (tmp_path / "start").symlink_to(tmp_path / "folder", target_is_directory=True)
    # The folder itself may be a link.
    for start in (tmp_path / "folder", tmp_path / "start"):
        linked = behind_links(start, find_files(start).packets)
        assert linked == [start / "more" / "2.avro"]
    file = tmp_path / "folder" / "1.avro"
    assert behind_links(file, find_files(file).packets) == []
