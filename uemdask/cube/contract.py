"""The data contract: names, dims, units and owners of everything in a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from uemdask.errors import FaultsError

#: The stages of a run in the order in which they build on each other.
STAGES = ("ingest", "align", "spectrum", "pairs", "label", "train", "flow", "feature", "mode")

#: Version of the data contract written into every store.
CONTRACT_VERSION = 1

Pattern = Literal["whole", "slab", "tile"]


#: Why a displacement means nothing, as `invalid_reason` has it: the first test that failed.
REASONS = (
    "valid",
    "unlit",
    "irrelevant",  # the series as a whole shows no wave here
    "unmeasurable_pair",  # before time zero, or too long a step
    "absent",  # not there at this time: not come yet, gone, or too weak
    "standing",
    "too_long",  # a wave longer than the field of view
    "ambiguous",  # nearly half a wavelength or more, or no displacement at all
    "contradicted",  # by another estimate
)


@dataclass(frozen=True)
class Variable:
    """One variable or coordinate of a run.

    Attributes
    ----------
    name, dims, dtype, units, long_name
        As they stand in the store; dtype ``"str"`` is Zarr's variable-length string,
        ``"frame"`` the camera's own.
    stage : str
        The stage that owns and writes it.
    pattern : {"whole", "slab", "tile"}
        How it is written: at once; in slabs of frames or pairs; in tiles of y, x for all frames.
    coordinate : bool
        Whether xarray should treat it as a coordinate.
    step : float, optional
        Of a variable that is packed: its ``scale_factor``, where its stage chooses no other.
    missing : int, optional
        Of a variable that is packed: the integer that stands for NaN.
    flags : tuple of str
        Of a variable of codes: what each stands for, from 0 on.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    stage: str
    pattern: Pattern = "whole"
    coordinate: bool = False
    step: float | None = None
    missing: int | None = None
    flags: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, object]:
        """Unit, name and meaning of the values, as they stand in the store."""
        found: dict[str, object] = {"units": self.units, "long_name": self.long_name}
        if self.flags:  # as the CF conventions have it
            codes = list(range(len(self.flags)))
            found |= {"flag_values": codes, "flag_meanings": " ".join(self.flags)}
        return found


def _table(*rows: Variable) -> dict[str, Variable]:
    return {row.name: row for row in rows}


_TYX = ("time", "y", "x")
_PYX = ("pair", "y", "x")
_PCYX = ("pair", "component", "y", "x")
_TCYX = ("time", "component", "y", "x")
_YX = ("y", "x")

