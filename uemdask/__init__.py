"""Numbers from films of coherent phonons in ultrafast electron microscopy.

Functions on xarray objects, lazy on what is lazy; and runs, stores in which a cluster does the same
for many data sets. Functions and submodules are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import xarray as xr

from uemdask.errors import FaultsError, UemError
from uemdask.version import __version__

if TYPE_CHECKING:
    from uemdask.accessor import UemAccessor
    from uemdask.align.frames import aligned
    from uemdask.align.series import estimate_drift, gain, reference
    from uemdask.cube.creation import create_run
    from uemdask.cube.run_dataset import open_run
    from uemdask.execution.python_api import ingest, run_stages
    from uemdask.labels.base_image import estimate_base_labels
    from uemdask.labels.label_estimation import estimate_labels
    from uemdask.labels.pairing import pairs
    from uemdask.motion.space_time import space_time
    from uemdask.motion.speed_angle import fuse_flow, speed_angle
    from uemdask.motion.valid_flow import valid
    from uemdask.network.flow import predict_flow
    from uemdask.nexus import write_nexus
    from uemdask.regions.front_speed import headline
    from uemdask.regions.region_modes import mode
    from uemdask.regions.roi import Roi
    from uemdask.regions.roi_features import roi_features
    from uemdask.signals import from_hyperspy, to_hyperspy
    from uemdask.spectrum.band import Band
    from uemdask.spectrum.filtering import band_pass
    from uemdask.spectrum.mean_spectrum import choose_band, mean_spectrum
    from uemdask.spectrum.peak_maps import peaks
    from uemdask.stages.open_raw import flag_frames, open_raw

_WHERE = {
    "Band": "spectrum.band",
    "Roi": "regions.roi",
    "UemAccessor": "accessor",
    "aligned": "align.frames",
    "band_pass": "spectrum.filtering",
    "choose_band": "spectrum.mean_spectrum",
    "create_run": "cube.creation",
    "estimate_base_labels": "labels.base_image",
    "estimate_drift": "align.series",
    "estimate_labels": "labels.label_estimation",
    "flag_frames": "stages.open_raw",
    "from_hyperspy": "signals",
    "fuse_flow": "motion.speed_angle",
    "gain": "align.series",
    "headline": "regions.front_speed",
    "ingest": "execution.python_api",
    "mean_spectrum": "spectrum.mean_spectrum",
    "mode": "regions.region_modes",
    "open_raw": "stages.open_raw",
    "open_run": "cube.run_dataset",
    "pairs": "labels.pairing",
    "peaks": "spectrum.peak_maps",
    "predict_flow": "network.flow",
    "reference": "align.series",
    "roi_features": "regions.roi_features",
    "run_stages": "execution.python_api",
    "space_time": "motion.space_time",
    "speed_angle": "motion.speed_angle",
    "to_hyperspy": "signals",
    "valid": "motion.valid_flow",
    "invalid_reason": "motion.valid_flow",
    "write_nexus": "nexus",
}

_SUBMODULES = (
    "align", "cube", "errors", "evaluate", "labels", "metadata", "motion", "network", "readers",
    "regions", "report", "simulate", "spectrum", "units",
)  # fmt: skip

__all__ = [
    "Band",
    "FaultsError",
    "Roi",
    "UemAccessor",
    "UemError",
    "__version__",
    "aligned",
    "band_pass",
    "choose_band",
    "create_run",
    "estimate_base_labels",
    "estimate_drift",
    "estimate_labels",
    "flag_frames",
    "from_hyperspy",
    "fuse_flow",
    "gain",
    "headline",
    "ingest",
    "invalid_reason",
    "mean_spectrum",
    "mode",
    "open_raw",
    "open_run",
    "pairs",
    "peaks",
    "predict_flow",
    "reference",
    "roi_features",
    "run_stages",
    "space_time",
    "speed_angle",
    "to_hyperspy",
    "valid",
    "write_nexus",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"uemdask.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'uemdask' has no attribute {name!r}")
    return getattr(import_module(f"uemdask.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, *_SUBMODULES]


@xr.register_dataset_accessor("uem")
def _accessor(dataset: xr.Dataset) -> UemAccessor:
    """Return the methods of a run, see `uemdask.UemAccessor`."""
    from uemdask.accessor import UemAccessor

    return UemAccessor(dataset)
