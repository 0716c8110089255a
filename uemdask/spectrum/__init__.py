"""Temporal spectrum of a series: band, peaks, relevant pixels, wave and its phase."""

from uemdask.spectrum.band import Band, band_of_spectrum
from uemdask.spectrum.direction import directional_filter, opposed_power
from uemdask.spectrum.filtering import (
    Direction,
    Directional,
    choose_direction,
    filter_series,
    smoothed,
    travels_over_all,
    wave_noise,
    wave_operator,
)
from uemdask.spectrum.harmonics import (
    frequency_grid,
    harmonic_amplitudes,
    harmonic_operator,
    record_length,
)
from uemdask.spectrum.leakage import leaked_frames
from uemdask.spectrum.mask import clean_mask, false_alarm_rate, noise_threshold, relevant_pixels
from uemdask.spectrum.mean_spectrum import mean_of, statistics_block
from uemdask.spectrum.peak_maps import away_from_edges, judge, peak_block, peak_halo
from uemdask.spectrum.peaks import PeakMap, peak_map, peak_ratio_map
from uemdask.spectrum.phase import (
    local_wavevector,
    mean_wavevector,
    phase_flow,
    travel_index,
    wavelength,
)
from uemdask.spectrum.presence import lasting, sharp_amplitude
from uemdask.spectrum.smoothing import WeightedSmoothing, noise_gain, smooth, smoothing_halo
from uemdask.spectrum.tile_statistics import (
    StatisticsOperator,
    TileStatistics,
    statistics_of_tile,
    statistics_operator,
)
from uemdask.spectrum.wave import (
    aliased_harmonic,
    analytic_wave,
    band_pass_operator,
    band_passed,
    wave_step,
)

__all__ = [
    "Band",
    "Direction",
    "Directional",
    "PeakMap",
    "StatisticsOperator",
    "TileStatistics",
    "WeightedSmoothing",
    "aliased_harmonic",
    "analytic_wave",
    "away_from_edges",
    "band_of_spectrum",
    "band_pass_operator",
    "band_passed",
    "choose_direction",
    "clean_mask",
    "directional_filter",
    "false_alarm_rate",
    "filter_series",
    "frequency_grid",
    "harmonic_amplitudes",
    "harmonic_operator",
    "judge",
    "lasting",
    "leaked_frames",
    "local_wavevector",
    "mean_of",
    "mean_wavevector",
    "noise_gain",
    "noise_threshold",
    "opposed_power",
    "peak_block",
    "peak_halo",
    "peak_map",
    "peak_ratio_map",
    "phase_flow",
    "record_length",
    "relevant_pixels",
    "sharp_amplitude",
    "smooth",
    "smoothed",
    "smoothing_halo",
    "statistics_block",
    "statistics_of_tile",
    "statistics_operator",
    "travel_index",
    "travels_over_all",
    "wave_noise",
    "wave_operator",
    "wave_step",
    "wavelength",
]
