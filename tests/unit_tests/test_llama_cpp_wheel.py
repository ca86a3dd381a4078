"""The real pip installs small wheels into real, empty venvs; only what compiles is a stand-in."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.controls.sweep import bearers, new_cookie, sweep
from tests.llama_cpp_wheel import (
    LAST_LINES,
    NotProvided,
    Order,
    build,
    cache_folder,
    provide,
    required,
    whole_wheels,
)

ROOT = Path(__file__).parents[2]
HERE = sysconfig.get_platform().replace("-", "_").replace(".", "_")
BOUND = 60  # seconds: an idle machine starts pip six times in three
pytestmark = pytest.mark.timeout(BOUND + 20)  # see BOUND

# Stands in for pip: builds what the test says, leaves the rest to the real one.
PIP = """
import os, pathlib, shutil, sys, time
base = pathlib.Path({base!r})
if sys.argv[1] != "wheel":
    os.execv({python!r}, [{python!r}, "-m", "pip", *sys.argv[1:]])
folder, = (pathlib.Path(one.split("=")[1]) for one in sys.argv if one.startswith("--wheel-dir="))
with (base / "builds").open("a") as builds:
    print(os.environ["CMAKE_ARGS"], file=builds, flush=True)
"""
BUILD = 'shutil.copy(*base.glob("made/*.whl"), folder)'
BUILD_FOR_EVER = """
import subprocess
compiler = subprocess.Popen(["sleep", "600"])
(folder / "x.o").touch()
print("[1/9] x.cpp", flush=True)
compiler.wait(600)
"""
DRIVER = """
import sys
from pathlib import Path
from tests import llama_cpp_wheel
_, requirement, cache, python, pip = sys.argv
order = llama_cpp_wheel.Order(requirement, Path(cache), python, (sys.executable, pip), interval=0)
llama_cpp_wheel.provide = lambda _, do=llama_cpp_wheel.{step}: do(order)
sys.exit(llama_cpp_wheel.main())
"""


@dataclass(frozen=True)
class Bench:
    """An order with an empty cache and an empty venv, and what happened to it."""

    base: Path
    order: Order

    @property
    def builds(self) -> list[str]:
        """The CMAKE_ARGS of each build that was begun."""
        record = self.base / "builds"
        return record.read_text().splitlines() if record.exists() else []

    @property
    def cached(self) -> set[str]:
        return {one.name for one in self.order.cache.iterdir()} - {".lock"}

    @property
    def installed(self) -> str:
        probe = [self.order.python, "-c", "import llama_cpp; print(llama_cpp.__version__)"]
        return subprocess.run(
            probe, check=False, capture_output=True, text=True, timeout=BOUND
        ).stdout.strip()


def write_wheel(
    folder: Path, version: str = "0.3.36", platform: str = HERE, code: str = ""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"llama_cpp_python-{version}-py3-none-{platform}.whl"
    info = f"llama_cpp_python-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llama_cpp/__init__.py", f"{code}\n__version__ = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: {version}\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def damage(wheel: Path) -> Path:
    wheel.write_bytes(wheel.read_bytes().replace(b"__version__", b"__VERSION__", 1))
    return wheel


def bench(base: Path, building: str) -> Bench:
    write_wheel(base / "made")
    python = base / "venv" / "bin" / "python"
    (base / "pip.py").write_text(f"{PIP.format(base=str(base), python=str(python))}\n{building}\n")
    pip = (sys.executable, str(base / "pip.py"))
    order = Order("llama-cpp-python>=0.3.30", base / "cache", str(python), pip)
    order.cache.mkdir()
    return Bench(base, order)


def with_venv(bench: Bench) -> Bench:
    """Give it an interpreter of its own; pip is linked, since bringing it takes seconds."""
    venv.create(bench.base / "venv", symlinks=True)
    spec = importlib.util.find_spec("pip")
    assert spec is not None
    assert spec.origin is not None
    (packages,) = bench.base.glob("venv/lib/*/site-packages")
    (packages / "pip").symlink_to(Path(spec.origin).parent)
    return bench


def drive(bench: Bench, step: str, cookie: dict[str, str]) -> subprocess.Popen[str]:
    order = bench.order
    program = DRIVER.format(step=step)
    return subprocess.Popen(
        [
            *(sys.executable, "-c", program),
            *(order.requirement, str(order.cache), order.python, order.pip[-1]),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)},
        text=True,
    )


def read_until(child: subprocess.Popen[str], text: str) -> None:
    assert child.stderr is not None
    assert any(text in line for line in child.stderr), f"never said: {text}"


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


# ------------------------------------------------------------------------------ what is wanted


def test_what_is_wanted_stands_in_pyproject() -> None:
    assert required((ROOT / "pyproject.toml").read_text()).startswith("llama-cpp-python>=0.")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"SAFE_LLM_WHEEL_CACHE": "/wheels", "XDG_CACHE_HOME": "/xdg"}, "/wheels"),
        ({"SAFE_LLM_WHEEL_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/safe_llm/wheels"),
        ({}, "~/.cache/safe_llm/wheels"),
    ],
)
def test_the_cache_is_where_the_environment_says(environ: dict[str, str], folder: str) -> None:
    assert cache_folder(environ) == Path(folder).expanduser()


def test_a_wheel_is_whole_only_if_every_byte_is_right(tmp_path: Path) -> None:
    whole = write_wheel(tmp_path, "0.3.36")
    damage(write_wheel(tmp_path, "0.3.37"))
    cut = write_wheel(tmp_path, "0.3.38")
    cut.write_bytes(cut.read_bytes()[:-30])
    write_wheel(tmp_path, "0.3.39").rename(tmp_path / "llama_cpp_python-0.3.39.part")
    assert whole_wheels(tmp_path) == [whole]
    assert whole_wheels(tmp_path / "absent") == []


# ---------------------------------------------------------------------------------- the source


def test_a_cached_wheel_is_taken_and_nothing_is_compiled(tmp_path: Path) -> None:
    it = with_venv(bench(tmp_path, BUILD))
    write_wheel(it.order.cache, "0.3.31")
    write_wheel(it.order.cache, "0.3.32")
    damage(write_wheel(it.order.cache, "0.3.33"))
    provide(it.order)
    assert (it.installed, it.builds) == ("0.3.32", [])
    provide(replace(it.order, cache=tmp_path / "another"))  # what is installed counts as found
    assert it.builds == []


def test_a_wheel_of_an_index_is_taken_and_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = with_venv(bench(tmp_path, BUILD))
    page = tmp_path / "simple" / "llama-cpp-python"
    wheel = write_wheel(page, "0.3.35")
    (page / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", page.parent.as_uri())
    provide(it.order)
    assert (it.installed, it.builds) == ("0.3.35", [])


def test_without_a_wheel_that_fits_one_is_compiled_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DMINE=1")
    it = with_venv(bench(tmp_path, BUILD))
    cache = it.order.cache
    others = [
        write_wheel(cache, "0.3.29"),
        write_wheel(cache, "0.3.40", "macosx_10_0_ppc"),
        write_wheel(cache, "0.3.41", "linux_s390x"),
        damage(write_wheel(cache, "0.3.42")),
    ]
    (cache / ".building").mkdir()  # as a killed build leaves it
    (cache / ".building" / "llama_cpp_python-0.3.50-py3-none-any.whl").touch()
    provide(it.order)
    assert (it.installed, it.builds) == ("0.3.36", ["-DMINE=1 -DGGML_NATIVE=OFF"])
    assert it.cached == {one.name for one in others} | {next(tmp_path.glob("made/*")).name}
    said = capsys.readouterr().err
    assert "Compiling it once takes 5 to 13 minutes on two cores" in said
    assert f"the wheel is kept in {cache}" in said


def test_a_wheel_that_does_not_load_here_is_replaced_by_one_that_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    it = with_venv(bench(tmp_path, BUILD))
    of_another_libc = write_wheel(it.order.cache, code="raise OSError('GLIBC_9.99 not found')")
    provide(it.order)
    assert (it.installed, len(it.builds)) == ("0.3.36", 1)
    assert it.cached == {of_another_libc.name}
    assert "does not load on this machine, and is not used: OSError: GLIBC_9.99 not found" in (
        capsys.readouterr().err
    )


# ----------------------------------------------------------------------------------- the build


def test_a_build_that_fails_tells_its_last_lines_and_where_all_of_them_are(tmp_path: Path) -> None:
    it = bench(tmp_path, 'print(*range(100), "no CMAKE_CXX_COMPILER", sep="\\n"); sys.exit(3)')
    with pytest.raises(NotProvided, match=r"^the build ended with status 3 \(0:\d\d min\)") as seen:
        build(it.order)
    log = it.order.cache / "llama-cpp-python.log"
    _, *last, where, hint = str(seen.value).splitlines()
    assert len(last) == LAST_LINES
    assert last[-1].strip() == "no CMAKE_CXX_COMPILER"
    assert where == f"the whole log: {log}"
    assert "a C++ compiler" in hint
    assert log.read_text().startswith("0\n1\n2\n")
    assert it.cached == {log.name}


def test_an_unfinished_wheel_is_no_wheel(tmp_path: Path) -> None:
    it = bench(tmp_path, f"{BUILD}; os.truncate(*folder.glob('*.whl'), 99)")
    with pytest.raises(NotProvided, match=r"^the build ended with status 0, without a whole wheel"):
        build(it.order)
    assert it.cached == {"llama-cpp-python.log"}


def test_a_build_that_does_not_end_is_ended(tmp_path: Path) -> None:
    it = bench(tmp_path, BUILD_FOR_EVER)
    with pytest.raises(NotProvided, match=r"^it did not end in time, at step "):
        build(replace(it.order, build_bound=0.0))
    assert it.cached == {"llama-cpp-python.log"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_interrupted_leaves_nothing(tmp_path: Path, number: int) -> None:
    it = bench(tmp_path, BUILD_FOR_EVER)
    cookie = new_cookie()
    with drive(it, "build", cookie) as driver:
        try:
            read_until(driver, "still at it, step 1/9")
            driver.send_signal(number)
            assert driver.wait(BOUND) == 128 + number
            assert (it.cached, bearers(cookie)) == (set(), [])
        finally:
            sweep(cookie)


def test_two_at_once_compile_once(tmp_path: Path) -> None:
    wait = 'while not (base / "go").exists(): print("[1/9]", flush=True); time.sleep(0.05)'
    it = with_venv(bench(tmp_path, f"{wait}\n{BUILD}"))
    cookie = new_cookie()
    with drive(it, "provide", cookie) as first:
        try:
            read_until(first, "still at it, step 1/9")
            with drive(it, "provide", cookie) as second:
                read_until(second, "still waiting for another build")
                (tmp_path / "go").touch()
                for driver in (first, second):
                    _, said = driver.communicate(timeout=BOUND)
                    assert (driver.returncode, "0.3.36 is installed" in said) == (0, True), said
        finally:
            sweep(cookie)
    assert len(it.builds) == 1


def test_waiting_for_another_build_has_an_end(tmp_path: Path) -> None:
    it = with_venv(bench(tmp_path, BUILD))
    with (it.order.cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(NotProvided, match=r"^another build has held \S+/\.lock for 0:00 min"):
            provide(replace(it.order, lock_bound=0.0))
    assert it.builds == []


# -------------------------------------------------------------------------------- the Makefile


@pytest.mark.parametrize(
    ("goal", "compiles"), [("demo", False), ("lint", False), ("unit", True), ("bench", True)]
)
def test_only_what_runs_tests_needs_a_compiler(goal: str, compiles: bool) -> None:
    # -B: as if nothing were installed yet. -n: only said.
    plan = subprocess.run(
        ["make", "-n", "-B", goal],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BOUND,
    ).stdout
    assert ("tests.llama_cpp_wheel" in plan) is compiles
