"""Files are written whole or not at all, and what is no plain file stays what it is."""

import os
import stat
import threading

import pytest

from tracenet.errors import UsageError
from tracenet.files import replacing


def write(path, data=b"new"):
    with replacing(path) as file:
        file.write(data)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").write_bytes(b"old")
    os.symlink("there", tmp_path / "link")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_bytes() == b"new"
    os.symlink("nowhere yet", tmp_path / "other")
    write(tmp_path / "other")
    assert (tmp_path / "nowhere yet").read_bytes() == b"new"


def test_what_may_not_be_written_to_is_left_alone(tmp_path):
    path = tmp_path / "kept.svg"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(UsageError, match="read-only"):
        write(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["kept.svg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's folders")
def test_a_pipe_is_written_to(tmp_path):
    path = tmp_path / "pipe.svg"
    os.mkfifo(path)
    found = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    write(path)
    reader.join(5)
    assert found == [b"new"] and stat.S_ISFIFO(path.stat().st_mode)


def test_half_a_file_is_never_there(tmp_path):
    path = tmp_path / "kept.svg"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["kept.svg"]
