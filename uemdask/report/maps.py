"""Figures of pictures: frames, maps, arrows and the space-time plot. Axes in nm, y downwards."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.quiver import Quiver
from matplotlib.ticker import FuncFormatter

from uemdask.report.arrows import Arrows
from uemdask.report.curves import shade_leaked
from uemdask.report.downsampling import Grid, Motion
from uemdask.report.space_time_slope import SpaceTime
from uemdask.report.style import (
    COLOURS,
    CYCLIC,
    DIVERGING,
    FREQUENCY,
    GREY,
    INK,
    NO_VALUE,
    OUTLINE,
    SEQUENTIAL,
    UNCERTAINTY,
    new_figure,
    robust_range,
    scale_bar,
)

#: Grey of unlit pixels, under the hatching.
_UNLIT = ListedColormap([(0.72, 0.72, 0.72, 1.0)])

_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def _height(grid: Grid, width: float) -> float:
    left, right, bottom, top = grid.field
    return float(np.clip(width * (bottom - top) / (right - left), 0.45 * width, 1.6 * width))


def _map(axes: Axes, image: np.ndarray, grid: Grid, **look: object) -> AxesImage:
    shown = axes.imshow(np.ma.masked_invalid(image), extent=grid.extent, **look)  # type: ignore[arg-type]
    left, right, bottom, top = grid.field
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], facecolor=NO_VALUE)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return shown


def _bar(figure: Figure, shown: AxesImage, axes: Axes, label: str, **look: object) -> None:
    bar = figure.colorbar(shown, ax=axes, label=label, shrink=0.9, aspect=24, pad=0.02, **look)  # type: ignore[arg-type]
    bar.outline.set_visible(False)
    # A log scale writes powers of ten as formulas, which the page's text does not hold.
    bar.ax.yaxis.set_major_formatter(_PLAIN)
    bar.ax.minorticks_off()


def _mask_line(axes: Axes, mask: np.ndarray | None, grid: Grid, colour: str) -> None:
    if mask is not None and mask.any() and not mask.all() and min(mask.shape) > 1:
        axes.contour(grid.x, grid.y, mask.astype(float), [0.5], colors=[colour], linewidths=0.9)


def _unlit(axes: Axes, unlit: np.ndarray | None, grid: Grid) -> None:
    """Hatch what has no light, so that nothing there is taken for a measurement."""
    if unlit is None or not unlit.any() or min(unlit.shape) < 2:
        return
    share = np.ma.masked_where(~unlit, np.ones(unlit.shape))
    axes.imshow(share, extent=grid.extent, cmap=_UNLIT, vmin=0, vmax=1, zorder=2)
    hatched = axes.contourf(
        grid.x, grid.y, unlit.astype(float), [0.5, 1.5], colors="none", hatches=["////"], zorder=3
    )
    hatched.set_edgecolor((0.35, 0.35, 0.35, 0.9))
    hatched.set_linewidth(0)


def outline_path(outline: str) -> Outline | None:
    """Return the path of a GeoJSON outline in nm, or None where it is empty."""
    geometry = json.loads(outline)
    parts = geometry["coordinates"]
    polygons = [parts] if geometry["type"] == "Polygon" else parts
    rings = [np.asarray(ring, float)[:, :2] for polygon in polygons for ring in polygon]
    if not rings:
        return None
    return Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings))


def reference_figure(
    image: np.ndarray,
    grid: Grid,
    *,
    mask: np.ndarray | None = None,
    unlit: np.ndarray | None = None,
    rois: Sequence[tuple[str, str]] = (),
    strip: np.ndarray | None = None,
) -> Figure:
    """Draw the reference with the outline of the relevant pixels, regions and a scale bar.

    Parameters
    ----------
    image : (y, x) float
        Counts.
    grid : Grid
    mask, unlit : (y, x) bool, optional
    rois : sequence of (name, GeoJSON in nm)
    strip : (4, 2) float, optional
        Corners (x, y) of the strip of the space-time plot, nm.
    """
    figure = new_figure(6.4, _height(grid, 5.6))
    axes = figure.subplots()
    low, high = robust_range(image)
    shown = _map(axes, image, grid, cmap=GREY, vmin=low, vmax=high)
    _bar(figure, shown, axes, "counts")
    _unlit(axes, unlit, grid)
    _mask_line(axes, mask, grid, OUTLINE)
    left, right, bottom, top = grid.field
    for i, (name, outline) in enumerate(rois):
        path = outline_path(outline)
        if path is None or name == "mask":
            continue
        colour = COLOURS[i % len(COLOURS)]
        axes.add_patch(PathPatch(path, fill=False, edgecolor="white", linewidth=2.6))
        axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=1.5))
        x, y = path.vertices.min(axis=0)  # type: ignore[union-attr]
        axes.annotate(
            name,
            (float(np.clip(x, left, right)), float(np.clip(y, top, bottom))),
            xytext=(3, -3),
            textcoords="offset points",
            ha="left",
            va="top",
            color="white",
            fontsize=8.5,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
        )
    if strip is not None:
        axes.add_patch(
            Polygon(strip, closed=True, fill=False, edgecolor="white", linewidth=1, linestyle="--")
        )
    scale_bar(axes, grid.field)
    return figure


def peak_figure(
    frequency: np.ndarray,
    amplitude: np.ndarray,
    snr: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    unlit: np.ndarray | None = None,
) -> Figure:
    """Draw frequency (in the mask), amplitude and signal to noise of each pixel's peak."""
    figure = new_figure(11.4, _height(grid, 2.85) + 0.3)
    first, second, third = figure.subplots(1, 3)
    inside = np.where(mask, frequency, np.nan)
    low, high = robust_range(inside)
    shown = _map(first, inside, grid, cmap=FREQUENCY, vmin=low, vmax=high)
    _bar(figure, shown, first, "GHz")
    first.set_title(
        "Peak frequency of relevant pixels" if mask.any() else "Peak frequency: no relevant pixel"
    )
    lit = slice(None) if unlit is None else ~unlit
    _, high = robust_range(amplitude[lit])
    shown = _map(second, 100 * amplitude, grid, cmap=SEQUENTIAL, vmin=0, vmax=100 * high)
    _bar(figure, shown, second, "% of the reference")
    second.set_title("Peak amplitude")
    power = np.where(snr > 0, snr, np.nan)
    low, high = robust_range(power[lit])
    norm = LogNorm(max(low, 1e-3), max(high, 10 * max(low, 1e-3)))
    shown = _map(third, power, grid, cmap=UNCERTAINTY, norm=norm)
    _bar(figure, shown, third, "power of the peak over its noise")
    third.set_title("Peak signal to noise")
    for axes in (first, second, third):
        _unlit(axes, unlit, grid)
    _mask_line(second, mask, grid, "white")
    _mask_line(third, mask, grid, "white")
    scale_bar(first, grid.field)
    return figure


