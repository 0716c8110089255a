"""What an image file says of itself, and what a reader of image files must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Part:
    """Which frames of a series that is spread over several files lie in one of them.

    Attributes
    ----------
    series : str
        What tells the series from others.
    places : tuple of int
        The place in the series of each frame of the file.
    total : int
        Frames of the whole series.
    files : tuple of str
        Names of all its files, in the order of their first frames.
    """

    series: str
    places: tuple[int, ...]
    total: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class ImageInfo:
    """What an image file says of itself.

    Attributes
    ----------
    frames : int
        Images in the file.
    shape : (y, x)
        In px.
    dtype : str
        NumPy name, such as ``"uint16"``.
    pixel_size : (y, x) or None
        In nm, None where the file does not say.
    vendor : dict
        The file's own tags, whole.
    no_pixel_size : str
        Why `pixel_size` is None, such as ``"its axes are in 1/nm, which is no length"``.
    notes : tuple of str
        What was taken for granted and a person should know, one sentence each.
    part : Part, optional
        Which frames of a series these are, where that lies in several files.
    """

    frames: int
    shape: tuple[int, int]
    dtype: str
    pixel_size: tuple[float, float] | None = None
    vendor: dict[str, Any] = field(default_factory=dict)
    no_pixel_size: str = ""
    notes: tuple[str, ...] = ()
    part: Part | None = None


class Reader(Protocol):
    """How files of one format are read; a module with these two functions will do.

    Any exception is told to the user as the fault of the file; a `UemError` with its own words.
    """

    def describe(self, path: Path, dataset: str | None) -> ImageInfo:
        """Return what is in the file, without reading a frame.

        Parameters
        ----------
        path : Path
            An existing file, which is not empty and may be read.
        dataset : str, optional
            Which of several arrays of the file is meant.
        """

    def read(self, path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
        """Yield frames as (y, x), y downwards as displayed, one in memory at a time."""
