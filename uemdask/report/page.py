"""The page of one run: headline, sections and provenance, put into the template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup

from uemdask.atomic_write import atomic_write
from uemdask.cube import ONE_WAY, STAGES, Run, mode_statement, with_error
from uemdask.cube.attributes import json_text
from uemdask.cube.store import RECORD
from uemdask.errors import UemError
from uemdask.execution.damage import damages_of_run, describe_damages
from uemdask.printable import printable
from uemdask.report.causes import cause_of
from uemdask.report.checks import checks_of, notes_of, warnings_of
from uemdask.report.report_data import ReportData, StoredHeadline, gather
from uemdask.report.sections import sections_of
from uemdask.report.style import figure_style
from uemdask.version import __version__

_FOLDER = Path(__file__).parent
#: Attributes that are not about the acquisition, or shown elsewhere.
_OTHER = {RECORD, "coordinates", "vendor", "pixel_size_units"}


#: Share by which a speed must change over the delays to be said to.
_CHANGES = 0.05
#: Sign and word of each verdict, so that colour is not all that tells.
_MARKS = {
    "good": ("✓", "fine"),
    "look": ("!", "have a look"),
    "bad": ("✗", "do not trust it yet"),
    "open": ("–", "cannot be told"),
}


#: Blanks between a number and its unit, and around the sign of an error.
_TOGETHER = re.compile(
    r"(?<=[\d°]) (?=(?:nm/ps|nm|ps|GHz|px|°|%|σ|×|±|ms|s|GiB|MiB|keV)(?![\w/]))|(?<=[±×]) (?=\d)"
)


class Number(NamedTuple):
    """One number of the headline."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    main: bool = False


def write_report(run_path: Path, out: Path | None = None) -> Path:
    """Write the page of one run: one HTML file that needs nothing else.

    Parameters
    ----------
    run_path : Path
        The store, with any of its stages done.
    out : Path, optional
        The file; ``NAME.html`` beside the store by default.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    UemError
        If there is no run at `run_path`, or the page cannot be written.
    """
    run_path = Path(run_path)
    out = run_path.with_name(run_path.name.removesuffix(".zarr") + ".html") if out is None else out
    found = report_data_of(Run(run_path))
    write_page(out, render(found))
    return out


def write_page(out: Path, html: str) -> None:
    """Write a page, with the folders it lies in; control characters of names are spelled out.

    Raises
    ------
    UemError
        If it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as file:
            file.write(printable(html).encode())
    except OSError as error:
        raise UemError(
            f"{out}: cannot be written ({error.strerror or error}); name another file or free space"
        ) from error


def report_data_of(run: Run) -> ReportData:
    """Read what a page shows of a run, and judge it."""
    found = gather(run)
    found.checks = checks_of(found)
    found.warnings = [*_damage(run), *warnings_of(found)]
    found.notes = notes_of(found)
    return found


def _damage(run: Run) -> list[str]:
    """Say what of the run is missing, and so wrong or empty on the page."""
    damages = damages_of_run(run)
    if not damages:
        return []
    return [
        f"damaged files: {describe_damages(run.path, damages)}; 'uemdask verify' names all of them"
    ]


def render(found: ReportData) -> str:
    """Return the page of a run as HTML."""
    with figure_style():
        sections = sections_of(found)
    run = found.run
    attributes = dict(run.group.attrs)
    checks = [
        {**check._asdict(), "mark": _MARKS[check.verdict][0], "word": _MARKS[check.verdict][1]}
        for check in found.checks
    ]
    page = {
        "name": found.name,
        "subtitle": _subtitle(attributes, found),
        "warnings": found.warnings,
        "notes": found.notes,
        "missing": found.missing,
        "numbers": numbers_of(found),
        "checks": checks,
        "fine": [check for check in checks if check["verdict"] == "good"],
        "sections": sections,
        "flagged": found.flagged,
        "stages": list(_stages(run)),
        "model": list(_model(found)),
        "acquisition": list(_acquisition(attributes, run)),
        "vendor": (json_text(attributes["vendor"], indent=2) if attributes.get("vendor") else ""),
        "store": run.path.name,
        "run_id": run.record.get("run_id", ""),
        "version": __version__,
        "written": written_now(),
    }
    return template("page.html").render(page=page, style=style_sheet())


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this folder; everything put into it is escaped."""
    loader = jinja2.FileSystemLoader(_FOLDER)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        # The table of a campaign does not wrap its numbers anyway.
        finalize=whole_numbers if name == "page.html" else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def whole_numbers(value: Any) -> Any:
    r"""Keep a number and its unit or error together at the end of a line, with blanks of no break.

    Examples
    --------
    >>> whole_numbers("6.54 ± 0.04 nm/ps, over 50 ps").split(" ")
    ['6.54\xa0±\xa00.04\xa0nm/ps,', 'over', '50\xa0ps']
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _TOGETHER.sub("\N{NO-BREAK SPACE}", value)


def style_sheet() -> Markup:
    """Return the style sheet, to stand in the page itself."""
    return Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def written_now() -> str:
    """Return the time as it stands at the foot of a page."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def measured(value: float, sd: float) -> str:
    """Return a number with its uncertainty as it is typeset on a page.

    Examples
    --------
    >>> measured(-40.02, 0.17)
    '−40.02 ± 0.17'
    """
    return with_error(value, sd).replace("-", "−")


def numbers_of(found: ReportData) -> list[Number]:
    """Return the numbers of the headline that a run has."""
    return [*_speed_numbers(found), *_wave_numbers(found), *_count_numbers(found)]