#: Every variable of the contract by name.
VARIABLES: dict[str, Variable] = _table(
    # ingest
    Variable("intensity", _TYX, "frame", "counts", "recorded intensity", "ingest", "slab"),
    Variable("time", ("time",), "float64", "ps", "pump-probe delay", "ingest", coordinate=True),
    Variable("y", ("y",), "float64", "nm", "pixel centre, downwards", "ingest", coordinate=True),
    Variable("x", ("x",), "float64", "nm", "pixel centre", "ingest", coordinate=True),
    Variable("frame_ok", ("time",), "bool", "1", "frame is used", "ingest", coordinate=True),
    Variable(
        "frame_flag", ("time",), "str", "1", "why a frame is not used", "ingest", coordinate=True
    ),
    Variable(
        "source_file", ("time",), "str", "1", "file the frame came from", "ingest", coordinate=True
    ),
    Variable(
        "scan_count", ("time",), "int32", "1", "repeated scans averaged", "ingest", coordinate=True
    ),
    Variable("dark", _YX, "float32", "counts", "counts without the beam", "ingest"),
    # align
    Variable(
        "component", ("component",), "str", "1", "vector component", "align", coordinate=True
    ),
    Variable("gain", ("time",), "float64", "1", "brightness factor of the frame", "align"),
    Variable(
        "gain_slope", ("time", "component"), "float64", "1/px",
        "slope of the logarithm of the brightness, of a beam that wanders", "align",
    ),
    Variable(
        "drift",
        ("time", "component"),
        "float64",
        "px",
        "sample drift: frame(r + drift) = reference(r)",
        "align",
    ),
    Variable(
        "drift_sd", ("time", "component"), "float64", "px", "standard error of the drift", "align"
    ),
    Variable("reference", _YX, "float32", "counts", "mean of the frames before time zero", "align"),
    Variable("bad_pixel", _YX, "bool", "1", "hot or dead detector pixel", "align"),
    Variable("shaded", _YX, "bool", "1", "detector pixel that no beam reaches", "align"),
    Variable(
        "passed_light", _YX, "float32", "1", "share of the light that a shade lets pass", "align",
    ),
    Variable("unlit", _YX, "bool", "1", "pixels whose counts say nothing", "align"),
    # spectrum
    Variable(
        "frequency", ("frequency",), "float64", "GHz", "temporal frequency", "spectrum",
        coordinate=True,
    ),
    Variable(
        "spectrum", ("frequency",), "float64", "1", "mean power of the time profiles", "spectrum"
    ),
    Variable(
        "peak_count", ("frequency",), "int64", "1",
        "pixels whose strongest peak is at this frequency", "spectrum",
    ),
    Variable(
        "peak_frequency", _YX, "float32", "GHz", "frequency of the strongest peak in the band",
        "spectrum", "tile",
    ),
    Variable(
        "peak_amplitude", _YX, "float32", "1", "amplitude of the peak, relative to the reference",
        "spectrum", "tile",
    ),
    Variable("peak_phase", _YX, "float32", "rad", "phase of the peak", "spectrum", "tile"),
    Variable(
        "peak_snr", _YX, "float32", "1", "power of the peak over its noise", "spectrum", "tile"
    ),
    Variable(
        "travel_index", _YX, "float32", "1", "1 where the wave travels, 0 where it stands",
        "spectrum", "tile",
    ),
    Variable("wavelength", _YX, "float32", "nm", "local wavelength", "spectrum", "tile"),
    Variable("mask", _YX, "bool", "1", "relevant pixels", "spectrum", "tile"),
    Variable(
        "wave", _TYX, "int16", "1",
        "aligned ratio to the reference minus 1, band-passed and smoothed", "spectrum", "tile",
        step=2.0**-13, missing=-(2**15),
    ),
    # pairs
    Variable(
        "frame_from", ("pair",), "int64", "1", "index of the first frame", "pairs", coordinate=True
    ),
    Variable(
        "frame_to", ("pair",), "int64", "1", "index of the second frame", "pairs", coordinate=True
    ),
    Variable(
        "time_from", ("pair",), "float64", "ps", "delay of the first frame", "pairs",
        coordinate=True,
    ),
    Variable(
        "time_to", ("pair",), "float64", "ps", "delay of the second frame", "pairs",
        coordinate=True,
    ),
    Variable(
        "pair_time", ("pair",), "float64", "ps", "delay in the middle of the pair", "pairs",
        coordinate=True,
    ),
    # label
    Variable(
        "label", _PCYX, "float32", "px", "pseudo-label displacement: first(r) = second(r + label)",
        "label", "slab",
    ),
    Variable(
        "label_confidence", _PYX, "uint8", "1", "confidence of the label", "label", "slab",
        step=1.0 / 255.0,
    ),
    Variable(
        "base_label", _TCYX, "float32", "px",
        "displacement from the reference to the frame; carries modulation, not motion",
        "label", "slab",
    ),
    # flow
    Variable(
        "flow", _PCYX, "float32", "px", "displacement: first(r) = second(r + flow)", "flow", "slab"
    ),
    Variable("flow_sd", _PCYX, "float32", "px", "standard deviation of flow", "flow", "slab"),
    Variable("valid", _PYX, "bool", "1", "where a speed means something", "flow", "slab"),
    Variable(
        "invalid_reason", _PYX, "uint8", "1", "why a speed means nothing", "flow", "slab",
        flags=REASONS,
    ),
    Variable("speed", _PYX, "float32", "nm/ps", "wavefront speed", "flow", "slab"),
    Variable(
        "angle", _PYX, "float32", "degree", "direction, anticlockwise from +x as displayed",
        "flow", "slab",
    ),
    Variable(
        "base_flow", _TCYX, "float32", "px",
        "network displacement from the reference; carries modulation, not motion", "flow", "slab",
    ),
    # feature
    Variable("roi", ("roi",), "str", "1", "region of interest", "feature", coordinate=True),
    Variable("feature", ("feature",), "str", "1", "feature name", "feature", coordinate=True),
    Variable(
        "feature_unit", ("feature",), "str", "1", "unit of the feature", "feature", coordinate=True
    ),
    # No coordinate, so that tables of features do not repeat it in every row.
    Variable("roi_outline", ("roi",), "str", "1", "outline as GeoJSON in nm", "feature"),
    Variable(
        "roi_feature", ("roi", "feature", "pair"), "float64", "see feature_unit",
        "feature vectors", "feature",
    ),
    Variable(
        "roi_feature_sd", ("roi", "feature", "pair"), "float64", "see feature_unit",
        "standard deviation of the feature", "feature",
    ),
    Variable(
        "roi_speed", ("roi",), "float64", "nm/ps", "mean speed of the fronts over trusted delays",
        "feature",
    ),
    Variable(
        "roi_speed_sd", ("roi",), "float64", "nm/ps", "standard error of roi_speed", "feature"
    ),
    Variable(
        "roi_direction", ("roi",), "float64", "degree",
        "mean direction of the fronts, anticlockwise from +x as displayed", "feature",
    ),
    Variable(
        "roi_direction_sd", ("roi",), "float64", "degree", "standard error of roi_direction",
        "feature",
    ),
    Variable(
        "roi_direction_spread", ("roi",), "float64", "degree",
        "circular standard deviation of the directions in the region", "feature",
    ),
    Variable(
        "roi_frequency", ("roi",), "float64", "GHz", "mean frequency over trusted delays",
        "feature",
    ),
    Variable(
        "roi_wavelength", ("roi",), "float64", "nm", "mean wavelength over trusted delays",
        "feature",
    ),
    Variable(
        "roi_delay_first", ("roi",), "float64", "ps", "first delay that roi_speed covers",
        "feature",
    ),
    Variable(
        "roi_delay_last", ("roi",), "float64", "ps", "last delay that roi_speed covers", "feature"
    ),
    Variable(
        "roi_speed_missing", ("roi",), "str", "1", "why there is no roi_speed", "feature"
    ),
    Variable(
        "roi_pair_speed", ("roi", "pair"), "float64", "nm/ps",
        "speed of the fronts in each trusted pair", "feature",
    ),
    # mode
    Variable(
        "mode_class", ("mode_class",), "str", "1", "possible modes", "mode", coordinate=True
    ),
    Variable(
        "roi_travel_index", ("roi",), "float64", "1",
        "1 where the wave of the region travels, 0 where it stands", "mode",
    ),
    Variable(
        "roi_relevant_share", ("roi",), "float64", "1", "share of relevant pixels", "mode"
    ),
    Variable(
        "roi_brightness_share", ("roi",), "float64", "1",
        "share of the variance of the mean brightness that is in the band", "mode",
    ),
    Variable(
        "roi_uniform_share", ("roi",), "float64", "1",
        "share of the power in the band that the whole region has in common", "mode",
    ),
    Variable(
        "roi_travelling_share", ("roi",), "float64", "1",
        "share of the pixels with a valid speed, over a period", "mode",
    ),
    Variable("mode", ("roi",), "str", "1", "most likely mode of motion", "mode"),
    Variable(
        "mode_probability", ("roi", "mode_class"), "float64", "1", "probability of each mode",
        "mode",
    ),
)  # fmt: skip


