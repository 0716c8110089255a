"""Where training crops come from: series held in memory, drawn from by numbered random draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from uemdask.errors import UemError
from uemdask.network.amplitude import normalised
from uemdask.network.device import as_tensor
from uemdask.network.process_group import Share

#: Share of crops that lie anywhere in the frame, so the network also sees places without a wave.
ANYWHERE_SHARE = 0.1

#: Least chance of a pair, relative to the average: pairs without confident labels are still seen.
LEAST_CHANCE = 0.05


class Crops(NamedTuple):
    """Crops of ``length`` successive pairs, ready for the network.

    Attributes
    ----------
    frames : tensor of float32, shape (n, length + 1, y, x)
        Successive frames, normalised.
    label : tensor of float32, shape (n, length, 2, y, x), px
        Displacement from each frame to the next.
    confidence : tensor of float32, shape (n, length, y, x)
        Trust in the label, 0..1; 0 where there is none.
    weight : tensor of float32, shape (n, y, x)
        1 at relevant pixels, else 0.
    """

    frames: torch.Tensor
    label: torch.Tensor
    confidence: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True)
class Series:
    """One run, or a block of one, as the network trains on it.

    Attributes
    ----------
    wave : ndarray of float16 or float32, shape (time, y, x)
        Band-passed relative modulation, as in the store.
    scale : float
        The run's `uemdask.network.amplitude.wave_scale`.
    label : ndarray of floating, shape (pair, 2, y, x), px
        Displacement from frame ``frame_from`` to frame ``frame_to``.
    confidence : ndarray, shape (pair, y, x)
        Trust in the label: floating 0..1, or uint8 0..255.
    mask : ndarray of bool, shape (y, x)
        Relevant pixels.
    frame_from, frame_to : ndarray of int, shape (pair,)
        Positions in ``wave``.
    name : str
        What messages call it.

    Raises
    ------
    UemError
        If the arrays do not fit together or the mask is empty.
    """

    wave: npt.NDArray[np.floating]
    scale: float
    label: npt.NDArray[np.floating]
    confidence: npt.NDArray[np.floating] | npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    frame_from: npt.NDArray[np.integer]
    frame_to: npt.NDArray[np.integer]
    name: str = "series"
    relevant: npt.NDArray[np.int32] = field(init=False, repr=False)
    chance: npt.NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        times, *size = self.wave.shape
        pairs = len(self.frame_from)
        wanted = {
            "label": (pairs, 2, *size),
            "confidence": (pairs, *size),
            "mask": tuple(size),
            "frame_to": (pairs,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise UemError(
                    f"{self.name}: {name} has shape {getattr(self, name).shape}, but the wave "
                    f"{self.wave.shape} and {pairs} pairs need {shape}."
                )
        if pairs == 0:
            raise UemError(f"{self.name}: there is no pair of frames to train on.")
        ends = np.concatenate((self.frame_from, self.frame_to))
        if ends.min() < 0 or ends.max() >= times:
            raise UemError(
                f"{self.name}: pairs name frames {ends.min()} to {ends.max()}, but the wave has "
                f"{times} frames."
            )
        relevant = np.flatnonzero(self.mask).astype(np.int32)
        if relevant.size == 0:
            raise UemError(
                f"{self.name}: the mask has no relevant pixel; leave this run out of training."
            )
        # A few thousand pixels say how confident a pair is; reading all would be a full pass.
        sample = relevant[:: max(1, relevant.size // 4096)]
        confident = self.confidence.reshape(pairs, -1)[:, sample].mean(axis=1, dtype=np.float64)
        chance = confident + LEAST_CHANCE * max(confident.mean(), 1e-12)
        # Frozen dataclasses set derived fields this way.
        object.__setattr__(self, "relevant", relevant)
        object.__setattr__(self, "chance", chance)

    @property
    def nbytes(self) -> int:
        """Bytes held: wave, labels, confidence, mask and the list of relevant pixels."""
        arrays = (self.wave, self.label, self.confidence, self.mask, self.relevant)
        return int(sum(array.nbytes for array in arrays))

    def starts(self, length: int) -> npt.NDArray[np.intp]:
        """Return the pairs from which ``length`` pairs follow without a gap, in order."""
        return _starts(self.frame_from, self.frame_to, length)


class _Held:
    """A series on the device where its crops are cut; its arrays on the host are let go."""

    def __init__(self, series: Series, device: torch.device | str) -> None:
        self.wave, self.label, self.confidence, self.mask = (
            as_tensor(array).to(device)
            for array in (series.wave, series.label, series.confidence, series.mask)
        )
        self.nbytes, self.scale = series.nbytes, series.scale
        self.relevant, self.chance = series.relevant, series.chance
        self.frame_from, self.frame_to = series.frame_from, series.frame_to

    def place(
        self, rng: np.random.Generator, starts: npt.NDArray[np.intp], crop: int
    ) -> tuple[int, int, int]:
        """Return the first pair, the first row and the first column of a crop."""
        chance = self.chance[starts]
        pair = int(rng.choice(starts, p=chance / chance.sum()))
        height, width = self.mask.shape
        if rng.random() < ANYWHERE_SHARE:
            row, column = int(rng.integers(height)), int(rng.integers(width))
        else:
            row, column = divmod(int(self.relevant[rng.integers(self.relevant.size)]), width)
        # The chosen pixel falls anywhere in the crop, or all crops would be centred on the mask.
        top = int(np.clip(row - rng.integers(crop), 0, height - crop))
        left = int(np.clip(column - rng.integers(crop), 0, width - crop))
        return pair, top, left

    def cut(self, pair: int, top: int, left: int, *, crop: int, length: int) -> Crops:
        """Return one crop, without the dimension of the batch."""
        window = (slice(top, top + crop), slice(left, left + crop))
        pairs = slice(pair, pair + length)
        order = [int(self.frame_from[pair]), *self.frame_to[pairs].tolist()]
        frames = normalised(torch.stack([self.wave[index][window] for index in order]), self.scale)
        label = self.label[(pairs, slice(None), *window)].to(torch.float32)
        confidence = self.confidence[(pairs, *window)].to(torch.float32)
        if self.confidence.dtype == torch.uint8:
            confidence = confidence / 255.0
        return Crops(frames, label, confidence, self.mask[window].to(torch.float32))


class CropPlace(NamedTuple):
    """Where a crop is: of which series, from which pair, row and column on."""

    series: _Held
    pair: int
    top: int
    left: int


class BatchSource(ABC):
    """Anything that can draw training crops.

    The same generator state must give the same batch: that is what makes a training that was
    killed and resumed equal to one that was not. Draws keep no state between them.
    """

    @abstractmethod
    def windows(
        self, rng: np.random.Generator, count: int, *, crop: int, length: int
    ) -> tuple[list[CropPlace], int]:
        """Return where ``count`` crops are, and their side, at most ``crop`` px."""

    def draw(
        self,
        rng: np.random.Generator,
        count: int,
        *,
        crop: int,
        length: int,
        share: Share | None = None,
    ) -> Crops:
        """Return crops of successive pairs, mostly of relevant pixels and confident pairs.

        Parameters
        ----------
        rng : numpy.random.Generator
            Decides everything.
        count : int
            Number of crops.
        crop : int, px
            Side of the square; less where a series is smaller.
        length : int
            Number of successive pairs.
        share : Share, optional
            Which of the crops are wanted, where other processes have others. The generator is
            used for all of them.

        Returns
        -------
        Crops
            On the device that holds the series.

        Raises
        ------
        UemError
            If no series has so many successive pairs.
        """
        windows, crop = self.windows(rng, count, crop=crop, length=length)
        if share is not None:
            windows = windows[share.begin : share.end]
        cut = [
            series.cut(pair, top, left, crop=crop, length=length)
            for series, pair, top, left in windows
        ]
        frames, label, confidence, weight = (torch.stack(part) for part in zip(*cut, strict=True))
        known = label.isfinite().all(dim=2)
        confidence = torch.where(known, confidence, torch.zeros_like(confidence))
        label = label.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        return Crops(frames, label, confidence * weight[:, None], weight)


class SeriesSource(BatchSource):
    """Draws crops from series that are resident in memory.

    Parameters
    ----------
    series : sequence of Series
        What to draw from; each is chosen as often as any other.
    device : torch.device or str
        Where they are held, and crops are cut.

    Raises
    ------
    UemError
        If there is no series.

    Notes
    -----
    Memory is that of the series (`nbytes`), which are not copied on the CPU: with a
    half-precision wave and labels and uint8 confidence, 7 bytes per pixel and frame. A batch
    adds ``n * crop**2 * (4 * (length + 1) + 12 * length + 4)`` bytes. The caller decides which
    series, or blocks of them, to load.
    """

    def __init__(self, series: Sequence[Series], device: torch.device | str = "cpu") -> None:
        if not series:
            raise UemError("There is no series to train on; every run was left out or failed.")
        self._series = tuple(_Held(one, device) for one in series)
        self._usable: dict[int, list[tuple[_Held, npt.NDArray[np.intp]]]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held by all series."""
        return sum(series.nbytes for series in self._series)

    def windows(
        self, rng: np.random.Generator, count: int, *, crop: int, length: int
    ) -> tuple[list[CropPlace], int]:
        """Return where crops are; the arguments are those of `BatchSource.draw`."""
        if length not in self._usable:  # the same for every step
            found = [(one, _starts(one.frame_from, one.frame_to, length)) for one in self._series]
            self._usable[length] = [(one, starts) for one, starts in found if starts.size]
        usable = self._usable[length]
        if not usable:
            raise UemError(
                f"No series has {length} successive pairs of frames; use shorter baselines."
            )
        crop = min(crop, *(min(series.mask.shape) for series, _ in usable))
        windows = []
        for _ in range(count):
            series, starts = usable[rng.integers(len(usable))]
            windows.append(CropPlace(series, *series.place(rng, starts, crop)))
        return windows, crop


