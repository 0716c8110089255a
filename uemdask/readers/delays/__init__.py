"""Pump-probe delays: from a log, a table, vendor tags, file names, or a stated plan."""

from uemdask.readers.delays.capture import capture_images
from uemdask.readers.delays.delay_table import DelayTable, number_scans
from uemdask.readers.delays.log import read_log
from uemdask.readers.delays.plan import parse_plan
from uemdask.readers.delays.sources import find_delays
from uemdask.readers.delays.table import read_table

__all__ = [
    "DelayTable",
    "capture_images",
    "find_delays",
    "number_scans",
    "parse_plan",
    "read_log",
    "read_table",
]
