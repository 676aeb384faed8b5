"""Figures of feature space: centers, contours, density, maps."""

from collections.abc import Callable
from functools import partial

from mmc_viz import figures
from mmc_viz.attacks import pgd
from mmc_viz.centers import geometry, hierarchical_centers, spread_centers
from mmc_viz.contours import compare, loss_in_space, loss_on_plane, plane_of
from mmc_viz.datasets import load_dataset
from mmc_viz.density import density_against_distance, shell_density
from mmc_viz.embeddings import compare_maps, map_path, view_map
from mmc_viz.embeddings import fit as fit_map
from mmc_viz.figures import Exhibit
from mmc_viz.gallery.scene import EPS, Scene
from mmc_viz.networks import outputs
from mmc_viz.paths import epsilon_path
from mmc_viz.training import TrainConfig, train

#: Superclasses of Fashion-MNIST as one would name them: tops, trousers, footwear, bags.
TREE = [[0, 2, 3, 4, 6], [1], [5, 7, 9], [8]]
SPANNING = (0, 3, 6)  # classes whose centers span the plane of the 64-d models
TRACKED = 40  # images whose way through a map is drawn


def centers(scene: Scene, name: str) -> Exhibit:
    """Show ten centers on a sphere of three dimensions, where no simplex fits."""
    found = geometry(spread_centers(10, 3))
    draw = partial(figures.centers_3d, found, class_names=scene.class_names)
    return _exhibit(name, draw, "centers.spread_centers(10, 3)")


def gram(scene: Scene, name: str) -> Exhibit:
    """Show angles between hierarchical centers."""
    found = geometry(hierarchical_centers(TREE, 9))
    draw = partial(figures.gram, found, class_names=scene.class_names)
    return _exhibit(name, draw, f"centers.hierarchical_centers({TREE}, 9)")


def feature_contours(scene: Scene, name: str) -> Exhibit:
    """Show the loss of one class in the whole feature space of the 2-D models."""
    found, differences = {}, {}
    for title, model in scene.flat_models.items():
        found[title] = loss_on_plane(
            model.head,
            0,
            features=scene.features(model),
            labels=scene.labels,
            class_names=scene.class_names,
        )
        differences[title] = compare(model.head, found[title])
    draw = partial(figures.feature_scatter_2d, found, differences)
    return _exhibit(name, draw, f"fashion-sce-2d and fashion-mmc-2d, {_images(scene)}")


def plane_of_centers(scene: Scene, name: str) -> Exhibit:
    """Show the loss in the plane through three classes of the 64-D models."""
    found, differences = {}, {}
    for title, model in scene.models.items():
        features = scene.features(model)
        plane = plane_of(model.head, SPANNING, features=features, labels=scene.labels)
        found[title] = loss_on_plane(
            model.head,
            SPANNING[0],
            plane,
            features=features,
            labels=scene.labels,
            class_names=scene.class_names,
        )
        differences[title] = compare(model.head, found[title])
    draw = partial(figures.feature_scatter_2d, found, differences)
    return _exhibit(name, draw, f"fashion-sce and fashion-mmc, {_images(scene)}")


def volume(scene: Scene, name: str) -> Exhibit:
    """Show the loss of one class in a feature space of three dimensions, of digits."""
    train_set, test_set = (load_dataset("digits", split) for split in ("train", "test"))
    config = TrainConfig(dataset="digits", head="mmc", dim=3)
    run = train(config, train_set, test_set, device=scene.device, progress=False)
    _, features = outputs(run.model, test_set.inputs(scene.device))
    found = loss_in_space(
        run.model.head,
        0,
        features=features,
        labels=test_set.labels,
        class_names=test_set.class_names,
    )
    accuracy = run.history[-1]["accuracy"]
    return _exhibit(
        name,
        partial(figures.loss_volume, found, between=(0.5, 4)),
        "digits, MMC with 3-D features, trained for this figure (60 epochs, seed 0, "
        f"{accuracy:.1%} of 360 test images right)",
    )


def density_in_the_plane(scene: Scene, name: str) -> Exhibit:
    """Show density in shells of the loss, measured and predicted, in two dimensions."""
    return _density(scene, name, "fashion-mmc-2d", scene.flat_models["MMC"])


def density_in_64_dimensions(scene: Scene, name: str) -> Exhibit:
    """Show density in shells of the loss, measured and predicted, in 64 dimensions."""
    return _density(scene, name, "fashion-mmc", scene.models["MMC"])


def _density(scene: Scene, name: str, model_name: str, model) -> Exhibit:
    # All test images that are there: a class needs its points.
    data = load_dataset("fashion_mnist", root=scene.root)
    _, features = outputs(model, data.inputs(scene.device))
    found = shell_density(features, data.labels, model.head)
    draw = partial(figures.density_vs_loss, found, class_names=data.class_names)
    return _exhibit(name, draw, f"{model_name}, {len(data):,} test images")


def density_distance(scene: Scene, name: str) -> Exhibit:
    """Show density of each image's feature against its minimal adversarial distance."""
    found = {
        title: density_against_distance(model, scene.images, scene.labels)
        for title, model in scene.models.items()
    }
    draw = partial(figures.density_vs_distance, found, class_names=scene.class_names)
    return _exhibit(
        name,
        draw,
        f"fashion-sce and fashion-mmc, {_images(scene)}, each feature among the others; on more "
        "images, and of training features: mmc-viz density fashion-sce fashion-mmc",
    )


def map_by(method: str) -> Callable[[Scene, str], Exhibit]:
    """Give the maker of a map of both models, with attacked images placed into it."""

    def make(scene: Scene, name: str) -> Exhibit:
        found = compare_maps(
            method,
            scene.models,
            scene.images,
            scene.labels,
            adversarial=scene.attacked,
            joint=method == "tsne",
            class_names=scene.class_names,
        )
        return _exhibit(
            name,
            partial(figures.embedding, found),
            f"fashion-sce and fashion-mmc, {_images(scene)}, clean and after PGD-20 on the margin "
            f"within {EPS}; seed 0",
        )

    return make


def travels(scene: Scene, name: str) -> Exhibit:
    """Show the way of images through the PCA of their model as the budget grows."""
    found = {}
    for title, model in scene.models.items():
        shown = view_map(fit_map("pca", scene.features(model)), scene.labels)
        path = epsilon_path(
            model,
            scene.images[:TRACKED],
            scene.labels[:TRACKED],
            [k / 255 for k in range(0, 17, 2)],
            attack=partial(pgd, steps=10),
            follow="track",
        )
        found[title] = map_path(shown, path, class_names=scene.class_names)
    note = f"the first {TRACKED} of {_images(scene)}, PGD-10 on the margin up to 16/255"
    return _exhibit(name, partial(figures.trajectories, found), note)


def _images(scene: Scene) -> str:
    return f"{len(scene.data):,} test images"


def _exhibit(name: str, draw: Callable, note: str) -> Exhibit:
    return Exhibit(name, lambda theme: draw(theme=theme), note)
