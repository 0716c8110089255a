"""A simulated acquisition: frames one at a time, and their exact truth."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from uemdask.simulate.background import Background, draw_background
from uemdask.simulate.camera import (
    before_zero,
    draw_dead_pixels,
    draw_drift,
    draw_gain,
    draw_hot_pixels,
    draw_x_rays,
    record,
)
from uemdask.simulate.scenarios import Scenario
from uemdask.simulate.shade import Shade, draw_shade, draw_wander
from uemdask.simulate.truth import Truth
from uemdask.simulate.wave_area import WaveArea, draw_wave_area
from uemdask.simulate.waves import PlaneWave, RingWave, SpeedLaw, Wave

Array = npt.NDArray[np.float64]

PRESENT = 0.25  # share of the peak strength from which a wave counts as present
RELEVANT = 0.5  # share of the full amplitude from which a pixel counts as relevant
LIT = 0.02  # share of the full light from which a pixel of a frame counts as lit

# Streams of chance, so that a change of one thing leaves the others as they were.
_BACKGROUND, _DRIFT, _GAIN, _HOT, _REGION, _PHASE, _FRAME = range(7)
_SHADE, _WANDER, _DEAD, _X_RAYS = range(7, 11)


class Acquisition:
    """A raw acquisition as the microscope would give it. Use :func:`simulate` to make one.

    One frame is computed at a time and depends only on the scenario and its number, so any process
    can compute any frame in any order.

    Parameters
    ----------
    scenario : Scenario
        What to simulate.

    Attributes
    ----------
    scenario : Scenario
        As given.
    delays : numpy.ndarray
        (time,) ps, float64.
    pixel_size : tuple of float
        (y, x), nm.
    drift : numpy.ndarray
        (time, component) px: ``frame(r + drift) = reference(r)``, components (x, y).
    gain : numpy.ndarray
        (time,) brightness factor.
    """

    def __init__(self, scenario: Scenario) -> None:
        s = scenario
        self.scenario = s
        self.delays: Array = np.array(s.delays, dtype=np.float64)
        self.pixel_size = s.pixel_size
        self.drift = draw_drift(
            self._chance(_DRIFT),
            self.delays,
            step=s.drift_step,
            total=s.drift_total,
            jumps=s.drift_jumps,
            jump=s.drift_jump,
        )
        self.gain = draw_gain(
            self._chance(_GAIN),
            self.delays,
            jitter=s.gain_jitter,
            brightness_drift=s.brightness_drift,
        )
        self._rows, self._columns = (np.arange(n) - (n - 1) / 2.0 for n in s.shape)
        offset, echo_offset = self._chance(_PHASE).uniform(0.0, 2.0 * np.pi, 2)
        self.wave = self._wave(float(offset))
        self._echo = self._reflection(float(echo_offset)) if s.echo > 0.0 else None
        knots = np.array(s.strength)
        self._growth = PchipInterpolator(knots[:, 0], knots[:, 1], extrapolate=False)
        y, x = self._nanometres(np.zeros(2))
        self._entry = float(self.wave.distance(x, y).min())

    def __len__(self) -> int:
        return len(self.delays)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of a frame, px."""
        return self.scenario.shape

    @property
    def metadata(self) -> dict[str, str]:
        """Acquisition metadata in the spelling of the store; quantities carry their unit."""
        s = self.scenario
        sizes = [f"{size:g} nm" for size in s.pixel_size]
        return {
            "pixel_size": sizes[0] if sizes[0] == sizes[1] else ", ".join(sizes),
            "time_zero": "0 ps",
            "sample": f"simulated thin crystal, scenario {s.name}, seed {s.seed}",
            "operator": "uemdask simulate",
            "beam_energy": "200 keV",
            "pump_wavelength": "515 nm",
            "pump_fluence": "5 mJ/cm²",
            "repetition_rate": "25 kHz",
            "exposure": "10 s",
            "temperature": "293 K",
        }

    def frame(
        self, i: int, *, scan: int = 1, shift: tuple[float, float] = (0.0, 0.0)
    ) -> npt.NDArray[np.uint16] | npt.NDArray[np.float32]:
        """Record frame ``i`` (y, x), uint16 counts; float32 if it has margins without data.

        Parameters
        ----------
        i : int
            Which delay.
        scan : int
            Counted from 1; other scans differ in their noise alone.
        shift : (x, y)
            Drift beside that of the acquisition, px.
        """
        i, s = self._index(i), self.scenario
        number = (i,) if scan == 1 else (i, scan)
        extra: float | Array = s.defects.offset
        if s.defects.x_rays > 0.0:
            chance = self._chance(_X_RAYS, *number)
            extra += draw_x_rays(chance, s.shape, share=s.defects.x_rays, counts=s.counts)
        counts = record(
            self._chance(_FRAME, *number),
            self._light(i, shift),
            read_noise=s.read_noise,
            dead=self._dead_pixels,
            extra=extra,
        )
        if s.defects.nan_margin:
            return _moved_back(counts, np.rint(self.drift[i] + shift).astype(int))
        return counts

    def expected(
        self, i: int, *, shift: tuple[float, float] = (0.0, 0.0)
    ) -> npt.NDArray[np.float32]:
        """Return the expected counts (y, x) of frame ``i``: all but noise and X-rays."""
        light = self._light(self._index(i), shift)
        light[self._dead_pixels] = 0.0
        return light + np.float32(self.scenario.defects.offset)

    def _light(self, i: int, shift: tuple[float, float]) -> npt.NDArray[np.float32]:
        """Return the expected counts (y, x) that light makes in frame ``i``."""
        s, drift = self.scenario, self.drift[i] + np.array(shift)
        rows, columns = self._rows - drift[1], self._columns - drift[0]
        brightness = self._background(rows, columns, float(self.delays[i]))
        brightness *= 1.0 + self._modulation(i, drift)
        brightness *= self._shade.beam(rows, columns, self._wander[i])
        passed = self._shade.passed(self._rows, self._columns, drift)
        counts = brightness * passed * np.float32(s.counts * self.gain[i])
        counts += (1.0 - passed) * np.float32(s.defects.dark_level)
        where, extra = self._hot_pixels
        counts.ravel()[where] += extra.astype(np.float32)
        return counts

    def modulation(self, i: int) -> npt.NDArray[np.float32]:
        """Return the wave (y, x) in frame ``i``, of the local mean, in the reference frame."""
        return self._modulation(self._index(i), np.zeros(2))

    def wave_strength(self, i: int) -> npt.NDArray[np.float32]:
        """Return the wave's amplitude (y, x) in frame ``i``, of the local mean; reference frame."""
        return np.abs(self._amplitude(self._index(i), np.zeros(2)))

    def flow(self, pair: int) -> npt.NDArray[np.float32]:
        """Return the exact flow (component, y, x) in px from frame ``pair`` to the next one."""
        pair = range(len(self) - 1)[pair]
        out = np.zeros((2, *self.shape), dtype=np.float32)
        ends = self.delays[[pair, pair + 1]]
        if self.scenario.mode != "travelling" or self._strength_at(ends).min() == 0.0:
            return out
        y, x = self._nanometres(np.zeros(2))
        dx, dy = self.wave.displacement(x, y, float(ends[0]), float(ends[1]))
        out[0] = dx / self.pixel_size[1]
        out[1] = dy / self.pixel_size[0]
        return out

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where (y, x) the wave has at least half of its full amplitude, in the reference frame.

        It need not have come, or grown, all over the field at the same time.
        """
        if self.scenario.mode == "none":
            return np.zeros(self.shape, dtype=bool)
        still, last = np.zeros(2), float(self.delays[-1])
        most = np.abs(self._envelope(still) * self._contrast(last, still))
        return np.asarray(most * self._come(*self._nanometres(still)) >= RELEVANT)

    @property
    def lit(self) -> npt.NDArray[np.bool_]:
        """Where (y, x) light reaches the camera in half of the frames or more; reference frame.

        In such a frame the pixel has a fiftieth of the full light, and lies on no dead pixel.
        """
        seen = np.zeros(self.shape, dtype=int)
        height, width = self.shape
        for drift, wander in zip(self.drift, self._wander, strict=True):
            rows, columns = self._rows + drift[1], self._columns + drift[0]
            light = self._shade.passed(rows, columns, drift)
            light *= self._shade.beam(self._rows, self._columns, wander)
            y = np.clip(np.rint(np.arange(height) + drift[1]).astype(int), 0, height - 1)
            x = np.clip(np.rint(np.arange(width) + drift[0]).astype(int), 0, width - 1)
            seen += (light >= LIT) & ~self._dead_pixels[np.ix_(y, x)]
        return np.asarray(2 * seen >= len(self))

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(pair,) the wave has at least a quarter of its peak strength in both frames."""
        enough = self._strength >= PRESENT * self._strength.max()
        enough &= self._strength > 0.0
        return np.asarray(enough[:-1] & enough[1:])

    def truth(self) -> Truth:
        """Return the exact truth of the whole acquisition; holds all flow in memory."""
        flow = np.empty((len(self) - 1, 2, *self.shape), dtype=np.float32)
        for pair in range(len(flow)):
            flow[pair] = self.flow(pair)
        strength = np.empty((len(self), *self.shape), dtype=np.float16)
        full = self.scenario.modulation or 1.0
        for i in range(len(self)):
            strength[i] = self.wave_strength(i) / full
        drift = self.drift.copy()
        if self.scenario.defects.nan_margin:
            drift -= np.rint(drift)
            drift -= drift[before_zero(self.delays)].mean(axis=0)
        return Truth(
            flow=flow,
            mask=self.mask,
            present=self.present,
            strength=strength,
            lit=self.lit,
            drift=drift,
            gain=self.gain.copy(),
            mode=self.scenario.mode,
            delays=self.delays.copy(),
            pixel_nm=np.array(self.pixel_size, dtype=np.float64),
        )

    def _index(self, i: int) -> int:
        return range(len(self))[i]

    def _chance(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.scenario.seed, *stream])

    def _nanometres(self, drift: Array) -> tuple[Array, Array]:
        """Sample positions (y column, x row), nm, of the pixels of a frame drifted by px."""
        y = (self._rows - drift[1])[:, None] * self.pixel_size[0]
        x = (self._columns - drift[0])[None, :] * self.pixel_size[1]
        return y, x

    def _wave(self, offset: float) -> Wave:
        s = self.scenario
        origin = (
            s.origin[0] * s.shape[1] * s.pixel_size[1],
            s.origin[1] * s.shape[0] * s.pixel_size[0],
        )
        speed = SpeedLaw(s.speed, s.speed_excess, s.speed_decay)
        if s.geometry == "ring":
            return RingWave(s.frequency, speed, origin, offset)
        return PlaneWave(s.frequency, speed, origin, offset, angle=s.angle)

    def _reflection(self, offset: float) -> Wave:
        s = self.scenario
        angle = s.angle + 180.0 if s.echo_angle is None else s.echo_angle
        return PlaneWave(s.frequency, self.wave.speed, self.wave.origin, offset, angle=angle)

    @cached_property
    def _background(self) -> Background:
        s = self.scenario
        return draw_background(
            self._chance(_BACKGROUND),
            shape=s.shape,
            texture=s.texture,
            contour_range=s.contour_range,
            contour_shift=s.contour_shift,
            contour_darkening=s.contour_darkening,
            coverage=s.coverage,
        )

    @cached_property
    def _region(self) -> WaveArea:
        s = self.scenario
        return draw_wave_area(self._chance(_REGION), shape=s.shape, coverage=s.wave_coverage)

    @cached_property
    def _shade(self) -> Shade:
        return draw_shade(self._chance(_SHADE), self.scenario.defects, self.shape)

    @cached_property
    def _wander(self) -> Array:
        largest = self.scenario.defects.beam_wander
        return draw_wander(self._chance(_WANDER), len(self), largest=largest)

    @cached_property
    def _dead_pixels(self) -> npt.NDArray[np.bool_]:
        return draw_dead_pixels(self._chance(_DEAD), self.shape, self.scenario.defects)

    @cached_property
    def _hot_pixels(self) -> tuple[npt.NDArray[np.intp], Array]:
        s = self.scenario
        return draw_hot_pixels(self._chance(_HOT), s.shape, count=s.hot_pixels, counts=s.counts)

    @cached_property
    def _strength(self) -> Array:
        """(time,) strength of the wave; for a front the median over the mask."""
        s = self.scenario
        if not s.front or s.mode == "none":
            return self._strength_at(self.delays)
        y, x = self._nanometres(np.zeros(2))
        here = self._envelope(np.zeros(2))[::4, ::4] >= RELEVANT
        late = self._lateness(y[::4], x[:, ::4])[here]
        return np.array([np.median(self._strength_at(t - late)) for t in self.delays])

    def _strength_at(self, t: npt.ArrayLike) -> Array:
        """Share of the full modulation at delay ``t`` (ps)."""
        time = np.asarray(t, dtype=np.float64)
        if self.scenario.modulation == 0.0 or self.scenario.mode == "none":
            return np.zeros_like(time)
        last, share = self.scenario.strength[-1]
        fading = share * np.exp(-np.maximum(time - last, 0.0) / self.scenario.strength_decay)
        growing = np.nan_to_num(self._growth(np.minimum(time, last)))
        return np.where(time < last, growing, fading)

    def _lateness(self, y: Array, x: Array) -> Array:
        """Time (ps) the front needs from the side where it enters the field."""
        return np.asarray((self.wave.distance(x, y) - self._entry) / self.scenario.speed)

    def _packet(self, t: npt.ArrayLike, y: Array, x: Array) -> Array:
        """Envelope (y, x) of a packet whose middle entered the field at time zero."""
        s = self.scenario
        behind = self.wave.distance(x, y) - self._entry - s.group_speed * np.asarray(t)
        return np.asarray(np.exp(-0.5 * (behind / s.packet) ** 2))

    def _come(self, y: Array, x: Array) -> Array:
        """Share (y, x) of the full strength that front or packet reach within the series."""
        s, last = self.scenario, float(self.delays[-1])
        if s.packet > 0.0:
            nearest = (self.wave.distance(x, y) - self._entry) / s.group_speed
            return self._packet(np.clip(nearest, 0.0, max(last, 0.0)), y, x)
        if not s.front:
            return np.ones(1)
        times = np.linspace(min(0.0, last), last, 1000)
        most = np.maximum.accumulate(self._strength_at(times))
        return np.asarray(np.interp(last - self._lateness(y, x), times, most, left=0.0))

    def _contrast(self, t: float, drift: Array) -> npt.NDArray[np.float32]:
        """Sign and strength (y, x) with which the image shows the wave."""
        if not self.scenario.contrast_reversal:
            return np.ones(1, dtype=np.float32)
        return self._background.contrast(self._rows - drift[1], self._columns - drift[0], t)

    def _envelope(self, drift: Array) -> npt.NDArray[np.float32]:
        """Amplitude (y, x) relative to the full one: region, flake and the spread of rings."""
        rows, columns = self._rows - drift[1], self._columns - drift[0]
        envelope = self._background.flake(rows, columns) * self._region(rows, columns)
        if self.scenario.geometry == "ring" and self.scenario.mode != "breathing":
            y, x = self._nanometres(drift)
            # Nothing moves at the defect itself; away from it the ring thins out, though less than
            # 1 / sqrt(r), as the flake guides it.
            radius = self.wave.distance(x, y) / float(self.wave.wavelength(np.inf))
            envelope *= ((1.0 - np.exp(-((2.0 * radius) ** 2))) / (1.0 + 0.06 * radius)).astype(
                np.float32
            )
        return envelope

    def _amplitude(self, i: int, drift: Array) -> npt.NDArray[np.float32]:
        """Amplitude (y, x), of the local mean; negative where the contrast is reversed."""
        s = self.scenario
        t = float(self.delays[i])
        strength: Array = self._strength[i]
        if s.front and s.modulation > 0.0 and s.mode != "none":
            y, x = self._nanometres(drift)
            strength = self._strength_at(t - self._lateness(y, x))
        if not np.any(strength):
            return np.zeros(self.shape, dtype=np.float32)
        if s.packet > 0.0:
            strength = strength * self._packet(t, *self._nanometres(drift))
        amplitude = s.modulation * strength * self._envelope(drift) * self._contrast(t, drift)
        return np.asarray(amplitude.astype(np.float32, copy=False))

    def _modulation(self, i: int, drift: Array) -> npt.NDArray[np.float32]:
        s = self.scenario
        amplitude = self._amplitude(i, drift)
        if not amplitude.any():
            return amplitude
        y, x = self._nanometres(drift)
        t = float(self.delays[i])
        turn = self.wave.angular_frequency * t
        if s.mode == "breathing":
            return amplitude * np.float32(_crests(turn, s.second_harmonic))
        if s.mode == "standing":
            # Two equal waves against each other: fixed nodes, one beat.
            pattern = np.cos(self.wave.phase(x, y, t) + turn).astype(np.float32)
            return amplitude * pattern * np.float32(_crests(turn, s.second_harmonic))
        pattern = _crests(self.wave.phase(x, y, t).astype(np.float32), s.second_harmonic)
        if self._echo is not None:
            echo = self._echo.phase(x, y, t).astype(np.float32)
            pattern += np.float32(s.echo) * _crests(echo, s.second_harmonic)
        return np.asarray(amplitude * pattern)


