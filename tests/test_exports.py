"""The public names: sorted, all there, each the one of its home module."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import studio_relay


def test_all_is_sorted_and_complete() -> None:
    homes = studio_relay._HOMES
    assert studio_relay.__all__ == sorted(name for names in homes.values() for name in names)


@pytest.mark.parametrize("name", studio_relay.__all__)
def test_every_public_name_is_the_one_of_its_home(name: str) -> None:
    assert getattr(studio_relay, name) is getattr(import_module(studio_relay._HOME_OF[name]), name)
    assert name in dir(studio_relay)


def test_type_checkers_see_the_same_names_from_the_same_homes() -> None:
    tree = ast.parse(Path(studio_relay.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {n.module: tuple(sorted(a.name for a in n.names)) for n in imports} == {
        home: tuple(sorted(names)) for home, names in studio_relay._HOMES.items()
    }


def test_every_error_is_public() -> None:
    errors = import_module("studio_relay.errors")
    own = {name for name, thing in vars(errors).items() if isinstance(thing, type)}
    assert own <= set(studio_relay.__all__)
    tree = errors.__doc__ or ""
    assert all(name in tree for name in own)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Phone'"):
        studio_relay.Phone  # noqa: B018
