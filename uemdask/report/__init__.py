"""Reports: self-contained HTML with pictures, of one run or of a campaign."""

from uemdask.report.campaign import write_campaign_report
from uemdask.report.page import write_report

__all__ = ["write_campaign_report", "write_report"]
