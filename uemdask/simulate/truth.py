"""The exact truth of a simulated acquisition, and its file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from uemdask.errors import FaultsError, UemError

_OPTIONAL = ("strength", "lit")  # truths of others need not tell these


@dataclass(frozen=True, eq=False)
class Truth:
    """What is exactly true of an acquisition, in the reference frame.

    Convention: ``first(r) = second(r + flow(r))`` and ``frame(r + drift) = reference(r)``;
    components are (x, y); y runs downwards.

    Parameters
    ----------
    flow : numpy.ndarray
        (pair, component, y, x) px, float32: displacement of the fronts between successive frames.
        Zero where nothing travels, and for pairs without any wave.
    mask : numpy.ndarray
        (y, x) bool: where the wave has at least half of its full amplitude.
    present : numpy.ndarray
        (pair,) bool: the wave has a quarter of its peak strength or more in both frames.
    strength : numpy.ndarray
        (time, y, x) float16: amplitude of the wave, of its full one; 0 where it has not come yet.
        NaN where the file does not tell.
    lit : numpy.ndarray
        (y, x) bool: light reaches the camera, in half of the frames or more: a fiftieth of the
        full light at least, and no dead pixel. True where the file does not tell.
    drift : numpy.ndarray
        (time, component) px, float64; its mean over the frames before time zero is zero.
    gain : numpy.ndarray
        (time,) float64; its mean over the frames before time zero is one.
    mode : str
        ``travelling``, ``standing``, ``breathing`` or ``none``.
    delays : numpy.ndarray
        (time,) ps, float64.
    pixel_nm : numpy.ndarray
        (2,) pixel size (y, x), nm.
    """

    flow: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    present: npt.NDArray[np.bool_]
    strength: npt.NDArray[np.float16]
    lit: npt.NDArray[np.bool_]
    drift: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]
    mode: str
    delays: npt.NDArray[np.float64]
    pixel_nm: npt.NDArray[np.float64]

    def save(self, path: Path | str) -> None:
        """Write the truth as ``.npz``; no pickle in it.

        Parameters
        ----------
        path : Path or str
            File to write.
        """
        # Level 1 packs smooth flow as well as numpy's level 6 does, in a fraction of the time.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for field in fields(self):
                with archive.open(f"{field.name}.npy", "w", force_zip64=True) as file:
                    array = np.asanyarray(getattr(self, field.name))
                    np.lib.format.write_array(file, array, allow_pickle=False)

    @classmethod
    def load(cls, path: Path | str) -> Truth:
        """Read a truth file.

        Parameters
        ----------
        path : Path or str
            A ``.npz`` file; its ``pixel_nm`` may be one number or (y, x).

        Raises
        ------
        UemError, FaultsError
            If the file is missing, is no ``.npz``, or lacks an array.
        """
        path = Path(path)
        if not path.is_file():
            raise UemError(f"{path}: no such file; name the truth.npz of a simulated acquisition")
        if not zipfile.is_zipfile(path):
            raise UemError(f"{path}: is not a truth file (no .npz archive); simulate it again")
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError, MemoryError) as error:
            raise UemError(f"{path}: is not a truth file ({error}); simulate it again") from error
        wanted = [field.name for field in fields(cls) if field.name not in _OPTIONAL]
        faults = [f"{name}: is missing" for name in wanted if name not in arrays]
        if not faults:
            size = arrays["mask"].shape
            untold = np.float16(np.nan), (arrays["delays"].size, *size)
            arrays.setdefault("strength", np.broadcast_to(*untold))
            arrays.setdefault("lit", np.ones(size, dtype=bool))
            faults = _shape_faults(arrays)
        if faults:
            raise FaultsError(str(path), faults)
        return cls(
            flow=arrays["flow"].astype(np.float32, copy=False),
            mask=arrays["mask"].astype(bool),
            present=arrays["present"].astype(bool),
            strength=arrays["strength"].astype(np.float16, copy=False),
            lit=arrays["lit"].astype(bool),
            drift=arrays["drift"].astype(np.float64),
            gain=arrays["gain"].astype(np.float64),
            mode=str(arrays["mode"]),
            delays=arrays["delays"].astype(np.float64),
            pixel_nm=np.array(np.broadcast_to(arrays["pixel_nm"], (2,)), dtype=np.float64),
        )


def _shape_faults(arrays: dict[str, np.ndarray]) -> list[str]:
    times = arrays["delays"].size
    wanted = {
        "flow": (times - 1, 2, *arrays["mask"].shape),
        "present": (times - 1,),
        "strength": (times, *arrays["mask"].shape),
        "lit": arrays["mask"].shape,
        "drift": (times, 2),
        "gain": (times,),
        "delays": (times,),
    }
    faults = [
        f"{name}: has the shape {arrays[name].shape}; {shape} was expected from delays and mask"
        for name, shape in wanted.items()
        if arrays[name].shape != shape
    ]
    if arrays["pixel_nm"].shape not in ((), (1,), (2,)):
        faults.append(
            f"pixel_nm: has the shape {arrays['pixel_nm'].shape}; give one number or y, x"
        )
    return faults
