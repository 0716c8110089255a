"""What keeps light from the camera or spoils its pixels, as options of a scenario."""

from __future__ import annotations

import math
from dataclasses import dataclass

from uemdask.errors import FaultsError

MOST_X_RAYS = 0.01  # share of the pixels: more would no longer be isolated


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Defects of microscope and camera; none by default.

    Aperture and shadow stand still on the camera, the bar moves with the specimen, and the beam
    goes its own way. Dark places and dead pixels carry no wave.

    Parameters
    ----------
    aperture : float
        Diameter of a round aperture, of the smaller side of the frame; 0 for none.
    bar : float
        Width of a bar of the support grid, px; 0 for none.
    shadow : float
        Share of the frame in a soft shadow; 0 for none.
    dark_level : float
        Counts of stray light where aperture, bar or shadow let nothing pass.
    beam_profile : float
        Share to which a Gaussian beam falls at the corners; 1 is an even beam.
    beam_wander : float
        How far the beam goes from its place on the specimen, px, at most.
    dead_columns, dead_rows : tuple of int
        Lines of the camera that see no light, by number; negative ones from the far edge.
    dead_block : int
        Side of a square of the camera that sees no light, px; 0 for none.
    x_rays : float
        Share of the pixels of each frame hit by an X-ray, up to 0.01.
    offset : float
        Pedestal of the camera that is left in the frames, counts.
    nan_margin : bool
        Frames are moved back by the drift in whole pixels, as programs for alignment do; NaN where
        they then have no data.

    Raises
    ------
    FaultsError
        If a value makes no sense; all faults are named at once.

    Examples
    --------
    >>> from uemdask.simulate import scenario
    >>> scenario("plane", defects=Defects(aperture=0.8, dead_columns=(40, 41))).defects.aperture
    0.8
    """

    aperture: float = 0.0
    bar: float = 0.0
    shadow: float = 0.0
    dark_level: float = 0.0
    beam_profile: float = 1.0
    beam_wander: float = 0.0
    dead_columns: tuple[int, ...] = ()
    dead_rows: tuple[int, ...] = ()
    dead_block: int = 0
    x_rays: float = 0.0
    offset: float = 0.0
    nan_margin: bool = False

    def __post_init__(self) -> None:
        faults = []

        def check(good: bool, key: str, advice: str) -> None:
            if not good:
                faults.append(f"{key}: {getattr(self, key)!r} was found; {advice}")

        for key in ("aperture", "bar", "dark_level", "beam_wander", "dead_block", "offset"):
            value = getattr(self, key)
            check(math.isfinite(value) and value >= 0, key, "give a number of at least 0")
        check(0 <= self.shadow < 1, "shadow", "give a share from 0 to below 1")
        check(0 < self.beam_profile <= 1, "beam_profile", "give a share above 0 and up to 1")
        check(0 <= self.x_rays <= MOST_X_RAYS, "x_rays", f"give a share from 0 to {MOST_X_RAYS}")
        if faults:
            raise FaultsError("defects", faults)

    def faults_of_shape(self, shape: tuple[int, int]) -> list[str]:
        """Name what does not fit on a frame of (y, x) px."""
        faults = []
        for key, size in (("dead_rows", shape[0]), ("dead_columns", shape[1])):
            beyond = [line for line in getattr(self, key) if not -size <= line < size]
            if beyond:
                faults.append(
                    f"{key}: {beyond[0]} was found; give numbers from {-size} to {size - 1}"
                )
        if self.dead_block > min(shape):
            faults.append(f"dead_block: {self.dead_block} was found; give at most {min(shape)} px")
        return faults