def _crests(phase: npt.ArrayLike, second_harmonic: float) -> npt.NDArray[np.float32]:
    """Cosine of the phase (rad) with some of its second harmonic, which sharpens the crests."""
    pattern = np.cos(phase)
    if second_harmonic > 0.0:
        pattern = pattern + np.float32(second_harmonic) * np.cos(2.0 * np.asarray(phase))
    return np.asarray(pattern)


def _moved_back(
    counts: npt.NDArray[np.uint16], drift: npt.NDArray[np.int_]
) -> npt.NDArray[np.float32]:
    """Move a frame back by whole pixels (x, y); NaN where nothing was recorded."""
    moved = np.full(counts.shape, np.nan, dtype=np.float32)
    here, there = [], []
    for shift, size in zip(drift[::-1], counts.shape, strict=True):
        here.append(slice(max(-shift, 0), size - max(shift, 0)))
        there.append(slice(max(shift, 0), size - max(-shift, 0)))
    moved[tuple(here)] = counts[tuple(there)]
    return moved


def simulate(scenario: Scenario) -> Acquisition:
    """Simulate a raw acquisition; nothing is computed before a frame is asked for.

    Parameters
    ----------
    scenario : Scenario
        What to simulate, see :func:`scenario` and :func:`random_scenario`.

    Returns
    -------
    Acquisition
        Frames by number, delays, pixel size, metadata and the exact truth.

    Examples
    --------
    >>> from uemdask.simulate import scenario, simulate
    >>> acquisition = simulate(scenario("plane", shape=(64, 48), frames=10))
    >>> acquisition.frame(3).shape, acquisition.truth().flow.shape
    ((64, 48), (9, 2, 64, 48))
    """
    return Acquisition(scenario)
