"""Epsilon paths as one block of bytes, so that a browser can replay them without a kernel.

A lesson compares models under several attacks. Each pair gives an `EpsilonPath`: at step k the
budget is epsilon_k and image n looks like x_k. All paths of a lesson go to the browser together,
once, and the slider then only looks things up. The block is

    deflate( uint32 length of header | header, JSON in UTF-8 | zeros to a multiple of 4 | payload )

with a little-endian length and the header

    format        1
    class_names   [L] strings
    labels        [N] true classes
    shape         count N, channels C, height H, width W
    runs          list of
        name      what the menu shows, such as the attacker's objective
        epsilons  [K], in the unit of images in [0, 1]
        panels    list of
            title        which model, such as "MMC"
            offset       where its K * N * C * H * W bytes begin in the payload
            predictions  [K][N] class that the model sees in the image of this step
            right        [K]    number of images not yet fooled
            success      [K][N] 0 or 1: fooled at this epsilon or at a smaller one

The payload of a panel holds, for one image after the other, x_0 and then x_1 - x_0, x_2 - x_1, ...
modulo 256. An image that stays as it was when first fooled becomes zeros, and most pixels of the
others move by a few amounts only, so deflate finds much more: 0.46 MB where the same six paths of
30 Fashion-MNIST images and 31 steps take 0.80 MB without the differences and 4.4 MB plain.

Every number that is shown is made here; the browser divides `right` by N and no more.
"""

from mmc_viz.bundles.content import Bundle as Bundle
from mmc_viz.bundles.content import Panel as Panel
from mmc_viz.bundles.content import Run as Run
from mmc_viz.bundles.packing import pack as pack
from mmc_viz.bundles.reading import unpack as unpack
