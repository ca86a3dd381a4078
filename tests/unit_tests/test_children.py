"""The zoo of misbehaving children: complete in its index, and each one starts."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import children
from tests.children import available, c_child, python_child

if TYPE_CHECKING:
    from pathlib import Path


def test_the_index_names_every_program_and_no_other() -> None:
    named = set(re.findall(r"``(\w+?)(?:\.c)?``", children.__doc__ or ""))
    assert named == {*available(".py"), *available(".c")}


def test_a_child_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"no child ech\.py among .*echo"):
        python_child("ech")


def test_a_c_child_is_compiled_once(tmp_path: Path) -> None:
    (first,) = c_child("buffered_stdout", cache=tmp_path)
    (second,) = c_child("buffered_stdout", cache=tmp_path)
    assert first == second
    assert [str(one) for one in tmp_path.iterdir()] == [first]


@pytest.mark.parametrize("name", available(".c"))
def test_every_c_child_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    c_child(name, cache=tmp_path)


@pytest.mark.parametrize("name", available(".py"))
def test_every_python_child_can_be_read_by_the_bare_interpreter(name: str) -> None:
    interpreter, flag, path = python_child(name)
    load = f"import runpy; runpy.run_path({path!r}, run_name='loaded')"
    subprocess.run([interpreter, flag, "-W", "error", "-c", load], check=True, timeout=10)
