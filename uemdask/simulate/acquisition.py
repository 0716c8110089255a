"""A simulated acquisition: frames one at a time, and their exact truth."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from uemdask.simulate.background import Background, draw_background
from uemdask.simulate.camera import draw_drift, draw_gain, draw_hot_pixels, record
from uemdask.simulate.region import Region, draw_region
from uemdask.simulate.scenarios import Scenario
from uemdask.simulate.truth import Truth
from uemdask.simulate.waves import PlaneWave, RingWave, SpeedLaw, Wave

Array = npt.NDArray[np.float64]

PRESENT = 0.25  # share of the peak strength from which a wave counts as present
RELEVANT = 0.5  # share of the full amplitude from which a pixel counts as relevant

# Streams of chance, so that a change of one thing leaves the others as they were.
_BACKGROUND, _DRIFT, _GAIN, _HOT, _REGION, _PHASE, _FRAME = range(7)


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
    ) -> npt.NDArray[np.uint16]:
        """Record frame ``i`` (y, x), uint16 counts.

        Parameters
        ----------
        i : int
            Which delay.
        scan : int
            Counted from 1; other scans differ in their noise alone.
        shift : (x, y)
            Drift beside that of the acquisition, px.
        """
        stream = (_FRAME, self._index(i)) if scan == 1 else (_FRAME, self._index(i), scan)
        expected = self.expected(i, shift=shift)
        return record(self._chance(*stream), expected, read_noise=self.scenario.read_noise)

    def expected(
        self, i: int, *, shift: tuple[float, float] = (0.0, 0.0)
    ) -> npt.NDArray[np.float32]:
        """Return the expected counts (y, x) of frame ``i``: all but the noise."""
        i = self._index(i)
        drift = self.drift[i] + np.array(shift)
        brightness = self._background(
            self._rows - drift[1], self._columns - drift[0], float(self.delays[i])
        )
        brightness *= 1.0 + self._modulation(i, drift)
        counts = brightness * np.float32(self.scenario.counts * self.gain[i])
        where, extra = self._hot_pixels
        counts.ravel()[where] += extra.astype(np.float32)
        return counts

    def modulation(self, i: int) -> npt.NDArray[np.float32]:
        """Return the wave (y, x) in frame ``i``, of the local mean, in the reference frame."""
        return self._modulation(self._index(i), np.zeros(2))

    def wave_strength(self, i: int) -> npt.NDArray[np.float32]:
        """Return the wave's amplitude (y, x) in frame ``i``, of the local mean; reference frame."""
        return self._amplitude(self._index(i), np.zeros(2))

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
        """Where (y, x) the wave has at least half of its full amplitude, in the reference frame."""
        if self.scenario.mode == "none":
            return np.zeros(self.shape, dtype=bool)
        return np.asarray(self._envelope(np.zeros(2)) >= RELEVANT)

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
        return Truth(
            flow=flow,
            mask=self.mask,
            present=self.present,
            drift=self.drift.copy(),
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
    def _region(self) -> Region:
        s = self.scenario
        return draw_region(self._chance(_REGION), shape=s.shape, coverage=s.wave_coverage)

    @cached_property
    def _hot_pixels(self) -> tuple[npt.NDArray[np.intp], Array]:
        s = self.scenario
        return draw_hot_pixels(self._chance(_HOT), s.shape, count=s.hot_pixels, counts=s.counts)

    @cached_property
    def _strength(self) -> Array:
        """(time,) strength of the wave; for a front the median over the field."""
        s = self.scenario
        if not s.front or s.mode == "none":
            return self._strength_at(self.delays)
        y, x = self._nanometres(np.zeros(2))
        late = self._lateness(y[::4], x[:, ::4])[self.mask[::4, ::4]]
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
        s = self.scenario
        t = float(self.delays[i])
        strength: Array = self._strength[i]
        if s.front and s.modulation > 0.0 and s.mode != "none":
            y, x = self._nanometres(drift)
            strength = self._strength_at(t - self._lateness(y, x))
        if not np.any(strength):
            return np.zeros(self.shape, dtype=np.float32)
        return np.asarray(
            (s.modulation * strength * self._envelope(drift)).astype(np.float32, copy=False)
        )

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
