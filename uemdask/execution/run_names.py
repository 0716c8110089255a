"""Names of runs: those of their folders or files, told apart by the folders above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def run_name(path: Path) -> str:
    """Return the name of the run of a raw folder, stack or store.

    Examples
    --------
    >>> from pathlib import Path
    >>> run_name(Path("raw/Ge 0.5 mJ")), run_name(Path("a.zarr"))
    ('Ge 0.5 mJ', 'a')
    """
    if path.is_file():
        return path.stem.removesuffix(".ome")
    if path.name in ("", "..", "."):
        path = path.resolve()
    return path.name.removesuffix(".zarr")


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return names of runs; those of one name begin with the folders in which they differ.

    Paths that no folder tells apart keep one name.

    Examples
    --------
    >>> from pathlib import Path
    >>> distinct_names([Path("/d/monday/raw"), Path("/d/friday/raw"), Path("/d/flake")])
    ['monday_raw', 'friday_raw', 'flake']
    """
    names = [run_name(path) for path in paths]
    counts = Counter(names)
    for name in (name for name, count in counts.items() if count > 1):
        places = [i for i, other in enumerate(names) if other == name]
        above = [paths[i].absolute().parts[:-1][::-1] for i in places]
        for depth in range(1, min(map(len, above))):
            prefixes = ["_".join(parts[:depth][::-1]) for parts in above]
            if len(set(prefixes)) == len(places):
                for i, prefix in zip(places, prefixes, strict=True):
                    names[i] = f"{prefix}_{name}"
                break
    return names
