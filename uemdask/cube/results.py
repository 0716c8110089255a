"""What each stage found, as it stands in the record of a run.

Later versions may know more and earlier ones less. So a number that no record tells is missed only
by whoever asks for it, and one that no model names is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PrivateAttr, model_validator

from uemdask.cube.contract import STAGES
from uemdask.errors import UemError

Count = Annotated[int, Field(ge=0, le=2**53)]
Two = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
_UNTOLD = object()


def _told() -> Any:
    """Return a field that a record of this version always has."""
    return Field(default=_UNTOLD)


class Results(BaseModel):
    """What a stage found.

    Attributes
    ----------
    warnings : list of str
        What of it is worth a warning.

    Raises
    ------
    UemError
        If the record does not tell an attribute that is asked for.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    _of: tuple[Path, str] = PrivateAttr((Path(), ""))

    warnings: list[str] = []

    def of(self, store: Path, stage: str) -> Results:
        """Return the same as what a stage of a run found: whose results they are is told then."""
        self._of = store, stage
        return self

    def __contains__(self, name: str) -> bool:
        return name in self.model_fields_set

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if value is not _UNTOLD)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if value is _UNTOLD:
            store, stage = self._of
            raise UemError(
                f"{store}: the record of stage '{stage}' tells no {name!r}; make it with "
                f"`only=['{stage}']`"
            )
        return value


class IngestResults(Results):
    """Of ingest: frames, those that are flagged, mean counts of the first, middle and last."""

    frames: Count = _told()
    flagged: Count = _told()
    mean_counts: list[FiniteFloat | None] = []


class AlignResults(Results):
    """Of the alignment.

    Attributes
    ----------
    registered : bool
        Whether frames were brought onto each other.
    followed_share : float
        Share of the frames that were recognised from one to the next.
    unregistered_frames : list of int
        Frames that were not found.
    table_left_px : (float, float, float), optional
        What a user's drift table leaves, see `uemdask.stages.drift_table_check.check_table`.
    bad_pixels : int
        Pixels of the detector that are repaired.
    unlit_share, shaded_share : float
        Shares of the pixels that say nothing, and that no beam reaches.
    lit_level : float
        Typical counts of a lit pixel.
    noise : dict
        See `uemdask.align.Noise`.
    beam_fall : float
        Brightness of the dimmest lit place over the brightest.
    breathing_ghz : float, optional
        Frequency at which the whole field breathes.
    time_zero_ps, time_zero_sd_ps : float, optional
        When the sample was first seen to change, and its standard error.
    time_zero_reason : str
        Why that was not seen.
    """

    registered: bool = True
    followed_share: FiniteFloat = _told()
    unregistered_frames: list[Count] = []
    table_left_px: list[FiniteFloat] | None = None
    bad_pixels: Count = 0
    shaded_share: FiniteFloat = 0.0
    unlit_share: FiniteFloat = 0.0
    lit_level: FiniteFloat = _told()
    noise: dict[Literal["quantum", "read", "offset"], FiniteFloat] = _told()
    beam_fall: FiniteFloat = 1.0
    breathing_ghz: FiniteFloat | None = None
    time_zero_ps: FiniteFloat | None = None
    time_zero_sd_ps: FiniteFloat | None = None
    time_zero_reason: str = ""

    @model_validator(mode="after")
    def _onset_has_its_error(self) -> AlignResults:
        if self.time_zero_ps is not None and self.time_zero_sd_ps is None:
            raise ValueError("time_zero_ps stands without time_zero_sd_ps")
        return self


