"""How figures look: colours that the colour-blind can tell apart, and SVG for light and dark.

Figures are drawn without pyplot, so that nothing is shared between runs. They are saved as SVG with
pictures in them as PNG; lines and text take the colour of the page's text.
"""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

#: Stands for the page's text colour until the figure is saved.
INK = "#0b0c0d"
#: After Okabe and Ito, told apart with any kind of colour vision; the blue is a little lighter,
#: for dark pages.
COLOURS = ("#1A7FC1", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
OUTLINE = "#E69F00"
#: Pixels without a value.
NO_VALUE = (0.5, 0.5, 0.5, 0.18)

#: Angles: four anchors that differ in lightness and in blue against yellow, closed to a ring.
CYCLIC = LinearSegmentedColormap.from_list(
    "uemdask.cyclic",
    [
        (0.0, "#f4c04a"),
        (0.25, "#8c1f4d"),
        (0.5, "#2660a8"),
        (0.75, "#a6dbd0"),
        (1.0, "#f4c04a"),
    ],
)
GREY = mpl.colormaps["gray"]
DIVERGING = mpl.colormaps["RdBu_r"]
SEQUENTIAL = mpl.colormaps["viridis"]
FREQUENCY = mpl.colormaps["cividis"]
UNCERTAINTY = mpl.colormaps["magma"]

_RC: Any = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text: searchable, and in the page's font
    "text.color": INK,
    "text.parse_math": False,  # names of regions may hold a dollar sign
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "image.interpolation": "none",
}
_STYLE = re.compile(r"<style type=.*?</style>", re.DOTALL)
_NAME_SPACE = re.compile(r' xmlns(:xlink)?="[^"]*"|(?<=^)xmlns(:xlink)?="[^"]*"')
_FONT = re.compile(r"font: ((?:bold |italic )?[\d.]+px) [^;\"]*")


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save figures in the page's style within this context."""
    with mpl.rc_context(_RC), warnings.catch_warnings():
        # The reader's browser has its own fonts; that matplotlib's lacks a glyph does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches; half a page is about 5.6 inches wide."""
    return Figure(figsize=(width, height), layout="constrained", dpi=150)


def to_svg(figure: Figure, label: str) -> Markup:
    """Return a figure as SVG to put into a page.

    Parameters
    ----------
    figure : Figure
    label : str
        What the picture shows, for those who cannot see it; unique in the page.
    """
    out = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.hashsalt": label}):
        figure.savefig(out, format="svg", metadata=nothing)
    svg = out.getvalue()
    svg = svg[svg.index("<svg ") + 5 :].replace(INK, "currentColor")
    # A page needs neither the name spaces nor the style, which would hold for all of it.
    svg = _NAME_SPACE.sub("", _STYLE.sub("", svg, count=1), count=3)
    svg = _FONT.sub(r"font: \1 var(--font)", svg)
    # Identifiers are shared by all figures of a page; give each figure its own.
    tag = re.sub(r"\W", "-", label) + "-"
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{tag}", svg)
    opening = str(Markup('<svg role="img" aria-label="{}" ').format(label))
    return Markup(opening + svg.strip())  # noqa: S704 - matplotlib escapes its texts


def to_png(image: np.ndarray, cmap: Colormap, low: float, high: float) -> str:
    """Return an image (y, x) as a PNG in a ``data:`` address."""
    out = io.BytesIO()
    mpl.image.imsave(out, image, cmap=cmap, vmin=low, vmax=high, format="png")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def nice_length(field: float) -> float:
    """Return 1, 2 or 5 times a power of ten: the longest below a quarter of `field`.

    Examples
    --------
    >>> nice_length(768.0), nice_length(4096.0)
    (100.0, 1000.0)
    """
    wanted = field / 4
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * m for m in (5.0, 2.0, 1.0) if power * m <= wanted)


def scale_bar(axes: Axes, field: tuple[float, float, float, float]) -> None:
    """Draw a bar with its length in nm into the lower left corner of a map.

    Parameters
    ----------
    axes : Axes
        In nm.
    field : (left, right, bottom, top)
        Of the frame, nm.
    """
    left, right, bottom, top = field
    width, height = right - left, abs(bottom - top)
    bar = nice_length(width)
    axes.add_patch(
        Rectangle(
            (0.03, 0.03),
            bar / width + 0.04,
            0.1 * max(1.0, width / height),
            transform=axes.transAxes,
            facecolor=(0, 0, 0, 0.6),
            edgecolor="none",
            zorder=5,
        )
    )
    axes.plot(
        [0.05, 0.05 + bar / width],
        [0.05, 0.05],
        transform=axes.transAxes,
        color="white",
        linewidth=3,
        solid_capstyle="butt",
        zorder=6,
    )
    axes.text(
        0.05 + bar / width / 2,
        0.065,
        f"{bar:g} nm",
        transform=axes.transAxes,
        color="white",
        ha="center",
        va="bottom",
        zorder=6,
        fontsize=8.5,
    )


def robust_range(values: np.ndarray, share: float = 1.0) -> tuple[float, float]:
    """Return the percentiles ``share`` and ``100 - share`` of the finite values, never equal."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, [share, 100 - share]))
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-12):
        spread = max(0.05 * abs(high), 1e-9)
        return low - spread, high + spread
    return low, high
