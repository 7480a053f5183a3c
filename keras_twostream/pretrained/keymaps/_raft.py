"""A key map for torchvision's RAFT."""

from collections.abc import Iterable

from keras_twostream.pretrained.keymaps._names import refuse, torch_names

_PARTS = (
    "feature_encoder.",
    "context_encoder.",
    "update_block.",
    "mask_predictor.",
)


def raft(keys: Iterable[str]) -> dict[str, str]:
    """Map feature_encoder.conv.weight -> feature_encoder_conv.kernel.

    Raises:
        WeightsError: If a key is of another network.
    """

    def layer(module: str) -> str:
        if not module.startswith(_PARTS):
            raise refuse("torchvision's RAFT", module)
        return module.replace(".", "_")

    return torch_names(keys, layer)