def film_figure(frames: np.ndarray, delays: np.ndarray, grid: Grid) -> Figure:
    """Draw successive frames of the wave on one scale.

    Parameters
    ----------
    frames : (frame, y, x) float
        Relative modulation.
    delays : (frame,) float
        ps.
    grid : Grid
    """
    count = len(frames)
    figure = new_figure(11.4, _height(grid, 10.2 / count) + 0.3)
    row = np.atleast_1d(figure.subplots(1, count))
    limit = 100 * max(abs(v) for v in robust_range(frames, 0.5))
    for axes, frame, delay in zip(row, frames, delays, strict=True):
        shown = _map(axes, 100 * frame, grid, cmap=DIVERGING, vmin=-limit, vmax=limit)
        axes.set_title(f"{delay:g} ps")
    scale_bar(row[0], grid.field) if count <= 4 else None
    bar = figure.colorbar(shown, ax=list(row), label="%", shrink=0.9, aspect=20, pad=0.01)
    bar.outline.set_visible(False)
    return figure


def draw_arrows(axes: Axes, arrows: Arrows) -> Quiver | None:
    """Draw arrows onto a map in nm with y downwards; the longest almost reaches its neighbour."""
    if not len(arrows.x):
        return None
    longest = float(np.hypot(arrows.u, arrows.v).max())
    return axes.quiver(
        arrows.x,
        arrows.y,
        arrows.u,
        arrows.v,
        angles="xy",  # follows the axes, so y downwards is right
        scale_units="xy",
        scale=longest / (0.85 * arrows.spacing),
        pivot="middle",
        color="black",
        edgecolor="white",
        linewidth=0.5,
        width=0.006,
    )


