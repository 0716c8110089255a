"""Where training crops come from: series held in memory, drawn from by numbered random draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.network.amplitude import normalise

#: Share of crops that lie anywhere in the frame, so the network also sees places without a wave.
ANYWHERE_SHARE = 0.1

#: Least chance of a pair, relative to the average: pairs without confident labels are still seen.
LEAST_CHANCE = 0.05


@dataclass(frozen=True)
class Batch:
    """Crops of ``length`` successive pairs, ready for the network.

    Attributes
    ----------
    frames : ndarray of float32, shape (n, length + 1, y, x)
        Successive frames, normalised.
    label : ndarray of float32, shape (n, length, 2, y, x), px
        Displacement from each frame to the next.
    confidence : ndarray of float32, shape (n, length, y, x)
        Trust in the label, 0..1; 0 where there is none.
    weight : ndarray of float32, shape (n, y, x)
        1 at relevant pixels, else 0.
    """

    frames: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]


class BatchSource(Protocol):
    """Anything that can draw training crops.

    The same generator state must give the same batch: that is what makes a training that was
    killed and resumed equal to one that was not. Draws keep no state between them.
    """

    def draw(self, rng: np.random.Generator, count: int, *, crop: int, length: int) -> Batch:
        """Return ``count`` crops of ``length`` successive pairs, at most ``crop`` px square."""
        ...


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
        count = len(self.frame_from) - length + 1
        if count <= 0:
            return np.empty(0, dtype=np.intp)
        joined = np.asarray(self.frame_to[:-1] == self.frame_from[1:])
        # A window is whole when all of its length - 1 joints are.
        broken = np.concatenate(([0], np.cumsum(~joined)))
        whole = broken[length - 1 : length - 1 + count] == broken[:count]
        return np.flatnonzero(whole)


class SeriesSource:
    """Draws crops from series that are resident in memory.

    Parameters
    ----------
    series : sequence of Series
        What to draw from; each is chosen as often as any other.

    Raises
    ------
    UemError
        If there is no series.

    Notes
    -----
    Memory is that of the series (`nbytes`), which are kept as given and never copied: with a
    half-precision wave and labels and uint8 confidence, 7 bytes per pixel and frame. A batch
    adds ``n * crop**2 * (4 * (length + 1) + 12 * length + 4)`` bytes. The caller decides which
    series, or blocks of them, to load.
    """

    def __init__(self, series: Sequence[Series]) -> None:
        if not series:
            raise UemError("There is no series to train on; every run was left out or failed.")
        self.series = tuple(series)

    @property
    def nbytes(self) -> int:
        """Bytes held by all series."""
        return sum(series.nbytes for series in self.series)

    def draw(self, rng: np.random.Generator, count: int, *, crop: int, length: int) -> Batch:
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

        Returns
        -------
        Batch

        Raises
        ------
        UemError
            If no series has so many successive pairs.
        """
        usable = [(series, series.starts(length)) for series in self.series]
        usable = [(series, starts) for series, starts in usable if starts.size]
        if not usable:
            raise UemError(
                f"No series has {length} successive pairs of frames; use shorter baselines."
            )
        crop = min(crop, *(min(series.mask.shape) for series, _ in usable))
        crops = [_cut(*usable[rng.integers(len(usable))], rng, crop, length) for _ in range(count)]
        frames, label, confidence, weight = (np.stack(part) for part in zip(*crops, strict=True))
        return Batch(frames, label, confidence, weight)


class MixedSource:
    """Draws each batch from several sources in fixed shares.

    Real runs with pseudo-labels and simulated ones with exact truth, for example.

    Parameters
    ----------
    sources : sequence of (BatchSource, float)
        Each source and its share of a batch; shares are scaled to a sum of 1.

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

    def draw(self, rng: np.random.Generator, count: int, *, crop: int, length: int) -> Batch:
        """Return crops of all sources; the arguments are those of `BatchSource.draw`."""
        # Whole crops nearest to the shares; chance decides who gets the ones left over.
        ideal = self.shares * count
        counts = np.floor(ideal).astype(int)
        left = count - int(counts.sum())
        if left:
            rest = ideal - counts
            counts += rng.multinomial(left, rest / rest.sum())
        batches = [
            source.draw(rng, int(number), crop=crop, length=length)
            for source, number in zip(self.sources, counts, strict=True)
            if number
        ]
        size = min(batch.weight.shape[-1] for batch in batches)
        return Batch(
            *(
                np.concatenate([getattr(batch, name)[..., :size, :size] for batch in batches])
                for name in ("frames", "label", "confidence", "weight")
            )
        )


def _cut(
    series: Series,
    starts: npt.NDArray[np.intp],
    rng: np.random.Generator,
    crop: int,
    length: int,
) -> tuple[npt.NDArray[np.float32], ...]:
    chance = series.chance[starts]
    pair = int(rng.choice(starts, p=chance / chance.sum()))
    height, width = series.mask.shape
    if rng.random() < ANYWHERE_SHARE:
        row, column = int(rng.integers(height)), int(rng.integers(width))
    else:
        row, column = divmod(int(series.relevant[rng.integers(series.relevant.size)]), width)
    # The chosen pixel falls anywhere in the crop, or all crops would be centred on the mask.
    top = int(np.clip(row - rng.integers(crop), 0, height - crop))
    left = int(np.clip(column - rng.integers(crop), 0, width - crop))
    window = (slice(top, top + crop), slice(left, left + crop))

    pairs = slice(pair, pair + length)
    order = [int(series.frame_from[pair]), *series.frame_to[pairs].tolist()]
    frames = normalise(np.stack([series.wave[index][window] for index in order]), series.scale)
    label = series.label[(pairs, slice(None), *window)].astype(np.float32)
    confidence = series.confidence[(pairs, *window)].astype(np.float32)
    if series.confidence.dtype == np.uint8:
        confidence /= 255.0
    weight = series.mask[window].astype(np.float32)
    known = np.isfinite(label).all(axis=1)
    confidence = np.where(known, confidence, 0.0).astype(np.float32) * weight
    label = np.nan_to_num(label, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return frames, label, confidence, weight
