"""Rules by which a detector proposes, chooses, cuts and links regions.

A `RegionSpec` is plain data. It is an option of the model's builder, so it
travels with the model, like everything its weights depend on. No Keras
here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_twostream.errors import (
    check_choice,
    check_count,
    check_dict,
    check_fields,
    check_number,
)

PROPOSALS = ("windows", "selective_search", "boxes")
SALIENCIES = ("inclusion", "mean", "none")


@dataclasses.dataclass(frozen=True)
class RegionSpec:
    """The source of a detector's regions, and their treatment.

    Attributes:
        proposals: "windows" (our own), "selective_search" (OpenCV's
            contributed modules) or "boxes" (given by the user, for instance
            of a tracker). A detector knows only the regions it was trained
            on.
        parameters: Parameters of the proposals that differ from their
            defaults.
        limit: Regions of a frame at most.
        saliency: Test for motion: "inclusion" asks for a share of
            the frame's salient pixels, as the authors' code; "mean" for a
            mean magnitude of the flow, as the paper; "none" for nothing.
        least_saliency: That share or mean, alpha in the paper.
        stabilise: Whether the median flow of a frame, the camera's, is taken
            out before motion is looked at; the network sees all of it.
        context: Pixels of the crop around the region.
        suppression: Overlap with a better box of the class from which a box
            is dropped before linking.
        voting: Overlap from which other boxes vote on the place of a box
            that is kept (`detection.geometry.voted`); 0 for no vote, as in
            the paper.
        link_weight: Weight of the overlap of consecutive boxes, lambda in the
            paper.

    Raises:
        SpecError: If a field is not as above.
    """

    proposals: str = "windows"
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limit: int = 2000
    saliency: str = "inclusion"
    least_saliency: float = 0.3
    stabilise: bool = False
    context: int = 16
    suppression: float = 0.3
    voting: float = 0.0
    link_weight: float = 1.0

    def __post_init__(self) -> None:
        check_dict("parameters", self.parameters)
        object.__setattr__(self, "parameters", dict(self.parameters))
        check_choice("proposals", self.proposals, PROPOSALS)
        check_choice("saliency", self.saliency, SALIENCIES)
        check_count("limit", self.limit)
        check_count("context", self.context, least=0)
        for name in ("least_saliency", "suppression", "voting", "link_weight"):
            check_number(name, getattr(self, name), ends=True)

    def replace(self, **changes: Any) -> "RegionSpec":
        """Return a copy with some fields changed, checked again.

        Parameters of other proposals do not survive.

        Raises:
            SpecError: If a field is unknown or has a wrong value.
        """
        if changes.get("proposals", self.proposals) != self.proposals:
            changes.setdefault("parameters", {})
        return self.from_json({**self.to_json(), **changes})

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON-compatible values; `from_json` undoes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RegionSpec":
        """Return a spec from `to_json`'s output, or some of its fields.

        Raises:
            SpecError: If a field is unknown or has a wrong value.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        check_fields("A RegionSpec", values, known)
        return cls(**values)
