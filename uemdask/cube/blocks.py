"""Kernels on blocks of frames: at once on arrays in memory, block by block on Dask arrays.

A kernel is a function of numpy arrays of one block: maps of the block with a halo around it, and
whatever has no pixels, such as drift. It returns maps of the block without its halo, by name, and
sums over the pixels of the block. The tasks of a run call it on the region that they read, and
`map_space` on an array in memory or on every block of a Dask array; so there is one way to a
number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.contract import VARIABLES, Variable
from uemdask.cube.layout import Region
from uemdask.errors import UemError

_PIXELS = ("y", "x")
#: Dims of a fixed size that no input needs to have.
_SIZES = {"component": 2}


@dataclass(frozen=True)
class Place:
    """Where a block of pixels lies in the frame.

    Attributes
    ----------
    rows, columns : slice
        The block with its halo, which ends at the edge of the frame.
    inner : (slice, slice)
        The block without its halo, within it.
    frame : (int, int)
        Size (y, x) of the whole frame, px.
    """

    rows: slice
    columns: slice
    inner: tuple[slice, slice]
    frame: tuple[int, int]

    @classmethod
    def of(cls, region: Region, sizes: Mapping[str, int], halo: int = 0) -> Place:
        """Return the place of a region with a halo in px.

        Examples
        --------
        >>> from uemdask.cube.layout import Region
        >>> Place.of(Region((("y", 0, 4),)), {"y": 9, "x": 9}, halo=2).rows
        slice(0, 6, None)
        """
        outer, inner = [], []
        for dim in _PIXELS:
            start, stop = region.span(dim, sizes[dim])
            low, high = max(start - halo, 0), min(stop + halo, sizes[dim])
            outer.append(slice(low, high))
            inner.append(slice(start - low, stop - low))
        return cls(outer[0], outer[1], (inner[0], inner[1]), (sizes["y"], sizes["x"]))

    def widened(self, halo: int) -> tuple[slice, slice]:
        """Return rows and columns with that many px more on every side, within the frame."""
        rows, columns = (
            slice(max(part.start - halo, 0), min(part.stop + halo, size))
            for part, size in zip((self.rows, self.columns), self.frame, strict=True)
        )
        return rows, columns


class Window:
    """A block of a stored series (time, y, x), read only where it is indexed.

    Parameters
    ----------
    array : indexable
        The whole series.
    place : Place
        The block.
    """

    def __init__(self, array: Any, place: Place) -> None:
        self._array, self._place = array, place

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """Return a part of the block."""
        shifted = []
        for part, span in zip(index[1:], (self._place.rows, self._place.columns), strict=True):
            start, stop, _ = part.indices(span.stop - span.start)
            shifted.append(slice(span.start + start, span.start + stop))
        return np.asarray(self._array[index[0], *shifted])


Kernel = Callable[..., Mapping[str, Any]]


def is_lazy(*values: Any) -> bool:
    """Return whether any of some arrays, datasets or numbers is still to be computed."""
    return any(_collection(value) for value in values)


def _collection(value: Any) -> bool:
    # What has a graph is a collection of Dask; Dask itself is only imported where there is one.
    if isinstance(value, xr.DataArray):  # its coordinates may be lazy where it is not
        value = value.variable
    graph = getattr(value, "__dask_graph__", None)
    return graph is not None and graph() is not None


def number(value: Any) -> Any:
    """Return a number of a DataArray without dims as a plain one; anything else as it is."""
    return (
        value.item() if isinstance(value, xr.DataArray | np.ndarray) and not value.ndim else value
    )


def plain(value: Any) -> Any:
    """Return a DataArray as its numpy array, without dims as a number; anything else as it is."""
    if isinstance(value, xr.DataArray):
        value = value.values
    return number(value)


def at_once(array: xr.DataArray) -> np.ndarray:
    """Return the values of a short list, which a graph is built from.

    ``chunk`` also makes coordinates lazy that are in memory; they are not worth a cluster.
    """
    return np.asarray(array.compute(scheduler="synchronous").values if is_lazy(array) else array)


def of_few(function: Callable[..., Any], *arguments: Any) -> Any:
    """Apply a function to numbers and short series, lazily where one is lazy.

    Returns
    -------
    Any
        What the function returns, or a Dask ``Delayed`` of it. A lazy number is taken from that
        with `as_number`.

    Examples
    --------
    >>> of_few(max, 3, 4)
    4
    """
    if not is_lazy(*arguments):
        return function(*map(plain, arguments))
    import dask

    data = [a.data if isinstance(a, xr.DataArray) else a for a in arguments]
    return dask.delayed(_on_plain)(function, *map(in_one, data))


def _on_plain(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*map(number, arguments))


def in_one(array: Any) -> Any:
    """Return a Dask array as one ``Delayed`` of all its values; anything else as it is.

    ``dask.delayed`` would do that with a copy of the whole graph behind the array, so that what two
    functions share would be computed twice.
    """
    if not is_lazy(array):
        return array
    import dask.array as da

    if not isinstance(array, da.Array):
        return array
    joined = array
    if array.ndim:
        joined = da.blockwise(
            _itself,
            (),
            array,
            tuple(range(array.ndim)),
            dtype=object,
            meta=np.empty((), object),
            concatenate=True,
        )
    return joined.to_delayed(optimize_graph=False).item()


def _itself(block: np.ndarray) -> np.ndarray:
    return block


def as_number(value: Any, *, units: str, long_name: str) -> xr.DataArray:
    """Return a number, perhaps delayed, as a DataArray without dims."""
    if is_lazy(value) and not isinstance(value, xr.DataArray):
        import dask
        import dask.array as da

        value = da.from_delayed(dask.delayed(np.float64)(value), (), np.float64)
    value = value.variable if isinstance(value, xr.DataArray) else value
    return xr.DataArray(value, attrs={"units": units, "long_name": long_name}, dims=())


def as_variables(
    found: Any, names: Iterable[str], sizes: Mapping[str, int]
) -> dict[str, tuple[tuple[str, ...], Any, dict[str, str]]]:
    """Return what a function of `of_few` returned, perhaps delayed, as variables of the contract.

    Parameters
    ----------
    found : sequence of array, or a Dask ``Delayed`` of it
        One a name.
    names : names
        Of the data contract.
    sizes : mapping
        Of their dims.
    """
    variables = {}
    for number, name in enumerate(names):
        about, values = VARIABLES[name], found[number]
        dtype = object if about.dtype == "str" else about.dtype
        if is_lazy(found):
            import dask.array as da

            values = da.from_delayed(values, tuple(sizes[dim] for dim in about.dims), dtype)
        else:
            values = np.asarray(values, dtype)
        attributes = {"units": about.units, "long_name": about.long_name}
        variables[name] = (about.dims, values, attributes)
    return variables


def map_space(
    kernel: Kernel,
    *arrays: xr.DataArray,
    out: Iterable[str | Variable],
    halo: int = 0,
    whole: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    **keywords: Any,
) -> xr.Dataset:
    """Apply a kernel to arrays in memory, or lazily to the blocks of Dask arrays.

    Parameters
    ----------
    kernel : callable
        ``kernel(*blocks, place=Place, **keywords)``, see above; it must not change its blocks.
    *arrays : DataArray
        Maps (..., y, x), and arrays without pixels. Those on one dim are cut alike.
    out : names or Variables
        What the kernel returns; names are those of the data contract. What has no pixels is summed
        over the blocks.
    halo : int
        Pixels around a block that the kernel needs, as `dask.array.map_overlap` with
        ``boundary="none"`` gives them.
    whole : mapping, optional
        Dims that a block must have whole, and what needs them so.
    sizes : mapping, optional
        Sizes of dims that no array has.
    **keywords
        For the kernel. DataArrays without dims and delayed objects may be lazy.

    Returns
    -------
    Dataset
        With the coordinates of the arrays; lazy where an array or keyword is.

    Raises
    ------
    UemError
        If a dim that is needed whole is cut, with the remedy.

    Examples
    --------
    >>> import xarray as xr
    >>> frames = xr.DataArray(np.ones((4, 8, 8)), dims=("time", "y", "x")).chunk(y=4)
    >>> def power(block, *, place):
    ...     return {"reference": (block**2).mean(axis=0)}
    >>> int(map_space(power, frames, out=["reference"]).reference.sum())
    64
    """
    variables = [VARIABLES[item] if isinstance(item, str) else item for item in out]
    known = _SIZES | dict(sizes or {})
    for array in arrays:
        known |= {str(dim): size for dim, size in array.sizes.items()}
    if is_lazy(*arrays, *keywords.values()):
        data = _lazily(kernel, arrays, variables, halo, whole or {}, known, keywords)
    else:
        plain = {name: number(value) for name, value in keywords.items()}
        found = kernel(
            *(array.values for array in arrays), place=Place.of(Region(), known), **plain
        )
        data = {variable.name: np.asarray(found[variable.name]) for variable in variables}
    result = xr.Dataset(
        {
            variable.name: (
                variable.dims,
                data[variable.name],
                {"units": variable.units, "long_name": variable.long_name},
            )
            for variable in variables
        }
    )
    kept = {
        name: coordinate
        for array in arrays
        for name, coordinate in array.coords.items()
        if set(coordinate.dims) <= set(result.dims)
    }
    return result.assign_coords(kept)


def _lazily(
    kernel: Kernel,
    arrays: tuple[xr.DataArray, ...],
    variables: list[Variable],
    halo: int,
    whole: Mapping[str, str],
    known: Mapping[str, int],
    keywords: Mapping[str, Any],
) -> dict[str, Any]:
    import dask.array as da
    from dask.array.overlap import overlap

    chunks = _chunks(arrays, known, whole, halo)
    blocks: list[Any] = [_places(chunks, known, halo), _PIXELS]
    for array in arrays:
        wanted = {axis: chunks[str(dim)] for axis, dim in enumerate(array.dims)}
        data = da.asarray(array.data).rechunk(wanted)
        # A dim in one chunk has nothing around it.
        around = [halo if dim in _PIXELS and len(chunks[str(dim)]) > 1 else 0 for dim in array.dims]
        depth = dict(enumerate(around))
        if any(around):
            data = overlap(data, depth=depth, boundary="none", allow_rechunk=False)
        blocks += [data, array.dims]
    plain, names = {}, []
    for name, value in keywords.items():
        if is_lazy(value):
            names.append(name)
            blocks += [_no_dims(value), ()]
        else:
            plain[name] = number(value)
    cut = tuple(dim for dim in chunks if dim not in (*_PIXELS, *whole))
    index = (*(dim for dim in cut if len(chunks[dim]) > 1 or _all_have(dim, variables)), *_PIXELS)
    # Blocks of dicts: what the kernel found, from which each variable is taken.
    found = da.blockwise(
        _call,
        index,
        *blocks,
        kernel=kernel,
        count=len(arrays),
        names=tuple(names),
        keywords=plain,
        dtype=object,
        meta=np.empty((0,) * len(index), object),
        concatenate=True,
        align_arrays=False,
    )
    data = {}
    for variable in variables:
        dims = variable.dims
        lost = [dim for dim in index if dim not in dims]
        data[variable.name] = da.blockwise(
            _summed if lost else _taken,
            dims,
            found,
            index,
            name_in_block=variable.name,
            new_axes={dim: known[dim] for dim in dims if dim not in index},
            adjust_chunks={dim: chunks[dim] for dim in dims if dim in index},
            dtype=_dtype(variable),
            meta=np.empty((0,) * len(dims), _dtype(variable)),
            concatenate=None,
            align_arrays=False,
        )
    return data


def _dtype(variable: Variable) -> np.dtype[Any]:
    return np.dtype(np.float32 if variable.step is not None else variable.dtype)


def _all_have(dim: str, variables: list[Variable]) -> bool:
    return all(dim in variable.dims for variable in variables)


def _chunks(
    arrays: tuple[xr.DataArray, ...],
    known: Mapping[str, int],
    whole: Mapping[str, str],
    halo: int,
) -> dict[str, tuple[int, ...]]:
    """Return how every dim of the arrays is cut."""
    chunks: dict[str, tuple[int, ...]] = {}
    for array in arrays:
        for dim, cut in (array.chunksizes if is_lazy(array) else {}).items():
            name = str(dim)
            if name in whole and len(cut) > 1:
                raise UemError(
                    f"{array.name or 'array'}: is in {len(cut)} chunks along {name!r}, but "
                    f"{whole[name]}; join them with .chunk({name}=-1)"
                )
            chunks.setdefault(name, cut)
    for array in arrays:
        for dim in array.dims:
            chunks.setdefault(str(dim), (known[str(dim)],))
    for dim in _PIXELS if halo else ():
        from dask.array.overlap import ensure_minimum_chunksize

        if len(chunks[dim]) > 1:
            chunks[dim] = ensure_minimum_chunksize(min(halo, known[dim]), chunks[dim])
    return chunks


def _places(chunks: Mapping[str, tuple[int, ...]], known: Mapping[str, int], halo: int) -> Any:
    import dask.array as da

    edges = [np.cumsum((0, *chunks[dim])).tolist() for dim in _PIXELS]
    places = np.empty([len(edge) - 1 for edge in edges], object)
    for i, j in np.ndindex(places.shape):
        bounds = (("y", edges[0][i], edges[0][i + 1]), ("x", edges[1][j], edges[1][j + 1]))
        places[i, j] = Place.of(Region(bounds), known, halo)
    return da.from_array(places, chunks=1)


def _no_dims(value: Any) -> Any:
    """Return a lazy number or object as an array without dims."""
    import dask.array as da

    if isinstance(value, xr.DataArray):
        return value.data
    return da.from_delayed(value, (), object)


def _call(
    place: np.ndarray,
    *blocks: Any,
    kernel: Kernel,
    count: int,
    names: tuple[str, ...],
    keywords: Mapping[str, Any],
) -> Mapping[str, Any]:
    lazy = {name: number(value) for name, value in zip(names, blocks[count:], strict=True)}
    return kernel(*blocks[:count], place=place.item(), **keywords, **lazy)


def _taken(found: Mapping[str, Any], *, name_in_block: str) -> np.ndarray:
    return np.asarray(found[name_in_block])


def _summed(found: Any, *, name_in_block: str) -> np.ndarray:
    return np.asarray(reduce(add, (block[name_in_block] for block in _flat(found))))


def _flat(found: Any) -> list[Mapping[str, Any]]:
    if isinstance(found, Mapping):
        return [found]
    return [block for part in found for block in _flat(part)]
