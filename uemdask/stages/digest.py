"""Digests: short names of what a result was made from."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_of(*parts: Any) -> str:
    """Return a digest of JSON-able parts, 16 hex digits.

    Examples
    --------
    >>> digest_of("label", 1, {"method": "dis"}) == digest_of("label", 1, {"method": "dis"})
    True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
