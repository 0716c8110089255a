"""``ds.uem``: what a microscopist asks of a run, lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from uemdask.cube.attributes import structured
from uemdask.cube.store import RECORD
from uemdask.errors import UemError
from uemdask.metadata import read_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_DELAYS = ("time", "pair_time", "time_from", "time_to")
# Whole frames are needed where drift or a line crosses tiles; this many are held at a time.
_FRAMES = 8


@xr.register_dataset_accessor("uem")
class UemAccessor:
    """Methods of a run opened with `uemdask.open_run`. `show` alone computes something.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> left = ds.uem.roi(rectangle={"x": (0, 500), "y": (0, 700)})
    >>> ds.speed.where(left).mean(("y", "x")).dims
    ('pair',)
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def _need(self, *names: str) -> None:
        missing = [name for name in names if name not in self._dataset]
        if missing:
            raise UemError(
                f"{', '.join(missing)}: not in this dataset; run the stage that makes it, "
                f"see 'uemdask info'"
            )

    def metadata(self) -> dict[str, Any]:
        """Return the acquisition metadata, numbers with their units.

        Returns
        -------
        dict
            `uemdask.units.Quantity` in the unit of ``docs/metadata.md``, of the pixel size a pair
            (y, x); text; and what stands under keys that are not in that table. The vendor's own
            tags are in ``ds.attrs["vendor"]``, as JSON text.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> ds.uem.metadata()["beam_energy"].value
        200.0
        """
        return read_metadata(self._dataset.attrs)

    def _record(self, stage: str) -> dict[str, Any]:
        record: dict[str, Any] = structured(self._dataset.attrs.get(RECORD, {}))
        return dict(record.get("stages", {}).get(stage, {}))

    def results(self, stage: str) -> Any:
        """Return what a stage found.

        Parameters
        ----------
        stage : str
            Such as ``align``, ``spectrum`` or ``train``.

        Returns
        -------
        Results
            Of the kind of the stage, see `uemdask.cube.results`. Where the stage is not done it
            tells nothing, and ``"band" in results`` says what it tells.

        Raises
        ------
        UemError
            If there is no such stage, or the record of the run is damaged.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> ds.uem.results("spectrum").band.found
        True
        """
        from uemdask.cube.record import results_of

        path = Path(self._dataset.encoding.get("source", "dataset"))
        return results_of(path, stage, self._record(stage))

    def aligned(self, *, ratio: bool = False) -> xr.DataArray:
        """Return the frames without drift, hot pixels and brightness changes.

        Parameters
        ----------
        ratio : bool
            Give the ratio to the reference minus 1 instead of counts.

        Returns
        -------
        xarray.DataArray, (time, y, x) float32
            Counts at the brightness of the reference, or 1. NaN where a frame did not show the
            pixel, and where there is nothing to form a ratio of.

        Raises
        ------
        UemError
            If the dataset has no frames (an export), or is not aligned yet.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> ds.uem.aligned(ratio=True).dims
        ('time', 'y', 'x')
        """
        by_frame, maps = (
            ("drift", "gain", "gain_slope"),
            ("bad_pixel", "shaded", "passed_light", "unlit", "reference"),
        )
        self._need("intensity", *by_frame, *maps)
        ds = self._dataset
        frames = _whole_frames(ds["intensity"])

        if "dark" in ds:
            frames = frames.astype(np.float32) - ds["dark"].chunk(y=-1, x=-1)

        result = xr.apply_ufunc(
            _correct,
            frames,
            *(
                ds[name].chunk({dim: _FRAMES if dim == "time" else -1 for dim in ds[name].dims})
                for name in by_frame
            ),
            *(ds[name].chunk(y=-1, x=-1) for name in maps),
            kwargs={"ratio": ratio},
            input_core_dims=[
                ["y", "x"],
                ["component"],
                [],
                ["component"],
                *(["y", "x"] for _ in maps),
            ],
            output_core_dims=[["y", "x"]],
            dask="parallelized",
            output_dtypes=[np.float32],
        )
        result.attrs = {
            "units": "1" if ratio else "counts",
            "long_name": "ratio to the reference minus 1" if ratio else "aligned intensity",
        }
        return result.rename("aligned")

    def roi(self, **shape: Any) -> xr.DataArray:
        """Return the pixels of a region of interest.

        Parameters
        ----------
        **shape
            One of ``rectangle``, ``polygon``, ``geojson``, ``mask``, see `uemdask.regions.Roi`.

        Returns
        -------
        xarray.DataArray, (y, x) bool

        Raises
        ------
        FaultsError
            If the shape is not one.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")  # pixels of 12 nm
        >>> int(ds.uem.roi(rectangle={"x": (0, 120), "y": (0, 240)}).sum())
        200
        """
        from uemdask.regions import parse_rois, rasterise

        ds = self._dataset
        region = parse_rois([{"name": "roi"} | shape])[0]
        masks: Mapping[str, np.ndarray] = {}
        if region.mask is not None:
            self._need(region.mask)
            masks = {region.mask: ds[region.mask].values}
        inside = rasterise(region, ds["y"].values, ds["x"].values, masks)
        return xr.DataArray(inside, {"y": ds["y"], "x": ds["x"]}, ("y", "x"), "roi")

    def space_time(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        width: float = 0.0,
        variable: str = "wave",
    ) -> xr.DataArray:
        """Return the space-time plot along a line.

        Shortly before time zero the wave cannot be told: the band-pass carries a trace of what
        comes after into these frames. There the plot of ``wave`` is NaN.

        Parameters
        ----------
        start, end : (x, y)
            Ends of the line in nm.
        width : float
            The profile is averaged over this width across the line, nm.
        variable : str
            What to take along it: ``wave``, ``intensity``, or another (time, y, x) variable.

        Returns
        -------
        xarray.DataArray, (time, distance) float32
            Distance from `start` in nm, true to length along tilted lines.

        Raises
        ------
        UemError
            If the line leaves the image, or the variable is not there.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> plot = ds.uem.space_time((100, 100), (700, 400), width=30)
        >>> plot.dims
        ('time', 'distance')
        >>> float(plot.dropna("time").time[0])
        0.0
        """
        self._need(variable)
        ds = self._dataset
        weights, distance = _line(ds["y"].values, ds["x"].values, start, end, width)
        series = _whole_frames(ds[variable])

        def along(frames: np.ndarray) -> np.ndarray:
            flat = np.asarray(frames, np.float32).reshape(-1, frames.shape[-2] * frames.shape[-1])
            profile = (weights @ flat.T).T
            return profile.reshape(*frames.shape[:-2], -1).astype(np.float32)

        result = xr.apply_ufunc(
            along,
            series,
            input_core_dims=[["y", "x"]],
            output_core_dims=[["distance"]],
            dask="parallelized",
            output_dtypes=[np.float32],
            dask_gufunc_kwargs={"output_sizes": {"distance": len(distance)}},
        )
        result = result.assign_coords(distance=("distance", distance, {"units": "nm"}))
        if variable == "wave":
            result = result.where(~self._untold())
        result.attrs = {"units": ds[variable].attrs.get("units", "1"), "long_name": variable}
        return result.rename("space_time")

    def _untold(self) -> xr.DataArray:
        """Return the frames of which `wave` cannot tell whether there is one."""
        from uemdask.spectrum import untold_frames

        ds, results = self._dataset, self.results("spectrum")
        untold = np.zeros(ds.sizes["time"], bool)
        if "band" in results:
            untold = untold_frames(
                ds["time"].values[ds["frame_ok"].values],
                centre=results.band.centre,
                window=self._record("spectrum")["parameters"]["window"],
                at=ds["time"].values,
            )
        return xr.DataArray(untold, {"time": ds["time"]}, ("time",))

    def features(self) -> pd.DataFrame:
        """Return the feature vectors as a table, one row for each region and pair.

        Returns
        -------
        pandas.DataFrame
            Index ``roi``, ``pair_time``; columns ``time_from`` and ``time_to`` in ps, then each
            feature and, as ``NAME_sd``, its standard deviation. Units are in
            ``table.attrs["units"]``. ``table.to_csv("features.csv")`` writes it.

        Raises
        ------
        UemError
            If the dataset has no features yet.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> table = ds.uem.features()
        >>> table.index.names, list(table)[:3]
        (FrozenList(['roi', 'pair_time']), ['time_from', 'time_to', 'mean_speed'])
        """
        self._need("roi_feature", "roi_feature_sd")
        ds = self._dataset
        names = [str(name) for name in ds["feature"].values]
        columns: dict[str, xr.DataArray] = {}
        for name in names:
            for end, variable in (("", "roi_feature"), ("_sd", "roi_feature_sd")):
                columns[name + end] = ds[variable].sel(feature=name, drop=True)
        table = xr.Dataset(columns).to_dataframe(dim_order=["roi", "pair"]).reset_index()
        table["pair_time"] = (table["time_from"] + table["time_to"]) / 2
        table = table.set_index(["roi", "pair_time"])[["time_from", "time_to", *columns]]
        units = [str(unit) for unit in ds["feature_unit"].values]
        table.attrs["units"] = {"pair_time": "ps", "time_from": "ps", "time_to": "ps"}
        table.attrs["units"] |= dict(zip(names, units, strict=True))
        return table

    def show(self, image: str | xr.DataArray, *, ax: Axes | None = None, **at: Any) -> AxesImage:
        """Draw an image as the microscope displays it: y downwards, lengths true.

        Parameters
        ----------
        image : str or xarray.DataArray
            Name of a variable, or an array that was made from one.
        ax : matplotlib.axes.Axes, optional
            Where to draw.
        **at : optional
            What to choose of the other dims, by coordinate: ``time=140`` or ``pair_time=140``
            for the nearest delay in ps, ``component="x"``.

        Returns
        -------
        matplotlib.image.AxesImage
            For ``set_clim`` and the like.

        Raises
        ------
        UemError
            If the variable or a coordinate is not there, or dims beside y and x are left.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> ds.uem.show("speed", pair_time=52).axes.get_title()
        'pair_time = 52.5 ps'
        """
        array = self._image(image, at)
        # An angle comes round: its ends are one direction.
        options: dict[str, Any] = {}
        if array.attrs.get("units") == "degree":
            options = {"cmap": "twilight", "vmin": -180, "vmax": 180}
        drawn = array.plot.imshow(x="x", y="y", yincrease=False, ax=ax, **options)
        drawn.axes.set_aspect("equal")
        drawn.axes.set_title(
            ", ".join(f"{name} = {float(array[name]):g} ps" for name in at if name in _DELAYS)
        )
        return drawn

    def _image(self, image: str | xr.DataArray, at: Mapping[str, Any]) -> xr.DataArray:
        """Return the chosen image (y, x)."""
        if isinstance(image, str):
            self._need(image)
            image = self._dataset[image]
        for name, value in at.items():
            if name not in image.coords:
                raise UemError(
                    f"{image.name}: has no {name}; choose by {', '.join(map(str, image.coords))}"
                )
            known = image[name].values
            near = known == value
            if known.dtype.kind in "iuf":
                near = np.abs(known - value) == np.abs(known - value).min()
            if not near.any():
                raise UemError(f"{name}: {value!r} is none of {', '.join(map(str, known))}")
            image = image.isel({image[name].dims[0]: int(np.argmax(near))})
        left = [str(dim) for dim in image.dims if dim not in ("y", "x")]
        if left or image.ndim != 2:
            raise UemError(
                f"{image.name}: is no single image, its dims are "
                f"{', '.join(map(str, image.dims))}; choose one of each, such as pair_time=140"
            )
        return image


