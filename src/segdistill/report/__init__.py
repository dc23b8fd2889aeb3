"""Report: pictures of a run and one page that compares runs or a study."""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.report.page import write_report as write_report
    from segdistill.report.plots import write_run_pictures as write_run_pictures
    from segdistill.report.studies import is_study as is_study
    from segdistill.report.study_page import write_study_report as write_study_report

_MODULES = {
    "is_study": "studies",
    "write_report": "page",
    "write_run_pictures": "plots",
    "write_study_report": "study_page",
}

__all__ = [*_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)
