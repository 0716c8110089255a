"""Which of the arrays of a file is the image series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uemdask.errors import UemError

# A list of hundreds of arrays helps nobody.
_LISTED = 12


@dataclass(frozen=True)
class Candidate:
    """An array of a file.

    Attributes
    ----------
    name : str
        What the user writes to choose it.
    shape, dtype
        Of the array.
    what : str
        What it is if it is no image series, such as ``"a spectrum"``; empty for images.
    label : str
        A second name, such as its title.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    what: str = ""
    label: str = ""

    @property
    def may_be_images(self) -> bool:
        """Whether it may be taken without being named."""
        return not self.what and len(self.shape) >= 2 and self.dtype.kind in "uif"

    def __str__(self) -> str:
        title = f" {self.label!r}" if self.label else ""
        what = f", {self.what}" if self.what else ""
        return f"{self.name}{title} {self.shape} {self.dtype}{what}"


def choose(path: Path, candidates: Sequence[Candidate], dataset: str | None) -> int:
    """Return which candidate is meant: the one named, else the only stack, else the only image.

    Raises
    ------
    UemError
        If none or more than one fits; the candidates are listed.
    """
    if dataset is not None:
        found = [
            i
            for i, c in enumerate(candidates)
            if dataset.strip("/") in (c.name.strip("/"), c.label or None)
        ]
        if len(found) == 1:
            chosen = candidates[found[0]]
            if chosen.what:
                raise UemError(
                    f"{path}: dataset {dataset!r} is {chosen.what}; name an image or a stack of "
                    f"images ({_listed(candidates)})"
                )
            return found[0]
        number = f"{len(found)} datasets" if found else "no dataset"
        raise UemError(
            f"{path}: holds {number} named {dataset!r}; name one of {_listed(candidates)}"
        )
    images = [i for i, c in enumerate(candidates) if c.may_be_images]
    stacks = [i for i in images if len(candidates[i].shape) > 2]
    for fitting in (stacks, images):
        if len(fitting) == 1:
            return fitting[0]
    if not images:
        raise UemError(
            f"{path}: holds no image of integer or real grey values, only "
            f"{_listed(candidates) or 'other things'}; check the file"
        )
    raise UemError(
        f"{path}: holds {len(images)} images or stacks; name one with `dataset`: "
        f"{_listed([candidates[i] for i in images])}"
    )


def _listed(candidates: Sequence[Candidate]) -> str:
    shown = "; ".join(str(c) for c in candidates[:_LISTED])
    return shown + (f"; and {len(candidates) - _LISTED} more" if len(candidates) > _LISTED else "")