def _whole_frames(series: xr.DataArray) -> xr.DataArray:
    """Return a series in slabs of whole frames, whatever its chunks."""
    import dask

    # Cut first, then joined: a plain rechunk would read all delays of every tile for one frame.
    count = series.sizes["time"]
    slabs = [series.variable.isel(time=slice(i, i + _FRAMES)) for i in range(0, count, _FRAMES)]
    # Optimised one by one, so that each slab reads its own part of the store: slabs that share a
    # task which reads a whole column are left that way. Nothing is computed.
    slabs = [dask.optimize(slab.chunk(time=-1, y=-1, x=-1))[0] for slab in slabs]
    joined = xr.Variable.concat(slabs, "time")
    return series.chunk(time=_FRAMES, y=-1, x=-1).copy(data=joined.data)


def _correct(
    counts: np.ndarray,
    drift: np.ndarray,
    gain: np.ndarray,
    slope: np.ndarray,
    bad: np.ndarray,
    shaded: np.ndarray,
    passed: np.ndarray,
    unlit: np.ndarray,
    reference: np.ndarray,
    *,
    ratio: bool,
) -> np.ndarray:
    """Align whole frames."""
    from uemdask.align import (
        DARK,
        aligned_frames,
        aligned_ratio,
        even_out,
        lit_level,
        required_halo,
    )

    height, width = counts.shape[-2:]
    halo = required_halo(drift)
    padded = np.pad(counts, ((0, 0), (halo, halo), (halo, halo)))
    shift = drift, gain, np.pad(bad, halo)
    where: dict[str, Any] = {
        "halo": halo,
        "inside": (halo, halo + height, halo, halo + width),
        "shaded": np.pad(shaded, halo),
        "passed": np.pad(passed, halo, constant_values=1),
        "dark_below": DARK * lit_level(np.where(unlit, 0.0, reference)),
    }
    if ratio:
        values = aligned_ratio(padded, reference, *shift, unlit=unlit, **where)
    else:
        values = aligned_frames(padded, *shift, **where)
    even_out(values, slope, (0, 0), (height, width), ratio=ratio)
    return values


