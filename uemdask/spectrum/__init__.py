"""Temporal spectrum of a series: band, peaks, relevant pixels, wave and its phase."""

from uemdask.spectrum.band import Band, choose_band
from uemdask.spectrum.direction import directional_filter, opposed_power
from uemdask.spectrum.filtering import (
    TRAVELS_HERE,
    Direction,
    Directional,
    choose_direction,
    filter_series,
    wave_noise,
    wave_operator,
)
from uemdask.spectrum.grid import Cells, Reduction, edge_of, grid_halo
from uemdask.spectrum.harmonics import (
    frequency_grid,
    harmonic_amplitudes,
    harmonic_operator,
    record_length,
)
from uemdask.spectrum.leakage import untold_frames
from uemdask.spectrum.maps import away_from_edges, judge, peak_halo, peak_maps, published_ratio
from uemdask.spectrum.mask import clean_mask, false_alarm_rate, noise_threshold, relevant_pixels
from uemdask.spectrum.mean import mean_of, survey_block
from uemdask.spectrum.peaks import PeakMap, peak_map, peak_ratio_map
from uemdask.spectrum.phase import (
    local_wavevector,
    phase_flow,
    steady_flow,
    travel_index,
    wavelength,
)
from uemdask.spectrum.presence import lasting, sharp_amplitude
from uemdask.spectrum.smoothing import smooth, smoothing_halo
from uemdask.spectrum.survey import (
    SurveyOperator,
    TileSurvey,
    survey_operator,
    survey_tile,
    surveyed,
)
from uemdask.spectrum.wave import (
    aliased_harmonic,
    analytic_wave,
    band_pass_operator,
    band_passed,
    wave_step,
)

__all__ = [
    "TRAVELS_HERE",
    "Band",
    "Cells",
    "Direction",
    "Directional",
    "PeakMap",
    "Reduction",
    "SurveyOperator",
    "TileSurvey",
    "aliased_harmonic",
    "analytic_wave",
    "away_from_edges",
    "band_pass_operator",
    "band_passed",
    "choose_band",
    "choose_direction",
    "clean_mask",
    "directional_filter",
    "edge_of",
    "false_alarm_rate",
    "filter_series",
    "frequency_grid",
    "grid_halo",
    "harmonic_amplitudes",
    "harmonic_operator",
    "judge",
    "lasting",
    "local_wavevector",
    "mean_of",
    "noise_threshold",
    "opposed_power",
    "peak_halo",
    "peak_map",
    "peak_maps",
    "peak_ratio_map",
    "phase_flow",
    "published_ratio",
    "record_length",
    "relevant_pixels",
    "sharp_amplitude",
    "smooth",
    "smoothing_halo",
    "steady_flow",
    "survey_block",
    "survey_operator",
    "survey_tile",
    "surveyed",
    "travel_index",
    "untold_frames",
    "wave_noise",
    "wave_operator",
    "wave_step",
    "wavelength",
]
