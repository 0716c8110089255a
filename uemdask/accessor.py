"""``ds.uem``: what a microscopist asks of a run, lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from uemdask.cube.attributes import structured
from uemdask.cube.required_variables import require_variables
from uemdask.cube.store import RECORD
from uemdask.errors import UemError
from uemdask.metadata import read_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_DELAYS = ("time", "pair_time", "time_from", "time_to")


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
        require_variables(self._dataset, *names)

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
        from uemdask.cube.record_schema import results_of

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
        from uemdask.align import aligned

        return aligned(self._dataset, ratio=ratio)

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
        from uemdask.motion.space_time import space_time

        series = self.wave if variable == "wave" else self._dataset[variable]
        return space_time(series, start, end, width=width)

    @property
    def wave(self) -> xr.DataArray:
        """The wave of a run with the numbers of its making, as `uemdask.band_pass` gives it.

        Examples
        --------
        >>> ds = uemdask.open_run("run.zarr")
        >>> ds.uem.wave.coords["wave_centre"].attrs["units"]
        'GHz'
        """
        self._need("wave")
        from uemdask.spectrum.filtering import Direction, with_facts

        ds, results = self._dataset, self.results("spectrum")
        if "band" not in results:
            return ds["wave"]
        settings = self._record("spectrum")["parameters"]
        direction = Direction(results.directional if "directional" in results else "none")
        return with_facts(
            ds["wave"],
            centre=results.band.centre,
            noise=results.wave_noise if "wave_noise" in results else np.nan,
            smoothing=settings.get("smoothing", np.nan),
            window=settings["window"],
            peaks=ds if "travel_index" in ds else None,
            direction=direction,
            binning=results.binning if "binning" in results else None,
        )

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