def variables_of(stage: str) -> list[str]:
    """Return the names of the variables that `stage` owns, coordinates first.

    Examples
    --------
    >>> variables_of("pairs")
    ['frame_from', 'frame_to', 'time_from', 'time_to', 'pair_time']
    """
    own = [v for v in VARIABLES.values() if v.stage == stage]
    return [v.name for v in sorted(own, key=lambda v: not v.coordinate)]


def later_stages(stage: str) -> tuple[str, ...]:
    """Return `stage` and all stages after it."""
    return STAGES[STAGES.index(stage) :]


#: An export has no frames, and few acquisitions have dark images.
_NOT_ALWAYS = ("intensity", "dark")


def faults_of(run: xr.Dataset) -> list[str]:
    """List every way in which a Dataset departs from the data contract.

    Nothing but coordinates is computed. Variables beyond the contract are allowed.

    Returns
    -------
    list of str
        ``name: what was found; what to do``, empty where all is well.
    """
    faults = []
    for name in variables_of("ingest"):
        if name not in run.variables and name not in _NOT_ALWAYS:
            faults.append(f"{name}: missing; ingest the run again")
    for key, found in run.variables.items():
        name = str(key)
        wanted = VARIABLES.get(name)
        if wanted is None:
            continue
        if found.dims != wanted.dims:
            faults.append(f"{name}: dims {found.dims}; the contract says {wanted.dims}")
        units = found.attrs.get("units")
        if units != wanted.units:
            faults.append(f"{name}: units {units!r}; the contract says {wanted.units!r}")
        if not _is_of_type(found, wanted):
            faults.append(f"{name}: dtype {found.dtype}; the contract says {wanted.dtype}")
    faults += coordinate_faults(run)
    return faults


def _is_of_type(found: xr.Variable, wanted: Variable) -> bool:
    if wanted.step is not None:  # packed: floating in xarray, but never half precision
        return found.dtype in (np.float32, np.float64)
    return wanted.dtype in ("str", "frame") or found.dtype == np.dtype(wanted.dtype)


def coordinate_faults(run: xr.Dataset) -> list[str]:
    """List what is wrong with delays and pixel centres."""
    faults = []
    if "time" in run.coords and run["time"].ndim == 1:
        time = run["time"].values
        if not np.all(np.isfinite(time)):
            faults.append("time: has delays that are not finite; give every frame a delay in ps")
        elif np.any(np.diff(time) <= 0):
            faults.append(
                "time: delays do not rise from frame to frame; sort them and merge repeats"
            )
    for name in ("y", "x"):
        if name in run.coords and run[name].ndim == 1 and run.sizes[name] > 1:
            step = np.diff(run[name].values)
            if not (np.all(step > 0) and np.allclose(step, step[0], rtol=1e-6)):
                faults.append(f"{name}: pixel centres are not evenly spaced; write them in nm")
    return faults


def validate(run: xr.Dataset, subject: str = "run") -> None:
    """Raise a `FaultsError` that lists every departure from the data contract at once."""
    faults = faults_of(run)
    if faults:
        raise FaultsError(subject, faults)
