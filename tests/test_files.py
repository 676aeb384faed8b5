import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmc_viz.files import locked, read_json, read_whole, write_whole

RAISE = "count = int(p.read_text()); p.write_text(str(count + 1))"


def python(code, *words, **more):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True, **more
    )


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "fits"), [(0, True), (9, True), (10, True), (11, False)])
def test_a_file_is_read_up_to_the_limit(size, fits, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    if fits:
        assert read_whole(path, 10) == b"x" * size
        return
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_whole(path, 10)


def test_a_huge_file_takes_no_memory(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # holes: nothing of it is on the disk
    with pytest.raises(OSError, match="more than"):
        read_whole(path, 1 << 20)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_neither_a_pipe_nor_a_device_nor_a_folder_is_waited_for(make, tmp_path):
    make(tmp_path / "file")
    with pytest.raises(OSError):
        read_whole(tmp_path / "file", 10)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", '{"a": -Infinity}', "[" * 100_000, "1" * 5_000, b"\xff", "[1] [2]"]
)
def test_what_is_no_json_is_refused(text, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):
        read_json(path)


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["text\n", b"\x00\xff", ""])
def test_what_is_written_is_read(content, tmp_path):
    write_whole(tmp_path / "file", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "file").read_bytes() == expected
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("function", ["os.fsync", "os.replace"])
def test_what_was_there_stays_where_writing_fails(function, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("older")

    def fail(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(function, fail)
    with pytest.raises(OSError):
        write_whole(path, "newer")
    assert path.read_text() == "older" and os.listdir(tmp_path) == ["file"]


def test_a_writer_killed_at_any_moment_leaves_the_older_or_the_newer(tmp_path):
    path = tmp_path / "file"
    sizes = [200_000, 300_001]
    code = (
        "import sys; from mmc_viz.files import write_whole\n"
        "while True:\n"
        f"    for size in {sizes}: write_whole(sys.argv[1], b'x' * size); print(flush=True)"
    )
    for kill in range(20):
        writer = python(code, path)
        for _ in range(1 + kill % 4):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert path.stat().st_size in sizes


# --- one writer at a time ------------------------------------------------------------------------


def test_a_second_writer_is_told_and_the_lock_leaves_nothing(tmp_path):
    with locked(tmp_path / "run"):
        with pytest.raises(ValueError, match=f"Another process is writing {tmp_path / 'run'}"):
            with locked(tmp_path / "run"):
                pass
        with locked(tmp_path / "other"):  # has a lock of its own
            pass
    assert os.listdir(tmp_path) == []
    with locked(tmp_path / "run"):
        pass


def test_those_who_wait_take_turns(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    code = (
        "import sys; from pathlib import Path; from mmc_viz.files import locked\n"
        "p = Path(sys.argv[1])\n"
        "for _ in range(100):\n"
        f"    with locked(p, wait=True): {RAISE}"
    )
    writers = [python(code, counter) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()
    assert counter.read_text() == "300" and os.listdir(tmp_path) == ["counter"]


def test_a_killed_writer_blocks_nobody(tmp_path):
    code = (
        "import sys, time; from mmc_viz.files import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    )
    writer = python(code, tmp_path / "run")
    assert writer.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="Another process"), locked(tmp_path / "run"):
        pass
    writer.kill()
    writer.wait()
    writer.stdout.close()
    with locked(tmp_path / "run"):
        assert Path(tmp_path / ".run.lock").exists()
