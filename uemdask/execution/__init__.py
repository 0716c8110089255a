"""Execution: campaigns, plans, region tasks on a Dask cluster, ledger and resume."""

from uemdask.execution.campaign import Campaign, Plan, PlannedRun
from uemdask.execution.cluster import (
    BatchProfile,
    Capacity,
    Cluster,
    ClusterProfile,
    ExistingProfile,
    LocalProfile,
    allocation_script,
    check_cluster,
    open_cluster,
    read_profile,
)
from uemdask.execution.driver import Driver, Outcome
from uemdask.execution.listeners import Listener, NullListener
from uemdask.execution.overrides import merge_settings
from uemdask.execution.planning import plan_campaign, plan_ingest, plan_runs, read_campaign
from uemdask.execution.preview import Preview, preview
from uemdask.execution.status import RunStatus, campaign_status, run_status
from uemdask.execution.verifying import Repair, RunVerification, Verification, verify, verify_run

__all__ = [
    "BatchProfile",
    "Campaign",
    "Capacity",
    "Cluster",
    "ClusterProfile",
    "Driver",
    "ExistingProfile",
    "Listener",
    "LocalProfile",
    "NullListener",
    "Outcome",
    "Plan",
    "PlannedRun",
    "Preview",
    "Repair",
    "RunStatus",
    "RunVerification",
    "Verification",
    "allocation_script",
    "campaign_status",
    "check_cluster",
    "merge_settings",
    "open_cluster",
    "plan_campaign",
    "plan_ingest",
    "plan_runs",
    "preview",
    "read_campaign",
    "read_profile",
    "run_status",
    "verify",
    "verify_run",
]
