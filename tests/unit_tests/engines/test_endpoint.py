from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines import endpoint as endpoints
from safe_llm.engines.endpoint import Endpoint, open_endpoint
from safe_llm.errors import NoPrivateFolder
from tests.llama_engine import BOUND, temporary_files_of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which there is room for sockets."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)  # undone last of all, after the block below
    with temporary_files_of_its_own() as folder:
        yield folder


def _folder(endpoint: Endpoint) -> Path:
    assert endpoint.socket_path is not None
    return Path(endpoint.socket_path).parent


def test_a_socket_lies_in_a_folder_that_only_we_can_enter(base: Path) -> None:
    endpoint = open_endpoint("test", sockets=True)
    assert stat.S_IMODE(_folder(endpoint).stat().st_mode) == 0o700
    assert endpoint.host_arguments == ("--host", endpoint.socket_path)
    assert endpoint.api_key is None
    endpoint.clean_up()
    assert list(base.iterdir()) == []
    endpoint.clean_up()


def test_the_path_of_a_socket_can_be_bound_though_tmpdir_is_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 120)))
    endpoint = open_endpoint("test", sockets=True)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            assert endpoint.socket_path is not None
            listener.bind(endpoint.socket_path)
    finally:
        endpoint.clean_up()


@pytest.mark.parametrize("length", range(70, 100))
def test_a_path_is_never_longer_than_a_socket_may_have(
    length: int, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = base / ("x" * (length - len(str(base)) - 1))
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    endpoint = open_endpoint("test", sockets=True)
    assert len(os.fsencode(endpoint.socket_path or "")) <= 107
    assert (_folder(endpoint).parent == deep) == (length <= 107 - 25)
    endpoint.clean_up()


def test_where_every_path_is_too_long_a_port_with_a_key_takes_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "_bases", lambda: ["/" + "x" * 120])
    _is_a_port(open_endpoint("test", sockets=True))


def test_a_server_that_knows_no_sockets_gets_a_port_and_a_key_of_its_own() -> None:
    one, other = (open_endpoint("test", sockets=False) for _ in range(2))
    _is_a_port(one)
    assert one.api_key != other.api_key
    assert str(one.api_key) not in " ".join(one.host_arguments)


def _is_a_port(endpoint: Endpoint) -> None:
    host, address, port, number = endpoint.host_arguments
    assert (host, address, port) == ("--host", "127.0.0.1", "--port")
    assert endpoint.base_url == f"http://127.0.0.1:{number}"
    assert endpoint.socket_path is None
    assert len(endpoint.api_key or "") >= 32


def test_where_no_folder_can_be_made_it_is_said_where_and_why(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, file = base / "gone", base / "file"
    file.touch()
    monkeypatch.setattr(endpoints, "_bases", lambda: [str(gone), str(file)])
    with pytest.raises(NoPrivateFolder) as caught:
        open_endpoint("test", sockets=True)
    assert str(caught.value) == (
        f"no folder for the socket of test: {gone}: No such file or directory;"
        f" {file}: Not a directory\n"
        "hint: make room, or point TMPDIR to a short, writable folder"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_system_without_any_temporary_folder_is_survived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nothing_usable)
    open_endpoint("test", sockets=True).clean_up()


@pytest.mark.skipif(os.getuid() != 0, reason="a file system can only be mounted by root")
def test_a_full_disk_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"""if True:
        import subprocess
        mount = "mount -t tmpfs -o nr_inodes=1 none".split()
        subprocess.run([*mount, {str(base)!r}], check=True)
        from safe_llm.engines import endpoint
        endpoint._bases = lambda: [{str(base)!r}]
        try:
            endpoint.open_endpoint("test", sockets=True)
        except endpoint.NoPrivateFolder as error:
            print(error.reason)
    """
    # A mount namespace of its own: nobody else sees the disk, and it goes with the process.
    found = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", program],
        capture_output=True, text=True, timeout=BOUND, check=False,
    )  # fmt: skip
    if "permitted" in found.stderr:
        pytest.skip("mount namespaces are not permitted here")
    assert found.stdout.strip() == f"{base}: No space left on device", found.stderr


def test_a_folder_whose_owner_was_killed_is_removed_and_a_living_one_is_kept(base: Path) -> None:
    program = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1];"
        "from safe_llm.engines.endpoint import open_endpoint;"
        "e = open_endpoint('test', sockets=True); print(e.socket_path, flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, base], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        theirs = Path(os.fsdecode(owner.stdout.readline()).strip()).parent
        (theirs / "s.sock").touch()
        mine = open_endpoint("test", sockets=True)
        assert theirs.exists()
        owner.kill()
        owner.wait(BOUND)
        second = open_endpoint("test", sockets=True)
        assert not theirs.exists()
        assert _folder(mine).exists()
    mine.clean_up()
    second.clean_up()


def test_a_folder_whose_owner_was_killed_before_it_was_used_is_removed_too(base: Path) -> None:
    abandoned = Path(tempfile.mkdtemp(prefix="safe-llm-", dir=base))
    open_endpoint("test", sockets=True).clean_up()
    assert not abandoned.exists()


def test_a_folder_taken_for_abandoned_before_it_was_locked_is_made_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def lose_the_first(*args: str, **named: str) -> str:
        made.append(mkdtemp(*args, **named))
        if len(made) == 1:
            shutil.rmtree(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", lose_the_first)
    endpoint = open_endpoint("test", sockets=True)
    assert _folder(endpoint) == Path(made[1])
    endpoint.clean_up()


def test_a_folder_that_is_removed_while_it_is_being_locked_is_made_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, removed = fcntl.flock, list[Path]()

    def lose_the_first(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(base.iterdir())
            shutil.rmtree(removed[0])
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lose_the_first)
    endpoint = open_endpoint("test", sockets=True)
    assert removed
    assert _folder(endpoint).exists()
    endpoint.clean_up()


def test_twenty_threads_get_twenty_folders_and_none_takes_that_of_another(base: Path) -> None:
    found: list[Endpoint] = []
    threads = [
        threading.Thread(target=lambda: found.append(open_endpoint("test", sockets=True)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert len({_folder(one) for one in found if _folder(one).exists()}) == 20
    for one in found:
        one.clean_up()


def test_no_descriptor_is_left_where_a_folder_cannot_be_opened(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(endpoints, "_bases", lambda: [str(base)])
    monkeypatch.setattr(os, "open", no_more)
    with pytest.raises(NoPrivateFolder, match="Too many open files"):
        open_endpoint("test", sockets=True)
    monkeypatch.undo()
    assert list(base.iterdir()) == []
