"""A RAFT of few channels, for tests of what its size does not change."""

from keras_twostream.flow._raft_encoder import Size

SMALL_RAFT = Size(
    widths=(4, 4, 8, 8),
    bottleneck=True,
    features=8,
    hidden=8,
    context=4,
    context_norm=True,
    radius=1,
    of_correlation=(8, 8),
    of_flow=(8, 4),
    motion=8,
    kernels=((1, 5), (5, 1)),
    head=8,
    convex=True,
)
