"""Sums over regions that can be taken tile by tile and added up.

Everything a feature vector needs is a sum over pixels, or over square blocks of pixels, per region
and pair. So an image is processed in tiles, and only these sums leave a task. The whole image and
its tiles give the same sums as long as tiles start at multiples of `BLOCK_PX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

BLOCK_PX = 16
"""Side of the blocks that velocities are averaged over before their length is taken, px.

Wide against the correlation of the noise (2-4 px), so that the length is hardly biased; narrow
against the bend of the fronts: on a ring of radius 64 px it loses 0.3 % of the speed.
"""

SPEED_BINS = 160
SPEED_EDGES: npt.NDArray[np.float64] = np.geomspace(1e-2, 1e3, SPEED_BINS + 1)
"""Edges of the speed histogram in nm/ps; a bin is 7.5 % wide, the median is read within it."""

QUANTITIES = (
    "pixels",  # pixels of the region
    "valid",  # of them valid
    "flow_x",  # sum of flow, px
    "flow_y",
    "flow_x2",  # sum of squares
    "flow_y2",
    "flow_x_var",  # sum of stated variances, px^2
    "flow_y_var",
    "speed",  # sum of pixel speeds, nm/ps
    "speed2",
    "speed_var",  # sum of stated variances, (nm/ps)^2
    "block_speed",  # sum over blocks of |sum of velocities|, nm/ps
    "cos",  # sums of cos and sin of the angle and of twice the angle
    "sin",
    "cos2",
    "sin2",
    "angle_var",  # sum of stated variances, rad^2
)


@dataclass(frozen=True)
class RoiSums:
    """Sums per region and pair.

    Parameters
    ----------
    sums : ndarray of float64, (quantity, roi, pair)
        In the order of `QUANTITIES`.
    histogram : ndarray of int64, (roi, pair, bin)
        Valid pixels per speed bin (`SPEED_EDGES`).
    stated : bool
        Whether the stated variances were given.
    """

    sums: npt.NDArray[np.float64]
    histogram: npt.NDArray[np.int64]
    stated: bool

    def __getitem__(self, quantity: str) -> npt.NDArray[np.float64]:
        """Give one quantity as (roi, pair)."""
        values: npt.NDArray[np.float64] = self.sums[QUANTITIES.index(quantity)]
        return values

    def __add__(self, other: RoiSums) -> RoiSums:
        """Add the sums of another tile of the same regions and pairs."""
        if self.sums.shape != other.sums.shape or self.stated != other.stated:
            raise UemError(
                f"region sums: found (quantity, roi, pair) of {self.sums.shape} and "
                f"{other.sums.shape}, stated variances {self.stated} and {other.stated}; "
                "only tiles of the same regions and pairs can be added"
            )
        return RoiSums(self.sums + other.sums, self.histogram + other.histogram, self.stated)

    @classmethod
    def concatenate(cls, parts: Sequence[RoiSums]) -> RoiSums:
        """Join the sums of successive slabs of pairs."""
        return cls(
            np.concatenate([part.sums for part in parts], axis=2),
            np.concatenate([part.histogram for part in parts], axis=1),
            all(part.stated for part in parts),
        )

    @classmethod
    def of_tile(
        cls,
        flow: np.ndarray,
        flow_sd: np.ndarray | None,
        speed: np.ndarray,
        angle: np.ndarray,
        valid: np.ndarray,
        rois: np.ndarray,
        *,
        speed_sd: np.ndarray | None = None,
        angle_sd: np.ndarray | None = None,
        origin: tuple[int, int] = (0, 0),
    ) -> RoiSums:
        """Take the sums over one tile.

        Parameters
        ----------
        flow : ndarray, (pair, 2, y, x)
            Displacement in px, components ``[x, y]``.
        flow_sd : ndarray, (pair, 2, y, x), or None
            Its standard deviation in px.
        speed, angle : ndarray, (pair, y, x)
            nm/ps and degree.
        valid : ndarray of bool, (pair, y, x)
            Only these pixels count, besides in the number of pixels. Pixels whose flow, speed or
            angle is not finite do not count as valid.
        rois : ndarray of bool, (roi, y, x)
            Pixels of each region; regions may overlap.
        speed_sd, angle_sd : ndarray, (pair, y, x), optional
            nm/ps and degree, with `flow_sd`.
        origin : tuple of int
            (y, x) of the tile's first pixel in the whole image, px; multiples of `BLOCK_PX` unless
            the tile is the whole image.

        Returns
        -------
        RoiSums

        Raises
        ------
        UemError
            If shapes do not fit or the tile starts inside a block.

        Examples
        --------
        >>> import numpy as np
        >>> ones = np.ones((1, 4, 4))
        >>> flow = np.stack([ones, 0 * ones], axis=1)
        >>> sums = RoiSums.of_tile(flow, None, 2 * ones, 0 * ones, ones > 0, ones > 0)
        >>> sums["valid"], sums["block_speed"]
        (array([[16.]]), array([[32.]]))
        """
        pairs, image = flow.shape[0], flow.shape[-2:]
        expected = (pairs, *image)
        if (
            flow.shape != (pairs, 2, *image)
            or any(array.shape != expected for array in (speed, angle, valid))
            or rois.shape[1:] != image
        ):
            raise UemError(
                f"region features: found flow {flow.shape}, speed {speed.shape}, "
                f"angle {angle.shape}, valid {valid.shape}, rois {rois.shape}; give "
                "(pair, 2, y, x), three (pair, y, x) and (roi, y, x)"
            )
        if origin[0] % BLOCK_PX or origin[1] % BLOCK_PX:
            raise UemError(
                f"region features: the tile starts at {origin} px; "
                f"cut the image at multiples of {BLOCK_PX} px"
            )
        stated = flow_sd is not None and speed_sd is not None and angle_sd is not None
        sums = np.zeros((len(QUANTITIES), len(rois), pairs))
        histogram = np.zeros((len(rois), pairs, SPEED_BINS), np.int64)
        row_blocks, column_blocks = (np.arange(size) // BLOCK_PX for size in image)
        blocks = row_blocks[:, None] * (int(column_blocks[-1]) + 1) + column_blocks[None, :]
        for region, roi in enumerate(rois):
            rows, columns = np.nonzero(roi)
            sums[0, region] = rows.size
            if rows.size == 0:
                continue
            # A region's bounding box is read as one cheap slice, its pixels from there.
            box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            inside, block = roi[box], blocks[box]
            for pair in range(pairs):
                fx, fy = (np.asarray(flow[pair, c][box], np.float64) for c in (0, 1))
                v, theta = (np.asarray(a[pair][box], np.float64) for a in (speed, angle))
                use = inside & valid[pair][box] & np.isfinite(fx + fy + v + theta)
                variances: list[np.ndarray] = []
                if stated:
                    assert flow_sd is not None
                    assert speed_sd is not None
                    assert angle_sd is not None
                    variances = [
                        np.square(np.asarray(a[box], np.float64))
                        for a in (flow_sd[pair, 0], flow_sd[pair, 1], speed_sd[pair])
                    ]
                    variances.append(np.square(np.radians(np.asarray(angle_sd[pair][box], float))))
                    use &= np.isfinite(sum(variances))
                sums[1:, region, pair] = _pixel_sums(
                    fx[use], fy[use], v[use], np.radians(theta[use]), block[use],
                    [a[use] for a in variances],
                )  # fmt: skip
                within = np.clip(v[use], SPEED_EDGES[0], SPEED_EDGES[-1] * (1 - 1e-12))
                histogram[region, pair] = np.histogram(within, SPEED_EDGES)[0]
        return cls(sums, histogram, stated)


def _pixel_sums(
    fx: np.ndarray,
    fy: np.ndarray,
    speed: np.ndarray,
    theta: np.ndarray,
    block: np.ndarray,
    variances: list[np.ndarray],
) -> list[float]:
    """Give all quantities but the first for the valid pixels of one region and pair."""
    cos, sin = np.cos(theta), np.sin(theta)
    velocity_x, velocity_y = (np.bincount(block, speed * part) for part in (cos, sin))
    flow_x_var, flow_y_var, speed_var, angle_var = (
        (float(a.sum()) for a in variances) if variances else (0.0, 0.0, 0.0, 0.0)
    )
    return [
        float(fx.size),
        float(fx.sum()),
        float(fy.sum()),
        float(np.dot(fx, fx)),
        float(np.dot(fy, fy)),
        flow_x_var,
        flow_y_var,
        float(speed.sum()),
        float(np.dot(speed, speed)),
        speed_var,
        float(np.hypot(velocity_x, velocity_y).sum()),
        float(cos.sum()),
        float(sin.sum()),
        float((cos * cos - sin * sin).sum()),
        float(2 * (cos * sin).sum()),
        angle_var,
    ]
