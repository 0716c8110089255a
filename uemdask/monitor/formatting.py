"""Numbers as a person says them; travels to the scheduler with its page."""

from __future__ import annotations

import math

_PHASES = {"pretrain": "pre-training", "finetune": "fine-tuning", "guard": "last check"}


def phase(name: str) -> str:
    """Say a phase of a training."""
    return _PHASES.get(name, name)


def duration(seconds: float | None) -> str:
    """Say a time in words of a person."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size(count: float | None) -> str:
    """Say a number of bytes."""
    if count is None:
        return "–"
    unit = "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"


def count(number: float) -> str:
    """Say a number, with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\u202f") if number >= 100 else f"{number:.3g}"


def share(value: float) -> str:
    """Say a share that is all only when it is all."""
    return f"{min(math.floor(value * 100), 99) if value < 1 else 100} %"
