"""Whole-file writers: a reader sees the old file or the new one, complete."""

import contextlib
import csv
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream import _files
from keras_twostream.errors import SpecError, VideoError, WeightsError


def refuse(*args, **kwargs):
    raise OSError(28, "No space left on device")


def names(folder):
    return sorted(os.listdir(folder))


# === Never over what is read ===


@pytest.mark.parametrize("name", ["a.mp4", "soft.mp4", "hard.mp4", "in/a.mp4"])
def test_a_file_that_is_read_is_not_written(tmp_path, name):
    source = tmp_path / "a.mp4"
    source.write_bytes(b"video")
    (tmp_path / "soft.mp4").symlink_to(source)
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "in").symlink_to(tmp_path)
    others = [np.zeros((1, 2, 2, 3)), "frames", None, tmp_path, "http://a/b"]
    with pytest.raises(SpecError, match=rf"{name}: it is the file .*a\.mp4"):
        _files.refuse_replacing([tmp_path / name], [*others, source])


def test_other_files_may_be_written(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"video")
    (tmp_path / "b.mp4").write_bytes(b"video")
    names = [tmp_path / "b.mp4", tmp_path / "missing.mp4"]
    _files.refuse_replacing(names, [tmp_path / "a.mp4", "missing.mp4"])


# === Whole, or not at all ===


def test_files_take_their_names_together(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_text("old")
    with _files.replacing(first, second) as parts:
        for part in parts:
            part.write_text("new")
        assert first.read_text() == second.read_text() == "old"
    assert first.read_text() == second.read_text() == "new"
    assert names(tmp_path) == ["first", "second"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "full")])
