"""The verbs: what each command does, as functions that print nothing."""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.verbs.analyses import analyse as analyse
    from segdistill.verbs.analysis.opened import AnalysisSettings as AnalysisSettings
    from segdistill.verbs.delivery import Exported as Exported
    from segdistill.verbs.delivery import cost as cost
    from segdistill.verbs.delivery import export as export
    from segdistill.verbs.delivery import latency as latency
    from segdistill.verbs.delivery import list_taps as list_taps
    from segdistill.verbs.packed import pack as pack
    from segdistill.verbs.places import choose_folder as choose_folder
    from segdistill.verbs.places import find_run as find_run
    from segdistill.verbs.saved import LoadedRun as LoadedRun
    from segdistill.verbs.saved import Student as Student
    from segdistill.verbs.saved import load_run as load_run
    from segdistill.verbs.saved import load_student as load_student
    from segdistill.verbs.scoring import evaluate as evaluate
    from segdistill.verbs.scoring import predict as predict
    from segdistill.verbs.showcase import Demo as Demo
    from segdistill.verbs.showcase import demo as demo
    from segdistill.verbs.showcase import image_noise as image_noise
    from segdistill.verbs.studies import study as study
    from segdistill.verbs.training_runs import complete as complete
    from segdistill.verbs.training_runs import distill as distill
    from segdistill.verbs.training_runs import train as train
    from segdistill.verbs.trial import check as check
    from segdistill.verbs.trial import check_data as check_data
    from segdistill.verbs.trial import draw_sheet as draw_sheet

_MODULES = {
    "analyse": "analyses",
    "Exported": "delivery",
    "cost": "delivery",
    "export": "delivery",
    "latency": "delivery",
    "list_taps": "delivery",
    "AnalysisSettings": "analysis.opened",
    "pack": "packed",
    "choose_folder": "places",
    "find_run": "places",
    "LoadedRun": "saved",
    "Student": "saved",
    "load_run": "saved",
    "load_student": "saved",
    "evaluate": "scoring",
    "predict": "scoring",
    "Demo": "showcase",
    "demo": "showcase",
    "image_noise": "showcase",
    "study": "studies",
    "complete": "training_runs",
    "distill": "training_runs",
    "train": "training_runs",
    "check": "trial",
    "check_data": "trial",
    "draw_sheet": "trial",
}

__all__ = [*_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)
