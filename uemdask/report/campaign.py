"""The page of a campaign: a table of its runs, with a link to the page of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import numpy as np

from uemdask.cube import ONE_WAY, STAGES, Run, answers_of
from uemdask.errors import UemError
from uemdask.report.downsampling import read_small
from uemdask.report.page import (
    measured,
    render,
    report_data_of,
    style_sheet,
    template,
    write_page,
    written_now,
)
from uemdask.report.report_data import ReportData
from uemdask.report.style import DIVERGING, GREY, robust_range, to_png
from uemdask.version import __version__

_THUMBNAIL_PX = 160


def write_campaign_report(
    stores: Sequence[Path], out: Path, failures: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Write the page of a campaign, and the page of each of its runs beside it.

    A run that cannot be read gets a line that says why, and never stops the others.

    Parameters
    ----------
    stores : sequence of Path
        The stores, in the order of the table.
    out : Path
        The file of the campaign's page; ``NAME.html`` of each run go to the same folder.
    failures : mapping of str to str
        Message of each run that failed, by name; also of runs without a store.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    UemError
        If the page of the campaign cannot be written.
    """
    out = Path(out)
    taken = {out.name.casefold()}
    rows = []
    for store in stores:
        name = Path(store).name.removesuffix(".zarr")
        message = failures.get(name, "")
        try:
            found = report_data_of(Run(store))
            page = _free_name(name, taken)
            write_page(out.with_name(page), render(found))
            rows.append(_row(found, page, message))
        except Exception as error:
            # A damaged store shows as any error of Zarr's codecs; the other runs still count.
            text = (
                str(error) if isinstance(error, UemError) else f"{store}: cannot be read ({error})"
            )
            rows.append(_empty_row(name, message or text))
    known = {row["name"] for row in rows}
    rows += [_empty_row(name, text) for name, text in failures.items() if name not in known]
    html = template("campaign.html").render(
        title=out.stem,
        rows=rows,
        total=len(STAGES),
        complete=sum(row["stages"] == len(STAGES) and not row["failed"] for row in rows),
        failed=sum(bool(row["failed"]) for row in rows),
        style=style_sheet(),
        version=__version__,
        written=written_now(),
    )
    write_page(out, html)
    return out


def _free_name(name: str, taken: set[str]) -> str:
    """Return a file name that no other page has, also where case does not count."""
    page, number = f"{name}.html", 2
    while page.casefold() in taken:
        page, number = f"{name}-{number}.html", number + 1
    taken.add(page.casefold())
    return page


def _row(found: ReportData, page: str, message: str) -> dict[str, Any]:
    row = _empty_row(found.name, message or (found.failure.message if found.failure else ""))
    band = found.band
    counts = [sum(c.verdict == grade for c in found.checks) for grade in ("bad", "look")]
    row |= {
        # A colon before the first slash would make the name a scheme.
        "link": "./" + quote(page),
        "thumbnail": thumbnail(found),
        "stages": len(found.done),
        "last": found.done[-1] if found.missing and found.done else "",
        "frames": str(found.frames) + (f" ({len(found.flagged)} flagged)" if found.flagged else ""),
        "checks": ", ".join(
            f"{count} {word}"
            for count, word in zip(counts, ("bad", "to look at"), strict=True)
            if count
        )
        or "all fine",
    }
    if band is not None:
        row["band"] = f"{band.low:.1f} – {band.high:.1f}" + ("" if band.found else " (a guess)")
    row["answers"] = [
        {
            "roi": answer.roi,
            "speed": "none" if np.isnan(answer.speed) else measured(answer.speed, answer.speed_sd),
            "delays": "" if np.isnan(answer.speed) else f"{answer.first:g} to {answer.last:g} ps",
            "direction": "–"
            if np.isnan(answer.direction)
            else f"{measured(answer.direction, answer.direction_sd)}°"
            if answer.spread <= ONE_WAY
            else f"many ways (± {answer.spread:.0f}°)",
            "mode": f"{answer.mode} ({answer.probability:.2f})" if answer.mode else "–",
        }
        for answer in answers_of(found.run)
    ]
    return row


def _empty_row(name: str, message: str) -> dict[str, Any]:
    # Many faults in one message would push the table out of its page.
    head, *more = message.splitlines() or [""]
    return dict.fromkeys(("frames", "band", "checks"), "–") | {
        "name": name,
        "failed": head,
        "faults": [line.strip().removeprefix("- ") for line in more],
        "answers": [],
        "link": "",
        "thumbnail": "",
        "stages": None,
        "last": "",
    }


def thumbnail(found: ReportData) -> str:
    """Return a small picture of the wave at its strongest time, or of the sample."""
    if found.strength is not None:
        frame = int(np.argmax(found.strength))
        if found.pair is not None:
            frame = int(found.run.read("frame_from")[found.pair])
        wave = read_small(found.run, "wave", _THUMBNAIL_PX, (frame,))
        limit = max(abs(v) for v in robust_range(wave))
        return to_png(wave, DIVERGING, -limit, limit)
    if "ingest" not in found.done:
        return ""
    if "intensity" in found.run:
        frame = int(np.argmax(found.run.read("frame_ok")))
        image = read_small(found.run, "intensity", _THUMBNAIL_PX, (frame,))
    else:
        image = read_small(found.run, "reference", _THUMBNAIL_PX)
    low, high = robust_range(image)
    return to_png(image, GREY, low, high)
