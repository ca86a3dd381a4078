from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm.worker.memory import bounded_memory, free_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
KIB, MIB, GIB = 1024, 1024**2, 1024**3
MEMINFO = "MemTotal:  16777216 kB\nMemAvailable:  8388608 kB\nSwapFree:  1048576 kB\n"
MACHINE = 9 * GIB


def machine(folder: Path, cgroup: str, files: Mapping[str, str]) -> Path:
    """A root directory with a machine's figures, and those of its control groups."""
    everything = {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup}
    everything |= {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    for name, content in everything.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def second(limit: object, used: int, cache: int = 0, *, at: str = "") -> dict[str, str]:
    """The files of a control group of the second kind."""
    stat = f"anon {used - cache}\ninactive_file {cache // 2}\nactive_file {cache - cache // 2}\n"
    values = {"max": f"{limit}\n", "current": f"{used}\n", "stat": stat}
    return {f"{at}memory.{name}": value for name, value in values.items()}


def first(limit: int, used: int, cache: int = 0, *, at: str = "") -> dict[str, str]:
    """The files of a control group of the first kind."""
    return {
        f"memory/{at}memory.limit_in_bytes": f"{limit}\n",
        f"memory/{at}memory.usage_in_bytes": f"{used}\n",
        f"memory/{at}memory.stat": f"cache 9\ntotal_inactive_file {cache}\ntotal_active_file 0\n",
    }


OURS = "0::/ours/inner\n"
UNLIMITED = 2**63 - 4096  # what the first kind says where there is no limit
CASES = [
    pytest.param("0::/\n", {}, MACHINE, id="no group"),
    pytest.param(OURS, second("max", GIB, at="ours/inner/"), MACHINE, id="no limit"),
    pytest.param(OURS, second(4 * GIB, GIB, at="ours/inner/"), 3 * GIB, id="a limit"),
    pytest.param(OURS, second(4 * GIB, GIB, at="ours/"), 3 * GIB, id="a limit further up"),
    pytest.param(OURS, second(4 * GIB, GIB, at="unified/ours/"), 3 * GIB, id="mounted elsewhere"),
    pytest.param("0::/\n", second(4 * GIB, GIB), 3 * GIB, id="a container"),
    pytest.param("0::/\n", second(4 * GIB, 4 * GIB, 3 * GIB), 3 * GIB, id="a cache makes room"),
    pytest.param("0::/\n", second(GIB, 2 * GIB), 0, id="more than allowed"),
    pytest.param("0::/\n", second(99 * GIB, GIB), MACHINE, id="a limit beyond the machine"),
    pytest.param("0::/\n", second("?", 1), MACHINE, id="nonsense"),
    pytest.param("5:cpu:/x\n4:memory:/x\n", first(4 * GIB, GIB, at="x/"), 3 * GIB, id="the first"),
    pytest.param("4:memory:/x\n", first(4 * GIB, 3 * GIB, GIB), 2 * GIB, id="the first, a cache"),
    pytest.param("4:memory:/x\n", first(UNLIMITED, GIB), MACHINE, id="the first, no limit"),
    pytest.param(
        OURS,
        {**second(4 * GIB, GIB, at="ours/inner/"), **second(3 * GIB, GIB, at="ours/")},
        2 * GIB,
        id="the smallest of two",
    ),
]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(("cgroup", "files", "free"), CASES)
def test_what_is_free_is_the_least_that_anybody_has_left(
    tmp_path: Path, cgroup: str, files: dict[str, str], free: int
) -> None:
    assert free_bytes(machine(tmp_path, cgroup, files)) == free


def test_where_nothing_is_known_there_is_no_figure(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: many\n")
    assert free_bytes(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux only")
@pytest.mark.parametrize(("megabytes", "outcome"), [(50, "fits"), (300, "MemoryError")])
def test_what_is_too_much_is_refused_and_only_inside_of_the_bound(
    megabytes: int, outcome: str
) -> None:
    program = f"""if True:
        from safe_llm.worker.memory import bounded_memory
        try:
            with bounded_memory({200 * MIB}):
                bytearray({megabytes} * {MIB})
        except MemoryError:
            print("MemoryError")
        else:
            print("fits")
        bytearray({400 * MIB})
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, timeout=15, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"{outcome}\n"


def test_without_a_figure_there_is_no_bound() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with bounded_memory(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_bound_is_never_wider_than_the_users_own() -> None:
    program = f"""if True:
        import resource
        from safe_llm.worker.memory import bounded_memory
        own = ({300 * MIB}, resource.getrlimit(resource.RLIMIT_DATA)[1])
        resource.setrlimit(resource.RLIMIT_DATA, own)
        with bounded_memory({900 * MIB}):
            assert resource.getrlimit(resource.RLIMIT_DATA) == own
        assert resource.getrlimit(resource.RLIMIT_DATA) == own
    """
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=15, check=True)
