"""The page of one run: headline, sections and provenance, put into the template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from uemdask.cube import STAGES, Run
from uemdask.cube.store import RECORD
from uemdask.durable import replaced
from uemdask.errors import UemError
from uemdask.execution.damage import damages_of_run, told
from uemdask.report.checks import checks_of, notes_of, warnings_of
from uemdask.report.findings import Findings, gather
from uemdask.report.sections import sections_of
from uemdask.report.style import figure_style
from uemdask.version import __version__

_FOLDER = Path(__file__).parent
#: Attributes that are not about the acquisition, or shown elsewhere.
_OTHER = {RECORD, "coordinates", "vendor", "pixel_size_units"}


#: Coherence below which a mean direction hides that the fronts go many ways.
_ONE_WAY = 0.7
#: Sign and word of each verdict, so that colour is not all that tells.
_MARKS = {
    "good": ("✓", "fine"),
    "look": ("!", "have a look"),
    "bad": ("✗", "do not trust it yet"),
    "open": ("–", "cannot be told"),
}


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
    found = findings_of(Run(run_path))
    write_page(out, render(found))
    return out


def write_page(out: Path, html: str) -> None:
    """Write a page, with the folders it lies in.

    Raises
    ------
    UemError
        If it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replaced(out) as file:
            file.write(html.encode())
    except OSError as error:
        raise UemError(
            f"{out}: cannot be written ({error.strerror or error}); name another file or free space"
        ) from error


def findings_of(run: Run) -> Findings:
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
    return [f"damaged files: {told(run.path, damages)}; 'uemdask verify' names all of them"]


def render(found: Findings) -> str:
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
        "vendor": (
            json.dumps(attributes["vendor"], indent=2, ensure_ascii=False, default=str)
            if attributes.get("vendor")
            else ""
        ),
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
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def style_sheet() -> Markup:
    """Return the style sheet, to stand in the page itself."""
    return Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def written_now() -> str:
    """Return the time as it stands at the foot of a page."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def with_error(value: float, sd: float) -> str:
    """Return a number with its uncertainty, to the digits that the uncertainty allows.

    Examples
    --------
    >>> with_error(1.9442, 0.0231), with_error(33.5, 1.24), with_error(5.0, float("nan"))
    ('1.944 ± 0.023', '33.5 ± 1.2', '5')
    """
    if not sd > 0 or sd == float("inf"):
        return f"{value:.3g}".replace("-", "−")
    leading = int(f"{sd:.1e}".split("e")[1])
    digits = min(max(1 - leading, 0), 4)
    return f"{value:.{digits}f} ± {sd:.{digits}f}".replace("-", "−")


def numbers_of(found: Findings) -> list[Number]:
    """Return the numbers of the headline that a run has."""
    return [*_speed_numbers(found), *_wave_numbers(found), *_count_numbers(found)]


def _speed_numbers(found: Findings) -> Iterator[Number]:
    if found.features is None or found.pair_delay is None:
        return
    place = f"region {found.main_roi} at {found.pair_delay:g} ps; ± one standard error"
    speed, angle = found.main_value("mean_speed"), found.main_value("mean_angle")
    if speed is None:
        yield Number("Speed", "none", note="no pixel has a valid speed", main=True)
        return
    yield Number("Speed", with_error(*speed), "nm/ps", place, main=True)
    if angle is not None:
        note = "anticlockwise from +x of the image"
        coherence = found.main_value("coherence")
        if coherence is not None and coherence[0] < _ONE_WAY:
            note += f"; fronts go many ways here (coherence {coherence[0]:.2f})"
        yield Number("Direction", with_error(*angle), "°", note, main=True)


def _wave_numbers(found: Findings) -> Iterator[Number]:
    band = found.band
    if band is not None:
        note = f"band {band['low']:.1f} to {band['high']:.1f} GHz"
        if not band["found"]:
            note += "; only a guess"
        yield Number("Frequency", f"{band['centre']:.2f}", "GHz", note)
    speed, length = found.main_value("mean_speed"), found.map_wavelength
    if speed is not None and band is not None:
        # A wave that slows down keeps its frequency, so this is the wavelength at that time.
        scale = 1e3 / band["centre"]
        note = "speed over frequency at that time"
        if length is not None:
            note += f"; median of the map {length:.0f} nm"
        yield Number("Wavelength", with_error(speed[0] * scale, speed[1] * scale), "nm", note)
    elif length is not None and band is not None and band["found"]:
        yield Number("Wavelength", f"{length:.0f}", "nm", "median of the map")
    if found.main_mode is not None:
        mode, probability = found.main_mode
        yield Number("Mode", mode, note=f"probability {probability:.2f}, not calibrated")
    valid = found.main_value("valid_fraction")
    if valid is not None:
        yield Number("Valid share", f"{100 * valid[0]:.0f}", "%", "of the main region at that time")
    share = found.results.get("spectrum", {}).get("relevant_share")
    if share is not None and band is not None:
        yield Number("Relevant pixels", f"{100 * share:.0f}", "%", "of the frame")


def _count_numbers(found: Findings) -> Iterator[Number]:
    note = f"{found.delays[0]:g} to {found.delays[-1]:g} ps, {found.before_zero} before time zero"
    if found.flagged:
        note += f", {len(found.flagged)} flagged"
    yield Number("Frames", str(found.frames), note=note)
    if found.pairs is not None:
        yield Number("Pairs", str(found.pairs), note="successive usable frames")
    sizes, (step_y, step_x) = found.run.sizes, found.run.pixel_size
    pixel = f"{step_x:g} nm" if step_x == step_y else f"{step_x:g} × {step_y:g} nm"
    yield Number("Frame", f"{sizes['x']} × {sizes['y']}", "px", f"pixel {pixel}")


def _subtitle(attributes: Mapping[str, Any], found: Findings) -> str:
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
            yield name, json.dumps(value, ensure_ascii=False, default=str)


def _model(found: Findings) -> Iterator[tuple[str, str]]:
    results = found.results.get("train", {})
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
        value = results[key]
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
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield key.replace("_", " "), text