def _line(
    y: np.ndarray, x: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float
) -> tuple[Any, np.ndarray]:
    """Return bilinear weights (distance, pixel) of points along a line, and their distances."""
    from scipy.sparse import csr_array

    steps = float(y[1] - y[0]), float(x[1] - x[0])
    step = min(steps)
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    if length == 0:
        raise UemError(f"line: both ends are at {start}; give two points in nm")
    distance = np.arange(0.0, length + step / 2, step)
    across = np.arange(-(width // (2 * step)), width // (2 * step) + 1) * step
    to_x, to_y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    at_x = start[0] + distance[:, None] * to_x - across * to_y
    at_y = start[1] + distance[:, None] * to_y + across * to_x
    column, row = (at_x - x[0]) / steps[1], (at_y - y[0]) / steps[0]
    # Half a pixel beyond the outermost centres is still the image.
    outside = (np.abs(column - (len(x) - 1) / 2) > len(x) / 2) | (
        np.abs(row - (len(y) - 1) / 2) > len(y) / 2
    )
    if outside.any():
        raise UemError(
            f"line: {start} to {end} nm with a width of {width:g} nm leaves the image of "
            f"{len(x) * steps[1]:g} x {len(y) * steps[0]:g} nm; shorten it"
        )
    row, column = np.clip(row, 0, len(y) - 1), np.clip(column, 0, len(x) - 1)
    top, left = (
        np.minimum(row.astype(int), len(y) - 2),
        np.minimum(column.astype(int), len(x) - 2),
    )
    down, right = row - top, column - left
    point = np.broadcast_to(np.arange(len(distance))[:, None], row.shape)
    parts = []
    for dy, wy in ((0, 1 - down), (1, down)):
        for dx, wx in ((0, 1 - right), (1, right)):
            parts.append((wy * wx / len(across), point, (top + dy) * len(x) + left + dx))
    weight, index, pixel = (np.concatenate([p[i].ravel() for p in parts]) for i in range(3))
    shape = (len(distance), len(y) * len(x))
    return csr_array((weight.astype(np.float32), (index, pixel)), shape=shape), distance