class BandResult(BaseModel):
    """The frequency band of the wave, GHz, see `uemdask.spectrum.Band`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    low: FiniteFloat
    high: FiniteFloat
    centre: Annotated[FiniteFloat, Field(gt=0)]
    significance: float
    found: bool


class SpectrumResults(Results):
    """Of the temporal spectrum.

    Attributes
    ----------
    band : BandResult
        The frequency band of the wave, GHz.
    noise_level, wave_noise : float
        Noise of a frame over the reference, and what of it is in the wave.
    mean_modulation : list of float
        Mean ratio to the reference, minus 1, of each usable frame.
    wave_power : list of float
        Mean square of the wave of each frame, over the relevant pixels.
    wave_number_px : float
        rad/px.
    wavelength_px : float
        Median over the relevant pixels.
    wave_scale, grey_scale : float
        Of the wave, by which network and optical flow divide.
    binning : int
        Factor by which the grid of the motion is coarser than the pixels: a power of two.
    travel_index, opposed_share, relevant_share : float
        1 where the wave travels; share of the power that runs against it; of the lit pixels those
        that are relevant.
    directional : {"none", "aliased", "all"}
        In which frames what runs against the wave was taken out.
    """

    band: BandResult = _told()
    noise_level: FiniteFloat = _told()
    wave_noise: FiniteFloat = _told()
    mean_modulation: list[FiniteFloat] = _told()
    wave_power: list[FiniteFloat] = _told()
    wave_number_px: FiniteFloat = _told()
    wavelength_px: FiniteFloat = _told()
    wave_scale: FiniteFloat = _told()
    grey_scale: FiniteFloat = _told()
    binning: Literal[1, 2, 4, 8, 16] = _told()
    travel_index: FiniteFloat | None = None
    opposed_share: FiniteFloat = _told()
    relevant_share: FiniteFloat | None = None
    directional: Literal["none", "aliased", "all"] = _told()


class LabelResults(Results):
    """Of the labels: smallest and largest count of the base images."""

    base_range: Two = _told()


class TrainResults(Results):
    """Of the training.

    Attributes
    ----------
    model, model_digest : str
        File of the network, and the digest of its weights.
    training_digest : str
        Of labels, parameters and start; empty where the model was given.
    trained : bool
        Whether it was trained in this campaign.
    start : {"base", "new"}
        Where the training started.
    runs : list of str, optional
        Runs that it was trained on; None where the model was given.
    labels : dict of str to str
        Digests of their labels.
    existing : bool
        Whether it was taken from runs finished before.
    device : str
        Where it was trained, and why there.
    seconds : float, optional
        What that took.
    """

    model: Annotated[str, Field(min_length=1)] = _told()
    model_digest: Annotated[str, Field(min_length=1)] = _told()
    training_digest: str = ""
    trained: bool = False
    start: str = ""
    runs: list[str] | None = None
    labels: dict[str, str] = {}
    existing: bool = False
    device: str = ""
    seconds: FiniteFloat | None = None


class FlowResults(Results):
    """Of the flow, see `uemdask.network.Calibration`; errors of labels where these have a say.

    `reasons` counts the pixels of all pairs by `invalid_reason`.
    """

    model_digest: Annotated[str, Field(min_length=1)] = _told()
    deviation_factor: Two = _told()
    network_factor: Two = _told()
    label_error: Two | None = None
    reasons: dict[str, Count] = {}
    region_error: FiniteFloat = 0.0
    region_turn: FiniteFloat = 0.0


class FeatureResults(Results):
    """Of the features: names of the regions, such without pixels, and sizes and amplitudes.

    `correlation_px` is the distance over which errors of pixels are alike (sigma).
    """

    rois: list[str] = []
    correlation_px: FiniteFloat | None = None
    empty_rois: list[str] = []
    roi_pixels: list[Count] = _told()
    roi_relevant_pixels: list[Count] = _told()
    roi_amplitude: list[FiniteFloat] = _told()


#: The results of each stage; of pairs and modes all is in the store.
RESULTS: dict[str, type[Results]] = dict.fromkeys(STAGES, Results) | {
    "ingest": IngestResults,
    "align": AlignResults,
    "spectrum": SpectrumResults,
    "label": LabelResults,
    "train": TrainResults,
    "flow": FlowResults,
    "feature": FeatureResults,
}