def _speed_numbers(found: ReportData) -> Iterator[Number]:
    headline = found.headline
    if headline is None:
        if found.features is not None:
            note = "make it with uemdask run --only feature"
            yield Number("Speed", "not made yet", note=note, main=True)
        return
    if not headline.known:
        why = cause_of(found) or headline.missing
        yield Number("Speed", "none", note=f"region {found.main_roi}: {why}", main=True)
        return
    told = np.isfinite(headline.speeds)
    note = (
        f"region {found.main_roi}, mean over {headline.first:g} to {headline.last:g} ps "
        f"({told.sum()} of {len(told)} pairs); ± one standard error"
    )
    first, last = headline.ends
    if abs(last - first) > max(_CHANGES * headline.speed, 4 * headline.speed_sd):
        change = "falls" if last < first else "rises"
        note += f"; it {change} from {first:.3g} to {last:.3g} nm/ps"
    yield Number("Speed", measured(headline.speed, headline.speed_sd), "nm/ps", note, main=True)
    yield _direction(headline)


def _direction(headline: StoredHeadline) -> Number:
    spread = f"± {headline.spread:.2g}°" if headline.spread < 99.5 else "over the whole circle"
    if headline.spread > ONE_WAY:
        note = (
            f"fronts bend or run in rings: directions spread by {spread} about "
            f"{headline.direction:.0f}°, so no single one is theirs"
        )
        return Number("Direction", "many ways", note=note, main=True)
    value = measured(headline.direction, headline.direction_sd)
    note = f"anticlockwise from +x of the image; spread within the region {spread}"
    return Number("Direction", value, "°", note, main=True)


def _wave_numbers(found: ReportData) -> Iterator[Number]:
    band, headline = found.band, found.headline
    known = headline is not None and headline.known
    if band is not None:
        note = f"band {band.low:.1f} to {band.high:.1f} GHz"
        if not band.found:
            note += "; only a guess"
        frequency = headline.frequency if headline is not None and known else band.centre
        yield Number("Frequency", f"{frequency:.2f}", "GHz", note)
    length = found.map_wavelength
    if headline is not None and known:
        note = "mean over the same delays"
        if length is not None:
            note += f"; median of the map {length:.0f} nm"
        yield Number("Wavelength", f"{headline.wavelength:.3g}", "nm", note)
    elif length is not None and band is not None and band.found:
        yield Number("Wavelength", f"{length:.0f}", "nm", "median of the map")
    if found.main_mode is not None:
        mode, probability = found.main_mode
        statement = mode_statement(mode, found.main_travelling_share)
        yield Number("Mode", statement, note=f"probability {probability:.2f}, not calibrated")
    valid = found.main_value("valid_fraction")
    if valid is not None:
        note = f"of the main region at {found.pair_delay:g} ps, its strongest time"
        yield Number("Valid share", f"{100 * valid[0]:.0f}", "%", note)
    share = found.run.results("spectrum").relevant_share
    if share is not None and band is not None:
        note = "of the lit pixels"
        if found.unlit is not None and found.unlit.any():
            note += f"; {found.unlit.mean():.1%} of the frame are unlit"
        yield Number("Relevant pixels", f"{100 * share:.0f}", "%", note)


def _count_numbers(found: ReportData) -> Iterator[Number]:
    note = f"{found.delays[0]:g} to {found.delays[-1]:g} ps, {found.before_zero} before time zero"
    if found.flagged:
        note += f", {len(found.flagged)} flagged"
    yield Number("Frames", str(found.frames), note=note)
    if found.pairs is not None:
        yield Number("Pairs", str(found.pairs), note="successive usable frames")
    sizes, (step_y, step_x) = found.run.sizes, found.run.pixel_size
    pixel = f"{step_x:g} nm" if step_x == step_y else f"{step_x:g} × {step_y:g} nm"
    yield Number("Frame", f"{sizes['x']} × {sizes['y']}", "px", f"pixel {pixel}")


def _subtitle(attributes: Mapping[str, Any], found: ReportData) -> str:
    parts = [str(attributes[key]) for key in ("sample", "operator") if attributes.get(key)]
    for key in ("pump_fluence", "temperature"):
        if attributes.get(key):
            parts.append(f"{key.replace('_', ' ')} {attributes[key]}")
    return " · ".join(parts)


def _stages(run: Run) -> Iterator[dict[str, Any]]:
    for name in STAGES:
        entry = run.stage(name)
        yield {
            "name": name,
            "finished": str(entry.get("finished") or ("begun" if entry else "not done")),
            "version": entry.get("version", ""),
            "digest": entry.get("digest", ""),
            "parameters": list(_flat(entry.get("parameters", {}))),
        }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as ``a.b`` and their value in one line."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif isinstance(value, str):
            yield name, value
        else:
            yield name, json_text(value)


def _model(found: ReportData) -> Iterator[tuple[str, str]]:
    results = found.run.results("train")
    labels = {
        "model": "file",
        "model_digest": "digest",
        "trained": "trained for this campaign",
        "runs": "trained on",
        "device": "device",
        "seconds": "time",
    }
    for key, label in labels.items():
        if key not in results:
            continue
        value = getattr(results, key)
        if key == "runs":
            text = ", ".join(map(str, value))
        elif key == "trained":
            text = "yes" if value else "no"
        else:
            text = f"{value} s" if key == "seconds" else str(value)
        yield label, text


def _acquisition(attributes: Mapping[str, Any], run: Run) -> Iterator[tuple[str, str]]:
    step_y, step_x = run.pixel_size
    yield "pixel size", f"{step_x:g} nm (x), {step_y:g} nm (y)"
    if "intensity" in run:
        yield "stored as", str(run.group["intensity"].dtype)
    for key, value in sorted(attributes.items()):
        if key in _OTHER or key == "pixel_size":
            continue
        text = value if isinstance(value, str) else json_text(value)
        yield key.replace("_", " "), text