def motion_figure(
    motion: Motion,
    arrows: Arrows,
    mask: np.ndarray,
    grid: Grid,
    unlit: np.ndarray | None = None,
) -> Figure:
    """Draw speed with arrows, direction with its wheel, and the uncertainty of the speed."""
    figure = new_figure(11.4, _height(grid, 3.2) + 0.3)
    first, second, third = figure.subplots(1, 3)
    low, high = robust_range(motion.speed)
    low = 0.0 if low < 0.5 * high else low
    shown = _map(first, motion.speed, grid, cmap=SEQUENTIAL, vmin=low, vmax=high)
    _bar(figure, shown, first, "nm/ps")
    first.set_title("Speed")
    draw_arrows(first, arrows)
    _map(second, motion.angle, grid, cmap=CYCLIC, norm=Normalize(-180, 180))
    second.set_title("Direction of travel")
    wheel(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = 100 * motion.speed_sd / motion.speed
    _, high = robust_range(relative, 2)
    shown = _map(third, relative, grid, cmap=UNCERTAINTY, vmin=0, vmax=max(high, 1.0))
    _bar(figure, shown, third, "% of the speed")
    third.set_title("Stated uncertainty of the speed")
    for axes in (first, second, third):
        _unlit(axes, unlit, grid)
        _mask_line(axes, mask, grid, OUTLINE)
    scale_bar(first, grid.field)
    return figure


def wheel(axes: Axes) -> Axes:
    """Draw the wheel of directions into the upper right corner of a map."""
    inset = axes.inset_axes((0.72, 0.72, 0.19, 0.19))
    edge = np.linspace(-1, 1, 128)
    x, y = np.meshgrid(edge, -edge)  # first row on top
    radius = np.hypot(x, y)
    colours = CYCLIC((np.degrees(np.arctan2(y, x)) + 180) / 360)
    colours[..., 3] = (radius <= 1) & (radius >= 0.45)
    inset.imshow(colours, extent=(-1, 1, -1, 1))
    inset.add_patch(
        Polygon(
            np.stack([np.cos(np.linspace(0, 7, 99)), np.sin(np.linspace(0, 7, 99))], axis=1),
            fill=False,
            edgecolor="white",
            linewidth=1,
        )
    )
    for degrees in (0, 90, 180, -90):
        across, up = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        inset.text(
            1.12 * across,
            1.12 * up,
            f"{degrees}°".replace("-", "−"),
            ha=("right", "center", "left")[round(across) + 1],
            va=("top", "center", "bottom")[round(up) + 1],
            fontsize=7,
            color="black",
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    inset.axis("off")
    return inset


def space_time_figure(
    plot: SpaceTime,
    *,
    speed: float,
    at: float,
    wavelength: float | None,
    period: float,
    leaked: np.ndarray | None = None,
) -> Figure:
    """Draw the wave over delay and distance, with the measured speed as a slope.

    Parameters
    ----------
    plot : SpaceTime
    speed : float
        Of the flow in the strip, nm/ps.
    at : float
        Delay at which it was measured, ps.
    wavelength : float, optional
        Distance between the lines drawn, nm.
    period : float
        ps; the lines reach one and a half to each side.
    leaked : (time,) bool, optional
        Frames of which the wave tells nothing; they are left out and hatched.
    """
    figure = new_figure(11.4, 3.6)
    axes = figure.subplots()
    hidden = np.zeros(len(plot.delay), bool) if leaked is None else leaked
    limit = 100 * max(abs(v) for v in robust_range(plot.values, 0.5))
    shown = axes.pcolormesh(
        plot.delay,
        plot.distance,
        np.ma.masked_invalid(100 * np.where(hidden[:, None], np.nan, plot.values).T),
        cmap=DIVERGING,
        vmin=-limit,
        vmax=limit,
        shading="nearest",
        rasterized=True,
    )
    bar = figure.colorbar(shown, ax=axes, label="modulation / %", aspect=24, pad=0.01)
    bar.outline.set_visible(False)
    known = np.isfinite(plot.values).any(axis=0)
    reach = plot.distance[known] if known.any() else plot.distance
    time = np.array([-1.5 * period, 1.5 * period])
    crest = _crest(plot, at)
    step = wavelength or 2 * float(np.ptp(reach))
    count = int(np.ptp(reach) // step) + 1
    for i in range(-count, count + 1):
        axes.plot(
            at + time,
            crest + i * step + speed * time,
            color="black",
            linewidth=1.6 if i == 0 else 0.9,
            linestyle="-" if i == 0 else (0, (5, 3)),
            path_effects=[withStroke(linewidth=3.6 if i == 0 else 2.4, foreground="white")],
        )
    axes.axvline(0, color=INK, linewidth=0.7, alpha=0.5)
    shade_leaked(axes, plot.delay, hidden)
    axes.set(
        xlabel="delay / ps",
        ylabel="distance along the direction of travel / nm",
        ylim=(float(reach.min()), float(reach.max())),
        xlim=(float(plot.delay[0]), float(plot.delay[-1])),
    )
    return figure


def _crest(plot: SpaceTime, at: float) -> float:
    """Return the distance of the strongest crest at the delay next to `at`."""
    row = plot.values[int(np.argmin(np.abs(plot.delay - at)))]
    middle = np.abs(plot.distance) <= np.abs(plot.distance).max() / 2
    row = np.where(np.isfinite(row) & middle, row, -np.inf)
    return float(plot.distance[int(np.argmax(row))])


def wavelength_figure(
    wavelength: np.ndarray, mask: np.ndarray, grid: Grid, unlit: np.ndarray | None = None
) -> Figure:
    """Draw the local wavelength of the relevant pixels, nm."""
    figure = new_figure(6.4, _height(grid, 5.6))
    axes = figure.subplots()
    inside = np.where(mask, wavelength, np.nan)
    low, high = robust_range(inside, 3)
    shown = _map(axes, inside, grid, cmap=SEQUENTIAL, vmin=low, vmax=high)
    _bar(figure, shown, axes, "wavelength / nm")
    _unlit(axes, unlit, grid)
    scale_bar(axes, grid.field)
    return figure
