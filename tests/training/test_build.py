"""From config to recipe: every key of augmentation reaches the crop."""

from segdistill.config import DataConfig
from segdistill.data.transforms import Recipe
from segdistill.training.build import build_recipe


def test_the_recipe_has_what_the_config_says() -> None:
    config = DataConfig(
        dataset="scenes",
        crop=(32, 48),
        scale=(0.5, 2.1),
        flip=False,
        jitter=0.4,
        hue=0.1,
        blur=0.5,
        max_class_share=0.75,
        rare_class=0.25,
        rare_temperature=0.02,
    )
    assert build_recipe(config) == Recipe(
        (32, 48), (0.5, 2.1), False, 0.4, 0.4, 0.4, 0.1, 0.5, 0.75, 0.25, 0.02
    )


def test_by_default_only_scale_and_flip_are_drawn() -> None:
    found = build_recipe(DataConfig(dataset="scenes", crop=(32, 48)))
    assert found == Recipe((32, 48), (0.5, 2.0), flip=True)
