"""The order in which a person would sort file names."""

from __future__ import annotations

import re
from pathlib import Path


def natural_order(path: Path) -> list[tuple[bool, int, str]]:
    """Return a key that sorts ``frame_2`` before ``frame_10``.

    Examples
    --------
    >>> from pathlib import Path
    >>> sorted([Path("frame_10"), Path("frame_2")], key=natural_order)[0].name
    'frame_2'
    """
    parts = re.split(r"([0-9]+)", path.name)  # every second one is a number
    return [(bool(i % 2), int(part) if i % 2 else 0, part) for i, part in enumerate(parts)]
