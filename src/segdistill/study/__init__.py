"""Study: runs compared, with the statistics that say what may be believed."""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.study.comparison import Comparison as Comparison
    from segdistill.study.comparison import compare as compare
    from segdistill.study.comparison import compare_all as compare_all
    from segdistill.study.images import bootstrap_difference as bootstrap_difference
    from segdistill.study.images import bootstrap_miou as bootstrap_miou
    from segdistill.study.statistics import Interval as Interval

_MODULES = {
    "Comparison": "comparison",
    "Interval": "statistics",
    "bootstrap_difference": "images",
    "bootstrap_miou": "images",
    "compare": "comparison",
    "compare_all": "comparison",
}

__all__ = [*_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)
