"""Report: pictures of a run and one page that compares runs, from the files in run folders."""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.report.page import write_report as write_report
    from segdistill.report.plots import write_run_pictures as write_run_pictures

_MODULES = {"write_report": "page", "write_run_pictures": "plots"}

__all__ = [*_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)
