"""Reference networks nobody here wrote, and what to feed them.

torchvision publishes no build for CPU PyTorch alone; its Python models import
once the operators it wants to describe are declared.
"""

import numpy as np
import torch

OPERATORS = {
    "nms": "(Tensor boxes, Tensor scores, float threshold) -> Tensor",
    "qnms": "(Tensor boxes, Tensor scores, float threshold) -> Tensor",
}
# Operators live as long as the library that declared them.
_libraries = []


def declare_operators() -> None:
    """Make `import torchvision` work where its operators are missing."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except RuntimeError:  # the operators that it describes are not there
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name, signature in OPERATORS.items():
            library.define(name + signature)
        _libraries.append(library)


def randomized(net, size=64, steps=(), channels=3):
    """The net in test mode, its batch norms with telling statistics.

    They are those of one random batch, so that deep nets stay in range.
    """
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.uniform_(-0.1, 0.1, generator=generator)
            module.momentum = 0.9
    with torch.no_grad():
        shape = (2, channels, *steps, size, size)
        net.train()(torch.randn(shape, generator=generator))
    return net.eval()


def frames(size, batch=1, steps=1, channels=3, seed=0):
    """A clip as our models take it: rgb in 0..255, or flow in pixels."""
    rng = np.random.default_rng(seed)
    low, high = (0, 255) if channels == 3 else (-25, 25)
    shape = (batch, steps, size, size, channels)
    return rng.uniform(low, high, shape).astype("float32")


def as_torch(clip, mean=0.0, std=1.0):
    """(B, T, H, W, C) as normalised (B * T, C, H, W)."""
    clip = (clip - np.asarray(mean)) / np.asarray(std)
    clip = clip.reshape(-1, *clip.shape[2:]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(clip, "float32"))
