"""The students of a search whose file names none."""

from segdistill.catalogue.networks import NETWORKS
from segdistill.catalogue.students import STUDENTS
from segdistill.config import check_search
from segdistill.config.students import count_students


def test_every_family_is_a_network_and_every_value_is_accepted() -> None:
    assert STUDENTS.keys() <= NETWORKS.keys()
    search = check_search(
        {
            "data": {"dataset": "scenes", "crop": [96, 128]},
            "teacher": {"network": "fcn", "untrained": True},
            "training": {"steps": 4},
        }
    )
    assert count_students(search.families) > 100


def test_every_size_of_the_real_time_networks_is_tried() -> None:
    for name, row in NETWORKS.items():
        if "variant" in row.settings:
            assert STUDENTS[name]["variant"] == row.settings["variant"].choices, name
