"""Published plain students: of datasets and networks that there are, each once."""

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.networks import NETWORKS
from segdistill.catalogue.published import PUBLISHED, published


def test_rows_are_of_what_the_catalogue_has_and_stand_once() -> None:
    for one in PUBLISHED:
        assert one.dataset in DATASETS
        assert one.network in NETWORKS
        assert 20 < one.miou < 90  # in percent
    keys = [(one.dataset, one.split, one.network, one.backbone, one.source) for one in PUBLISHED]
    assert len(set(keys)) == len(keys)


def test_only_the_same_student_on_the_same_split_is_found() -> None:
    (camvid,) = published("camvid", "test", "pspnet", "resnet18")
    assert (camvid.miou, camvid.source) == (66.73, "Yang et al., CVPR 2022, Table 2")
    assert published("camvid", "val", "pspnet", "resnet18") == []
    assert published("camvid", "test", "pspnet", "resnet34") == []
