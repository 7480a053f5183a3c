"""Settings of a run."""

import dataclasses

from keras_twostream.errors import check_choice, check_count, check_number

# What may be left to the recipe or the machine.
_COUNTS = ("epochs", "batch_size", "patience", "workers")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Settings of a run, beside its recipe.

    Attributes:
        epochs: Passes over the training list. When None, as many as the run
            in the folder had, or the recipe. A number lengthens or shortens
            that run; its schedule is stretched over the new length.
        batch_size: Clips in a batch; the recipe's when None.
        seed: Seed of everything random.
        patience: Epochs without a better validation before stopping, where
            there is a validation; the recipe's when None.
        keep: "best" or "last", the weights that the model ends with.
        checkpoint_seconds: Seconds between checkpoints within an epoch.
        workers: Number of videos read in parallel.
        cache: "memory" keeps decoded frames.
        jit_compile: See `compile`.
        multi_label: Whether labels are several classes at once.
        class_weight: Dict from class number to the weight of its clips.
        devices: Number of devices that share a batch in equal parts.
        verbose: Whether a line of progress has every number, and not the loss
            and the accuracy alone.

    Raises:
        SpecError: If a setting is not as above.
    """

    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    patience: int | None = None
    keep: str = "best"
    checkpoint_seconds: float = 300.0
    workers: int | None = None
    cache: str | None = None
    jit_compile: bool | str = "auto"
    multi_label: bool = False
    class_weight: dict[int, float] | None = None
    devices: int = 1
    verbose: bool = False

    def __post_init__(self) -> None:
        check_choice("keep", self.keep, ("best", "last"))
        for name in _COUNTS:
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_count("devices", self.devices)
        check_count("seed", self.seed, least=0)
        check_number("checkpoint_seconds", self.checkpoint_seconds, ends=True)
