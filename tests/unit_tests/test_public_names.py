from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import safe_llm


def names_for_type_checkers() -> dict[str, str]:
    """Each name that the TYPE_CHECKING block imports, and the module that it imports it from."""
    tree = ast.parse(Path(str(safe_llm.__file__)).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in blocks[0].body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("name", sorted(names_for_type_checkers()))
def test_a_name_resolves_to_what_type_checkers_see(name: str) -> None:
    home = import_module(names_for_type_checkers()[name])
    assert getattr(safe_llm, name) is getattr(home, name)


def test_all_lists_what_type_checkers_see_and_the_version() -> None:
    assert set(safe_llm.__all__) == set(names_for_type_checkers()) | {"__version__"}


def test_every_public_name_is_listed_by_dir() -> None:
    assert dir(safe_llm) == sorted(safe_llm.__all__)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'safe_llm' has no attribute 'spwan'"):
        _ = safe_llm.spwan


def test_every_error_is_public() -> None:
    errors = import_module("safe_llm.errors")
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SafeLlmError)
    }
    assert kinds <= set(safe_llm.__all__)
