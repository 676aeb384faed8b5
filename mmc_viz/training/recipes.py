"""Named configurations: `cifar10-resnet32-mmc` is how the paper's authors trained that model.

A name says what is trained and how, in this order:

    DATA-NETWORK-HEAD[-at|-at-targeted][-fast|-cpu]

`DATA` is `mnist`, `fashion`, `cifar10` or `cifar100`; `NETWORK` and `HEAD` are names of
`mmc_viz.networks.NETWORKS` and `mmc_viz.heads.HEADS`. `-at` trains on adversarial images,
`-at-targeted` on images driven towards a class drawn at random. Without a further word the recipe
is the authors'; `-fast` is ours for a GPU (for 28x28 images a CPU does), and `-cpu` a smaller
setting for CIFAR on a machine that has none.

Where ours differs from the authors' code even in their own recipe: the input is normalised by
channel, not by pixel; images are shifted by whole pixels; MNIST is not mirrored; the adversary
raises the loss of the true label, not of the predicted one; budgets are multiples of 1/255, where
theirs are of 1/256.
"""

from dataclasses import replace

from mmc_viz.heads import HEADS
from mmc_viz.networks import NETWORKS
from mmc_viz.training.config import TrainConfig

GRAMMAR = "DATA-NETWORK-HEAD[-at|-at-targeted][-fast|-cpu]"
#: How data sets are called in the names of recipes and of shipped models.
DATA = {"mnist": "mnist", "fashion": "fashion_mnist", "cifar10": "cifar10", "cifar100": "cifar100"}
#: Budget in linf that adversarial training is done for, in the unit of the images.
BUDGETS = {"mnist": 0.3, "fashion_mnist": 0.1, "cifar10": 8 / 255, "cifar100": 8 / 255}
_GRAY = ("mnist", "fashion_mnist")
_ADVERSARIES = ("", "at", "at-targeted")
_PACES = ("", "fast", "cpu")


def recipe(name: str) -> TrainConfig:
    """Give the configuration that a name stands for; a variant is `dataclasses.replace` of it.

    Parameters
    ----------
    name : str
        `DATA-NETWORK-HEAD[-at|-at-targeted][-fast|-cpu]`, as the module explains.

    Returns
    -------
    config : TrainConfig
        With seed 0.

    Raises
    ------
    ValueError
        If a part of the name is unknown, or the parts do not go together.
    """
    data, network, head, adversary, pace = _parts(name)
    plain = TrainConfig(dataset=data, network=network, head=head)
    config = {"": _authors, "fast": _fast, "cpu": _cpu}[pace](plain)
    if not adversary:
        return config
    config = {"": _authors_adversary, "fast": _fast_adversary, "cpu": _cpu_adversary}[pace](config)
    targets = "random" if adversary == "at-targeted" else "none"
    return replace(config, adversarial="pgd", eps=BUDGETS[data], attack_targets=targets)


def _parts(name: str) -> tuple[str, str, str, str, str]:
    """Give data set, network, head, adversary and pace; the last two may be empty."""
    data, _, rest = name.partition("-")
    network, _, rest = rest.partition("-")
    head, _, rest = rest.partition("-")
    _check(name, "data set", data, DATA)
    _check(name, "network", network, NETWORKS)
    _check(name, "head", head, sorted(HEADS))
    endings = {
        "-".join(filter(None, (adversary, pace))): (adversary, pace)
        for adversary in _ADVERSARIES
        for pace in _PACES
    }
    if rest:
        _check(name, "ending", rest, [ending for ending in endings if ending])
    adversary, pace = endings[rest]
    if pace == "cpu" and DATA[data] in _GRAY:
        raise ValueError(
            f"`recipe` must end in `fast` or in neither for {data}, whose `fast` recipe suits a "
            f"CPU; got {name!r}."
        )
    return DATA[data], network, head, adversary, pace


def _check(name: str, what: str, value: str, choices) -> None:
    if value not in choices:
        raise ValueError(
            f"`recipe` must be {GRAMMAR} with the {what} one of {', '.join(choices)}; "
            f"got {value!r} in {name!r}."
        )


def _authors(config: TrainConfig) -> TrainConfig:
    """SGD as in the released code of Pang et al., ICLR 2020."""
    long = config.dataset not in _GRAY
    # Their penalty is 1e-4 times the squared weights of the convolutions, with gradient 2e-4 w.
    # Their loss of a distance has no factor 1/2. Half the loss with twice the rate and half the
    # decay takes the very same steps.
    scale = 2 if HEADS[config.head].loss_form == "distance" else 1
    return replace(
        config,
        epochs=200 if long else 50,
        batch_size=50,
        lr=0.01 * scale,
        momentum=0.9,
        nesterov=False,
        weight_decay=2e-4 / scale,
        decay="convolutions",
        schedule="steps",
        milestones=(101, 151) if long else (31, 41),
    )


def _fast(config: TrainConfig) -> TrainConfig:
    """Few epochs of one cycle; large batches for colour images.

    The gray sets are trained without augmentation and weight decay. Such a model fits its training
    images closely, so MMC's features lie near their centers, where softmax saturates: what the
    paper reports of its models, and what attacks that follow cross-entropy trip over.
    """
    if config.dataset in _GRAY:
        epochs = {"mnist": 10, "fashion_mnist": 20}[config.dataset]
        return replace(config, epochs=epochs, augmentation="none", weight_decay=0.0)
    # Four times the batch of our usual 128, and with it twice the rate: the root of the factor,
    # for momentum SGD that does not become noise-free at this size.
    return replace(config, epochs=40, batch_size=512, lr=2 * HEADS[config.head].peak_lr)


def _cpu(config: TrainConfig) -> TrainConfig:
    """15 epochs; in batches of 64, whose activations stay nearer to a core than those of 128."""
    return replace(config, epochs=15, batch_size=64)


def _authors_adversary(config: TrainConfig) -> TrainConfig:
    """Ten steps of 2/255 along cross-entropy, for MMC too; on gray images 40 steps of 0.01."""
    gray = config.dataset in _GRAY
    return replace(
        config,
        attack_objective="cross_entropy",
        attack_steps=40 if gray else 10,
        attack_step_size=0.01 if gray else 2 / 255,
    )


def _fast_adversary(config: TrainConfig) -> TrainConfig:
    """Seven steps on gray images, two on colour ones, along the head's own loss."""
    if config.dataset in _GRAY:
        epochs = {"mnist": 10, "fashion_mnist": 15}[config.dataset]
        return replace(config, epochs=epochs, attack_steps=7)
    return replace(config, attack_steps=2)


def _cpu_adversary(config: TrainConfig) -> TrainConfig:
    """Two steps, and eight epochs."""
    return replace(config, epochs=8, attack_steps=2)
