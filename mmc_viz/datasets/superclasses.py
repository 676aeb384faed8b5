"""CIFAR-100's official superclasses: 20 groups of 5 classes each.

The data set carries them as coarse labels. Its classes, the fine labels, are numbered by the
alphabet, so the classes of one superclass are scattered and no block of consecutive numbers: beaver
is 4, dolphin 30, whale 95. Hence `superclass_indices`, which `mmc_viz.training` gives to the head
`hmc`.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html; names and order are those of the data set's own files.
"""

from collections.abc import Sequence

#: Each superclass, in the order of the coarse labels, and its classes.
CIFAR100_SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
_COARSE_LABEL = {
    name: label for label, names in enumerate(CIFAR100_SUPERCLASSES.values()) for name in names
}


def superclass_indices(class_names: Sequence[str]) -> list[int]:
    """Give the superclass of each class as a number, from 0 on and without gaps.

    Parameters
    ----------
    class_names : sequence of str
        Names of classes of CIFAR-100, such as `maple_tree`; all 100 or some, in any order.

    Returns
    -------
    indices : list of int
        For all 100 names the official coarse labels. Where superclasses are missing, the others
        keep their order and close up.

    Raises
    ------
    ValueError
        With the first name that is no class of CIFAR-100.

    Examples
    --------
    >>> superclass_indices(["tiger", "trout", "bear"])
    [1, 0, 1]
    """
    for name in class_names:
        if name not in _COARSE_LABEL:
            raise ValueError(
                f"`class_names` must be names of CIFAR-100's classes, such as maple_tree; "
                f"got {name!r}. `CIFAR100_SUPERCLASSES` lists them."
            )
    labels = [_COARSE_LABEL[name] for name in class_names]
    present = sorted(set(labels))
    return [present.index(label) for label in labels]
