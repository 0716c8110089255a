"""YAML as people write it: dates and clock times stay text, numbers are plain decimals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from uemdask.errors import UemError
from uemdask.regular_files import read_regular

_KEPT = ("bool", "null", "merge")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(
    r"(?:[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
#: Longest YAML file, bytes; and how many characters and entries one may stand for, aliases counted
#: wherever they stand.
_LONGEST, _MOST = 2**22, 2**22


class _Loader(yaml.SafeLoader):
    """Without YAML 1.1's dates, octal numbers, and 10:30 = 630: a plan '-30:50:5' is text.

    Ten lines of aliases or merge keys can stand for gigabytes: that is refused before it is made.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag.rpartition(":")[2] in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _measure(node: yaml.Node, known: dict[int, int]) -> int:
    """Return what a node stands for with its aliases followed, in characters and entries."""
    if id(node) in known:
        size = known[id(node)]
        if not size:
            raise yaml.YAMLError("an alias stands for what it is part of")
        return size
    known[id(node)] = 0
    if isinstance(node, yaml.ScalarNode):
        size = 1 + len(node.value)
    elif isinstance(node, yaml.MappingNode):
        size = 1 + sum(_measure(key, known) + _measure(value, known) for key, value in node.value)
    else:
        size = 1 + sum(_measure(part, known) for part in node.value)
    if size > _MOST:
        raise yaml.YAMLError(f"its aliases stand for more than {_MOST // 2**20} MiB")
    known[id(node)] = size
    return size


def parse_yaml(text: str) -> Any:
    """Return what a YAML text holds, made of dicts, lists, text, numbers, booleans and None.

    Raises
    ------
    UemError
        If it is not YAML, or its aliases stand for more than any such text holds.

    Examples
    --------
    >>> parse_yaml("date: 2024-05-03")
    {'date': '2024-05-03'}
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UemError(f"is not YAML ({_in_words(error)}); write 'key: value' lines") from error


def _in_words(error: Exception) -> str:
    """Return place and fault on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    UemError
        If it cannot be read, is no file, or is not YAML.
    """
    try:
        text = read_regular(path, _LONGEST).decode("utf-8-sig")
    except FileNotFoundError:
        raise UemError(f"{path}: no such file; check the name") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UemError(f"{path}: cannot be read ({reason})") from error
    try:
        return parse_yaml(text)
    except UemError as error:
        raise UemError(f"{path}: {error}") from error.__cause__