def test_an_error_leaves_the_old_file_and_no_part(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises((KeyboardInterrupt, OSError)):
        with _files.writing(path) as file:
            file.write(b"half")
            raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_threads_do_not_share_a_part(tmp_path):
    taken, met = [], threading.Barrier(2)

    def write():
        with _files.replacing(tmp_path / "file") as (part,):
            taken.append(part)
            part.touch()
            met.wait(10)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 2


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def of_files_only(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            refuse()

    monkeypatch.setattr(os, "fsync", of_files_only)
    _files.write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    _files.write_text(tmp_path / ("x" * 255), "whole")
    assert (tmp_path / ("x" * 255)).read_text() == "whole"


@pytest.mark.parametrize("linked", [True, False])
def test_a_created_file_is_never_replaced(tmp_path, monkeypatch, linked):
    if not linked:
        monkeypatch.setattr(os, "link", refuse)
    _files.create_text(tmp_path / "file", "first")
    assert (tmp_path / "file").read_text() == "first"
    if linked:
        _files.create_text(tmp_path / "file", "second")
        assert (tmp_path / "file").read_text() == "first"
    assert names(tmp_path) == ["file"]


# === Leftovers ===


def test_leftovers_of_the_dead_are_removed_and_the_living_kept(tmp_path):
    host = socket.gethostname()
    with _files.writing(tmp_path / "x") as file:
        start = os.path.basename(file.name).split(host)[0]
    dead = tmp_path / f"{start}{host}-99999999-1.part"
    predecessor = tmp_path / f"{start}{host}-{os.getpid()}-1.part"
    alive = tmp_path / f"{start}{host}-{os.getppid()}-1.part"
    elsewhere = tmp_path / f"{start}another-1-1.part"
    numbered = tmp_path / f"{start}{host}-99999999-7-1.part"
    for part in (dead, predecessor, alive, elsewhere, numbered):
        part.touch()
    _files.write_text(tmp_path / "x", "whole")
    assert not dead.exists() and not predecessor.exists()
    # The last is of a machine whose name is this one's and a number.
    assert alive.exists() and elsewhere.exists() and numbered.exists()


KILLED = """
import pathlib, sys, time
from keras_twostream import _files
with _files.writing(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


WORKING = """
import pathlib, sys
from keras_twostream import _files
shop = _files.workshop(pathlib.Path(sys.argv[1]))
sys.argv[1] = str(shop.__enter__() / "half")
"""


@contextlib.contextmanager
def killed_while_writing(path, code=KILLED):
    """A process that was killed; it is collected at the end of the block."""
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"writing\n"
        child.send_signal(signal.SIGKILL)
        yield child


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "file"
    with killed_while_writing(path):
        pass
    assert len(names(tmp_path)) == 1 and not path.exists()
    _files.write_text(path, "whole")
    assert names(tmp_path) == ["file"]


def test_a_workshop_is_gone_with_all_that_is_left_in_it(tmp_path):
    path, killed = tmp_path / "new" / "file", WORKING + KILLED
    with pytest.raises(KeyError), _files.workshop(path) as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "half").write_text("half")
        raise KeyError
    assert names(tmp_path) == []
    with killed_while_writing(path, killed):
        pass
    assert len(names(tmp_path / "new")) == 1
    with _files.workshop(path) as folder:
        assert names(tmp_path / "new") == [folder.name]


def test_a_large_folder_is_listed_rarely(tmp_path, monkeypatch):
    listed, list_folder = [], os.listdir

    def slowly(folder):
        listed.append(folder)
        time.sleep(0.1)
        return list_folder(folder)

    with killed_while_writing(tmp_path / "9"):
        pass
    monkeypatch.setattr(os, "listdir", slowly)
    monkeypatch.setattr(_files, "_MANY", 1)
    for number in range(10):
        _files.write_text(tmp_path / str(number), "whole")
    assert len(listed) == 1
    assert sorted(list_folder(tmp_path)) == [str(n) for n in range(10)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_dead_process_that_nobody_collected_finishes_nothing(tmp_path):
    path = tmp_path / "file"
    with killed_while_writing(path) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        _files.write_text(path, "whole")
        assert names(tmp_path) == ["file"]


# === Disks ===


def test_a_probe_leaves_nothing(tmp_path):
    _files.probe(tmp_path / "new" / "folder")
    assert names(tmp_path) == []


@pytest.mark.parametrize("cause", ["full", "tight", "file"])
def test_a_probe_finds_what_refuses_files(tmp_path, monkeypatch, cause):
    folder, room = tmp_path / "folder", 1
    if cause == "full":
        monkeypatch.setattr(os, "fsync", refuse)
    elif cause == "tight":
        room = 1 << 60
    else:
        folder.touch()
    with pytest.raises(OSError):
        _files.probe(folder, room)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Make room, or wait."),
        (errno.EDQUOT, "Make room, or wait."),
        (errno.EROFS, "Make it writable, or wait."),
        (errno.EIO, "See to that, or wait."),
    ],
)
def test_a_refusal_names_the_folder_the_reason_and_the_remedy(number, remedy):
    error = OSError(number, "Alas", "/some/file")
    words = _files.refusal("/here", error, "or wait")
    assert words == f"Cannot write into /here: Alas. {remedy}"


class _OfFFmpeg(OSError):
    """An error of PyAV's kind, whose name cannot be changed."""

    def __init__(self, number, text, name):
        super().__init__(number, text)
        self._name = name

    filename = property(lambda error: error._name)


@pytest.mark.parametrize("kind", [OSError, _OfFFmpeg])
def test_a_file_that_grows_too_large_names_its_folder(tmp_path, kind):
    with pytest.raises(kind) as caught:
        with _files.replacing(tmp_path / "a.mp4") as (part,):
            part.touch()
            raise kind(errno.EFBIG, "File too large", str(part))
    words = f"Cannot write into {tmp_path}: File too large. See to that"
    assert _files.not_written(caught.value).startswith(words)
    assert names(tmp_path) == []
    assert not _files.not_written(PermissionError(errno.EACCES, "locked"))


def test_only_errors_of_a_full_or_locked_disk_are_reworded():
    def block(error, kinds=()):
        with _files.refused("/here", WeightsError, "or wait", kinds):
            raise error

    with pytest.raises(WeightsError, match="Make room, or wait"):
        block(OSError(errno.ENOSPC, "full"))
    with pytest.raises(WeightsError, match="Make it writable, or wait"):
        block(PermissionError(errno.EACCES, "locked"))
    with pytest.raises(FileNotFoundError):
        block(FileNotFoundError(errno.ENOENT, "gone"))
    with pytest.raises(WeightsError, match="gone. See to that, or wait"):
        block(FileNotFoundError(errno.ENOENT, "gone"), (OSError,))
    with pytest.raises(VideoError, match="cut off"):  # also an OSError
        block(VideoError("cut off"), (OSError,))
    with pytest.raises(KeyError):
        block(KeyError("x"), (OSError,))


# === Formats ===


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text() | st.floats(0, 1),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.text(), inside, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_toml_gives_back_what_was_written(values):
    assert tomllib.loads(_files.to_toml({**values, "none": None})) == {
        key: value for key, value in values.items() if key != "none"
    }


def test_a_table_has_the_columns_of_all_rows(tmp_path):
    _files.write_table(tmp_path / "t.csv", [{"a": 1}, {"b": -0.5, "a": 2}])
    with open(tmp_path / "t.csv", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", ""], ["2", "-0.5"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_text_in_a_table_is_never_a_formula(tmp_path, text):
    _files.write_table(tmp_path / "t.csv", [{text: text, "number": -1}])
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [[f"'{text}", "number"], [f"'{text}", "-1"]]


def test_arrays_come_back(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    _files.write_array(tmp_path / "a.npy", array)
    _files.write_arrays(tmp_path / "a.npz", {"a": array})
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["a"], array)


# === Folders ===


def test_an_error_leaves_no_folder_that_was_held_for_nothing(tmp_path):
    with pytest.raises(KeyError), _files.held(tmp_path / "new" / "run"):
        raise KeyError
    assert names(tmp_path) == []


def test_an_error_leaves_what_was_written_into_a_held_folder(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(KeyError), _files.held(run):
        _files.write_text(run / "file", "whole")
        raise KeyError
    with _files.held(run):
        assert names(run) == [".lock", "file"]


def test_the_lock_of_another_process_stays(tmp_path):
    with _files.held(tmp_path):
        inode = (tmp_path / ".lock").stat().st_ino
    with pytest.raises(KeyError), _files.held(tmp_path):
        raise KeyError
    assert (tmp_path / ".lock").stat().st_ino == inode
