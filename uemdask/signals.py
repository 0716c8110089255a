"""Runs as HyperSpy signals and back, lazily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.attributes import plain_attributes, structured
from uemdask.errors import UemError
from uemdask.metadata import (
    from_hyperspy_metadata,
    from_vendor,
    read_metadata,
    to_hyperspy_metadata,
)
from uemdask.units import parse_delay, parse_length

#: Steps that differ less than this are one step.
_EVEN = 1e-6
_IMAGE = ("y", "x")
_AXES = ("time", "pair", "component", "frequency", "roi", "feature", *_IMAGE)


def to_hyperspy(dataset: xr.Dataset, variable: str = "intensity") -> Any:
    """Return a variable of a run as a HyperSpy signal.

    Images become a ``Signal2D`` that is navigated through delays or pairs, a profile becomes a
    ``Signal1D``. A lazy variable becomes a lazy signal, and no image is computed. Delays that are
    not evenly spaced become a non-uniform axis. Pairs are placed at the delay of their first
    frame.

    Parameters
    ----------
    dataset : xarray.Dataset
        A run opened with `uemdask.open_run`.
    variable : str
        A numeric variable on (y, x), after up to two other dims, or on one dim.

    Returns
    -------
    hyperspy.api.signals.Signal2D or Signal1D
        Axes in ps, nm, GHz as in the run. Acquisition metadata stand in ``metadata``, see
        ``docs/metadata.md``; the vendor's own tags in ``original_metadata``.

    Raises
    ------
    UemError
        If HyperSpy is not installed, or the variable is not there or no image or profile.

    Examples
    --------
    >>> uemdask.to_hyperspy(uemdask.open_run("run.zarr"), "wave").plot()      # doctest: +SKIP
    """
    api = _hyperspy()
    if variable not in dataset.variables:
        raise UemError(
            f"{variable}: not in this dataset; run the stage that makes it, see 'uemdask info'"
        )
    array = dataset[variable]
    image = array.dims[-2:] == _IMAGE
    if not (image or array.ndim == 1) or array.dtype.kind not in "buif":
        dims = ", ".join(map(str, array.dims))
        raise UemError(
            f"{variable}: on ({dims}) as {array.dtype} it is no series of images and no profile; "
            f"name a numeric variable on (y, x) or on one dim"
        )
    signal_dims = _IMAGE if image else array.dims
    axes = [_axis(dataset, str(dim), navigate=dim not in signal_dims) for dim in array.dims]
    facts = array.attrs
    tree = to_hyperspy_metadata(read_metadata(dataset.attrs))
    tree.setdefault("General", {})["title"] = str(facts.get("long_name", variable))
    tree["Signal"] = {"quantity": f"{variable} ({facts.get('units', '1')})"}
    tree.setdefault("Uemdask", {}).update(variable=variable, attributes=dict(facts))
    kind = api.signals.Signal2D if image else api.signals.Signal1D
    signal = kind(
        array.data,
        axes=axes,
        metadata=tree,
        original_metadata=dict(structured(dataset.attrs.get("vendor", {}))),
    )
    return signal.as_lazy() if array.chunks is not None else signal


def _hyperspy() -> Any:
    try:
        import hyperspy.api
    except ImportError as error:
        raise UemError(
            "HyperSpy is not installed here; install it beside uemdask with 'pip install hyperspy'"
        ) from error
    return hyperspy.api


def _axis(dataset: xr.Dataset, dim: str, *, navigate: bool) -> dict[str, Any]:
    """Return the description of an axis, as HyperSpy takes it."""
    size = dataset.sizes[dim]
    source = "time_from" if dim == "pair" else dim
    axis: dict[str, Any] = {"name": dim, "size": size, "navigate": navigate}
    if source not in dataset.coords or dataset[source].dtype.kind not in "iuf":
        return axis | {"scale": 1.0, "offset": 0.0, "units": ""}
    # The delays of pairs are no index and so still on disk; a list of numbers, read here at once.
    values = np.asarray(dataset[source].compute(scheduler="synchronous").values, np.float64)
    axis["units"] = dataset[source].attrs.get("units", "")
    steps = np.diff(values)
    step = float(steps.mean()) if steps.size else 1.0
    if steps.size and np.abs(steps - step).max() > _EVEN * abs(step):
        return axis | {"_type": "DataAxis", "axis": values}
    return axis | {"scale": step, "offset": float(values[0])}


def from_hyperspy(
    signal: Any,
    *,
    variable: str | None = None,
    delays: Sequence[float] | np.ndarray | None = None,
    pixel_size: str | None = None,
) -> xr.Dataset:
    """Return a HyperSpy signal as a dataset with the names and units of a run, lazily.

    Parameters
    ----------
    signal : hyperspy signal
        Images navigated through delays, or what `to_hyperspy` made.
    variable : str, optional
        Name of the variable; else the one it had in uemdask, or ``"intensity"``.
    delays : (time,) sequence of float, optional
        Pump-probe delays in ps, where the navigation axis is not one of time.
    pixel_size : str, optional
        Such as ``"3nm"``, where the image axes have no unit of length.

    Returns
    -------
    xarray.Dataset
        The variable, with `time` in ps, `y` and `x` in nm; acquisition metadata in the
        attributes, the original metadata of the signal in ``vendor``, as JSON text.

    Raises
    ------
    UemError
        If delays or pixel size are not known, or the axes are not those of images or a profile.
    FaultsError
        If the metadata of the signal are not what their names say.

    Examples
    --------
    >>> uemdask.from_hyperspy(hs.load("stack.dm4"), delays=[-5, 0, 5])        # doctest: +SKIP
    """
    axes = sorted(
        (*signal.axes_manager.navigation_axes, *signal.axes_manager.signal_axes),
        key=lambda axis: axis.index_in_array,
    )
    dims = _dims(axes, signal.axes_manager.signal_dimension)
    tree = signal.metadata.as_dictionary()
    ours = tree.get("Uemdask", {})
    name = variable or ours.get("variable", "intensity")
    facts = dict(ours.get("attributes", {})) if name == ours.get("variable") else {}
    vendor = signal.original_metadata.as_dictionary()
    attributes = from_vendor(vendor) | from_hyperspy_metadata(tree)
    coords: dict[str, Any] = {}
    for dim, axis in zip(dims, axes, strict=True):
        if dim == "time":
            coords["time"] = ("time", _delays(axis, delays), {"units": "ps"})
        elif dim == "pair" and _unit(axis):
            coords["time_from"] = ("pair", _delays(axis, None), {"units": "ps"})
        elif dim in _IMAGE:
            coords[dim] = (dim, _centres(axis, pixel_size), {"units": "nm"})
        elif dim == "component" and axis.size == 2:
            coords[dim] = (dim, np.array(["x", "y"], object))
        elif _unit(axis):
            coords[dim] = (dim, np.array(axis.axis, np.float64), {"units": _unit(axis)})
    if vendor:
        attributes["vendor"] = vendor
    if all(dim in coords for dim in _IMAGE):
        attributes["pixel_size"] = [_step(coords[dim][1]) for dim in _IMAGE]
        attributes["pixel_size_units"] = "nm"
    return xr.Dataset({name: (dims, signal.data, facts)}, coords, plain_attributes(attributes))


def _dims(axes: Sequence[Any], signal_dimension: int) -> list[str]:
    """Return what the axes are in a run, by their name or place."""
    dims = [axis.name if isinstance(axis.name, str) else "" for axis in axes]
    if signal_dimension == 2:
        dims[-2:] = _IMAGE
        if len(dims) == 3 and dims[0] not in _AXES:
            dims[0] = "time"
    if len(set(dims)) < len(dims) or not set(dims) <= set(_AXES):
        raise UemError(
            f"signal: axes {', '.join(map(repr, dims))} are not those of a run; name them "
            f"'time', 'y' and 'x', with the images as the signal"
        )
    return dims


def _unit(axis: Any) -> str:
    return axis.units.strip() if isinstance(axis.units, str) else ""


def _delays(axis: Any, given: Sequence[float] | np.ndarray | None) -> np.ndarray:
    if given is not None:
        delays = np.asarray(given, np.float64)
        if delays.shape != (axis.size,):
            raise UemError(f"delays: {delays.size} for {axis.size} frames; give one per frame")
        return delays
    unit = _unit(axis)
    try:
        if not unit:
            raise UemError("")
        size = parse_delay(f"1{unit}")
    except UemError:
        raise UemError(
            f"signal: axis {axis.name} is in {unit or 'no unit'}, which is no unit of time; "
            f"give delays=[...] in ps"
        ) from None
    return np.array(axis.axis, np.float64) * size


def _centres(axis: Any, pixel_size: str | None) -> np.ndarray:
    if pixel_size is not None:
        return (np.arange(axis.size) + 0.5) * parse_length(pixel_size, what="pixel size")
    unit = _unit(axis)
    try:
        if not unit or not axis.is_uniform:
            raise UemError("")
        size = parse_length(f"1{unit}")
    except UemError:
        raise UemError(
            f"signal: axis {axis.name} is in {unit or 'no unit'} and not an even one of length; "
            f"give pixel_size='3nm'"
        ) from None
    return np.array(axis.axis, np.float64) * size


def _step(centres: np.ndarray) -> float:
    return float(centres[1] - centres[0]) if len(centres) > 1 else float(centres[0] * 2)
