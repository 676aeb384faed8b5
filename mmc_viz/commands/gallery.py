"""Make every figure from the shipped models, on one page that needs neither network nor kernel."""

import argparse
from pathlib import Path

from mmc_viz.commands.arguments import add_data_root, add_device, check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path("gallery.html"), help="(gallery.html)")
    parser.add_argument(
        "--images", type=int, default=300, help="of Fashion-MNIST, how many are shown (300)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these figures alone")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="save each as DIR/NAME-{light,dark}.png too"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Compute the results, draw them, and write the page."""
    from tqdm.auto import tqdm

    from mmc_viz.devices import choose_device
    from mmc_viz.figures import save, write_page
    from mmc_viz.gallery import MAKERS, Scene

    names = arguments.only or list(MAKERS)
    unknown = sorted(set(names) - MAKERS.keys())
    if unknown:
        raise ValueError(f"`--only` must name some of {', '.join(MAKERS)}; got {unknown[0]!r}.")
    check_output(arguments.out)
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    scene = Scene(choose_device(arguments.device), arguments.images, arguments.data_root)
    exhibits = []
    with tqdm(names, unit="figure", disable=arguments.quiet) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            exhibits.append(MAKERS[name](scene, name))
    write_page(
        exhibits,
        arguments.out,
        title="What features look like, and what that is worth",
        introduction="Every figure is made from the shipped models by `mmc-viz gallery`. Hover, "
        "rotate and zoom; below each stands in words what its numbers say.",
    )
    for exhibit in exhibits if arguments.pictures is not None else ():
        for theme in ("light", "dark"):
            path = arguments.pictures / f"{exhibit.name}-{theme}.png"
            save(exhibit.draw(theme), path, scale=1.5)
    print(f"page               {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB)")
    print(f"data               {scene.data.source}")
    for exhibit in exhibits:
        print(f"{exhibit.name:<18} {exhibit.description}")
