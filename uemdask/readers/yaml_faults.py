"""Faults of a YAML file, each with its place and line."""

from __future__ import annotations

from functools import cached_property

import yaml

from uemdask.errors import Place, spelled

#: What is wrong at a place.
Fault = tuple[Place, str]


class Lines:
    """Where the keys of a YAML text stand.

    Examples
    --------
    >>> Lines("runs: [{raw: a}]").of(("runs", 0, "raw"))
    1
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _root(self) -> yaml.Node | None:
        return yaml.compose(self._text, Loader=yaml.SafeLoader) if self._text else None

    def of(self, place: Place) -> int | None:
        """Return the line of a key or entry, counted from 1; None where it is not in the text."""
        node, line = self._root, None
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == str(part)]
                if not found:
                    return None
                line, node = found[-1][0].start_mark.line, found[-1][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    return None
                node = node.value[part]
                line = node.start_mark.line
        return None if line is None else line + 1


def format_faults(faults: list[Fault], lines: Lines) -> list[str]:
    """Return faults as sentences with their place, in the order of the file."""
    found = [(lines.of(place), spelled(place), text) for place, text in dict.fromkeys(faults)]
    found.sort(key=lambda fault: (fault[0] is None, fault[0] or 0))
    return [
        f"{place}: {text}" if line is None else f"line {line}, {place}: {text}"
        for line, place, text in found
    ]