class MixedSource(BatchSource):
    """Draws each batch from several sources in fixed shares.

    Real runs with pseudo-labels and simulated ones with exact truth, for example.

    Parameters
    ----------
    sources : sequence of (BatchSource, float)
        Each source and its share of a batch; shares are scaled to a sum of 1. All hold their
        series on the same device.

    Raises
    ------
    UemError
        If there is no source or a share is not positive.
    """

    def __init__(self, sources: Sequence[tuple[BatchSource, float]]) -> None:
        if not sources or any(share <= 0 for _, share in sources):
            raise UemError("A mixture needs at least one source, and shares above zero.")
        total = sum(share for _, share in sources)
        self.sources = tuple(source for source, _ in sources)
        self.shares = np.array([share / total for _, share in sources])

    def windows(
        self, rng: np.random.Generator, count: int, *, crop: int, length: int
    ) -> tuple[list[CropPlace], int]:
        """Return where crops of all sources are; the arguments are those of `BatchSource.draw`."""
        # Whole crops nearest to the shares; chance decides who gets the ones left over.
        ideal = self.shares * count
        counts = np.floor(ideal).astype(int)
        left = count - int(counts.sum())
        if left:
            rest = ideal - counts
            counts += rng.multinomial(left, rest / rest.sum())
        found = [
            source.windows(rng, int(number), crop=crop, length=length)
            for source, number in zip(self.sources, counts, strict=True)
            if number
        ]
        windows = [window for some, _ in found for window in some]
        return windows, min(size for _, size in found)


def source_of(
    groups: Sequence[tuple[Sequence[Series], float]], device: torch.device | str = "cpu"
) -> BatchSource:
    """Return a source of crops from groups of series, each with its share of a batch."""
    sources = [(SeriesSource(series, device), share) for series, share in groups]
    return sources[0][0] if len(sources) == 1 else MixedSource(sources)


def _starts(
    frame_from: npt.NDArray[np.integer], frame_to: npt.NDArray[np.integer], length: int
) -> npt.NDArray[np.intp]:
    count = len(frame_from) - length + 1
    if count <= 0:
        return np.empty(0, dtype=np.intp)
    joined = np.asarray(frame_to[:-1] == frame_from[1:])
    # A window is whole when all of its length - 1 joints are.
    broken = np.concatenate(([0], np.cumsum(~joined)))
    whole = broken[length - 1 : length - 1 + count] == broken[:count]
    return np.flatnonzero(whole)
