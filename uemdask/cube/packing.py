"""Numbers packed into small integers, as the CF conventions have it: ``value = stored * step``.

Half precision would be as small, but sums of it overflow and then means over a frame are zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from uemdask.cube.contract import VARIABLES
from uemdask.cube.single import Single
from uemdask.errors import UemError


@dataclass(frozen=True)
class Packing:
    """How a variable is packed.

    Attributes
    ----------
    step : float
        Its ``scale_factor``. A power of two makes the values exact in float32.
    dtype : dtype
        Of the stored integers.
    missing : int, optional
        Its ``_FillValue``, which stands for NaN.
    """

    step: float
    dtype: np.dtype[Any]
    missing: int | None = None

    @classmethod
    def of(cls, array: zarr.Array[Any] | Single) -> Packing | None:
        """Return how a stored array is packed, None where it is not."""
        attributes: Mapping[str, Any] = array.attrs
        if "scale_factor" not in attributes:
            return None
        step, missing = attributes["scale_factor"], attributes.get("_FillValue")
        return cls(float(step), np.dtype(array.dtype), missing)

    @classmethod
    def of_variable(cls, name: str, step: float | None = None) -> Packing:
        """Return how a variable of the data contract is packed, perhaps in other steps."""
        variable = VARIABLES[name]
        step = variable.step if step is None else step
        if step is None:
            raise UemError(f"{name}: is not packed; give a step")
        return cls(step, np.dtype(variable.dtype), variable.missing)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value that can be packed."""
        kind = np.iinfo(self.dtype)
        low = kind.min + 1 if self.missing == kind.min else kind.min
        return low * self.step, kind.max * self.step

    def beyond(self, values: np.ndarray) -> int:
        """Return how many values lie beyond the limits, and so would be packed as the limit."""
        low, high = self.limits
        half = self.step / 2
        # NaN compares false: it is missing, not beyond.
        return int(np.count_nonzero((values < low - half) | (values > high + half)))

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Return values as stored: rounded to steps, held within the limits.

        NaN is stored as missing, or as 0 where nothing stands for it.

        Examples
        --------
        >>> import numpy as np
        >>> Packing(0.25, np.dtype("int16"), -32768).pack(np.array([0.3, -1.0, np.nan]))
        array([     1,     -4, -32768], dtype=int16)
        """
        low, high = (round(limit / self.step) for limit in self.limits)
        steps = np.asarray(values, np.float32) * np.float32(1 / self.step)
        np.rint(steps, out=steps)
        np.clip(steps, low, high, out=steps)
        np.nan_to_num(steps, copy=False, nan=0 if self.missing is None else self.missing)
        return steps.astype(self.dtype)

    def unpack(self, stored: np.ndarray) -> npt.NDArray[np.float32]:
        """Return stored integers as values; missing ones as NaN.

        Examples
        --------
        >>> import numpy as np
        >>> packing = Packing(0.25, np.dtype("int16"), -32768)
        >>> packing.unpack(np.array([1, -32768], np.int16))
        array([0.25,  nan], dtype=float32)
        """
        values = np.multiply(stored, np.float32(self.step), dtype=np.float32)
        if self.missing is not None:
            values[stored == self.missing] = np.nan
        return values


class Unpacked:
    """A stored array that is unpacked as it is read, like ``group[name][...]``.

    Parameters
    ----------
    array : zarr.Array or Single
        Packed or not.
    store : Path
        The run.
    name : str
        Of the variable.
    """

    def __init__(self, array: zarr.Array[Any] | Single, store: Path, name: str) -> None:
        self._array, self._store, self._name = array, store, name
        self._packing = Packing.of(array)
        self.shape: tuple[int, ...] = array.shape
        self.ndim: int = array.ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        stored = self.stored(index)
        return stored if self._packing is None else self._packing.unpack(stored)

    def stored(self, index: Any) -> np.ndarray:
        """Return a part as it is stored.

        Raises
        ------
        UemError
            If a file is damaged.
        OSError
            If the disk does not give it, which may pass.
        """
        try:
            return np.asarray(self._array[index])
        except OSError:
            raise
        except Exception as error:  # a codec's own, whatever it is
            raise unreadable(self._store, self._name, error) from error


def unreadable(store: Path, name: str, error: Exception) -> UemError:
    """Return what to say of a variable whose files are damaged."""
    return UemError(
        f"{store}: {name!r} cannot be read ({shorten(str(error), 120)}); 'uemdask "
        f"verify --deep' names what is damaged"
    )
