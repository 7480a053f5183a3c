"""The checkpoint that stays in the checkout."""

from pathlib import Path

import keras_twostream as kts
from accuracy_parts.results import LONG, SPLITS, Results
from accuracy_parts.runs import Study

NAME = "spatiotemporal_resnet.ucf101_six"
START = "actors"
TERMS = (
    "UCF-101 (Soomro et al. 2012), six classes: YouTube videos, for research "
    "use. Not in the wheel."
)


def publish(study: Study, results: Results, weights: Path) -> None:
    """Writes split 1's ST-ResNet, with the accuracy on all splits.

    Args:
        study: Where the runs are.
        results: What they got right.
        weights: The catalogue.
    """
    rows = [
        row
        for row in results
        if (row["system"], row["init"], row["seed"]) == (LONG, START, 0)
    ]
    metrics = [
        {
            "name": "accuracy",
            "value": row["top1"],
            "dataset": "six classes of UCF-101",
            "split": f"test part {row['split']}"
            + ("" if row["split"] == SPLITS[0] else ", a network of its own"),
            "protocol": "10 centred clips a video",
        }
        for row in sorted(rows, key=lambda row: row["split"])
    ]
    run = study.run_folder(LONG, START, SPLITS[0], 0)
    kts.save_pretrained(
        kts.load(f"local:{run / 'model'}"),
        weights / NAME,
        dtype="float16",
        license="other",
        data_terms=TERMS,
        base="spatiotemporal_resnet.actors",
        metrics=metrics,
        note="Small ST-ResNet trained on six classes of UCF-101, split 1.",
    )
