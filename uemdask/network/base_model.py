"""The base model: trained on simulated waves of all kinds, it ships with the package.

``base.md`` beside it is its model card: what it was trained on, how to make it again, its errors
and its limits.
"""

from __future__ import annotations

from pathlib import Path

#: The file of the base model, for `uemdask.network.load_model`.
BASE_MODEL = Path(__file__).with_name("base.pt")
