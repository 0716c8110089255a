"""Settings on the command line, ``stage.key=value``, that win over a campaign file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.readers.yaml_text import parse_yaml


def merge_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Turn ``stage.key=value`` settings into nested parameters; values are read as YAML.

    Raises
    ------
    FaultsError
        If some are not of that form.

    Examples
    --------
    >>> merge_settings(["spectrum.band=[30, 40]", "label.base=false"])
    {'spectrum': {'band': [30, 40]}, 'label': {'base': False}}
    """
    result: dict[str, Any] = {}
    faults = []
    for setting in settings:
        name, mark, text = setting.partition("=")
        keys = name.strip().split(".")
        if not mark or len(keys) < 2 or not all(keys):
            faults.append(f"{setting!r}: write it as STAGE.KEY=VALUE")
            continue
        try:
            value = parse_yaml(text)
        except UemError:
            faults.append(f"{setting!r}: the value is not YAML")
            continue
        for key in reversed(keys):
            value = {key: value}
        result = merged(result, value)
    if faults:
        raise FaultsError("settings", faults)
    return result


def merged(base: Any, changes: Any) -> Any:
    """Return nested settings with changes in them."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}
