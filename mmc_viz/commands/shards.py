"""Write a data set as shards, which are mapped from the disk and so may be larger than the memory.

What is written is used as `--dataset shards:DIR`: the same images, so a model comes out the same.
With `--verify DIR`, every shard is compared with its checksum, and each damaged one is named.
"""

import argparse
from pathlib import Path

from mmc_viz.commands.arguments import add_data_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "dataset",
        nargs="?",
        metavar="DATASET",
        help="digits, fashion_mnist, mnist, cifar10, cifar100 or folder:PATH",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to: a new or empty folder")
    parser.add_argument(
        "--size", type=int, default=224, help="pixels a side, for folder:PATH alone (224)"
    )
    parser.add_argument(
        "--splits", nargs="+", default=["train", "test"], help="which parts (train test)"
    )
    parser.add_argument("--verify", type=Path, metavar="DIR", help="check a folder of shards")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write or verify; say what is there."""
    writes = arguments.dataset is not None and arguments.out is not None
    if writes == (arguments.verify is not None) or (arguments.dataset is None) == writes:
        raise ValueError(
            "`mmc-viz shards` needs either DATASET and `--out DIR`, or `--verify DIR`."
        )
    if writes:
        from mmc_viz.datasets.shard_writing import write_shards

        shards = write_shards(
            arguments.dataset,
            arguments.out,
            splits=arguments.splits,
            size=arguments.size,
            root=arguments.data_root,
            progress=not arguments.quiet,
        )
    else:
        from mmc_viz.datasets.shard_checking import verify

        shards = verify(arguments.verify, progress=not arguments.quiet)
    index = shards.index
    size = "x".join(map(str, index.shape))
    for name, split in index.splits.items():
        print(
            f"{name:6} {split.count:,} images of {size}, {len(split.shards)} shards: {split.source}"
        )
        print(f"       sha256 {split.sha256}")
    done = "written to" if writes else "all as it was written in"
    print(f"{done} {shards.folder}; use it as shards:{shards.folder}")
