"""Monitoring: how far a campaign is, on the Dask dashboard, as JSON and in another shell."""

from uemdask.monitor.formatting import duration, phase, share, size
from uemdask.monitor.from_disk import campaign_state
from uemdask.monitor.publishing import monitored
from uemdask.monitor.state import SCHEMA, CampaignState, RunState

__all__ = [
    "SCHEMA",
    "CampaignState",
    "RunState",
    "campaign_state",
    "duration",
    "monitored",
    "phase",
    "share",
    "size",
]
