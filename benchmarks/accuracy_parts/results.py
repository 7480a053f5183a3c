"""The study's results: one line of JSON for each network, split and seed.

A line holds one character per test video, 1 where the answer is right, in the
order of the split's list. So everything in the report, pairs included, can be
computed again from this file alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = (1, 2, 3)
# ST-ResNet again, trained for longer than the others.
LONG = "st_resnet, 60 epochs"
SYSTEMS = ("st_resnet", "rgb", "flow", "multiplier", LONG)
INITS = ("actors", "random", "cross_modality")
PROBES = ("imagenet", "random", "actors")  # starts of frozen features
# GoogLeNet, from BVLC's weights for ImageNet or from none.
GOOGLENET = {"googlenet rgb": "rgb", "googlenet flow": "flow"}
# Its flow stream, trained for longer than 8 epochs.
LONG_FLOW = "googlenet flow, 24 epochs"
# What makes two lines the same measurement.
KEY = ("system", "init", "split", "seed")


class Results:
    """A file of JSON lines that grows; the last line of a key counts.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.has_file else []
        rows = [json.loads(line) for line in lines]
        yield from {tuple(row[k] for k in KEY): row for row in rows}.values()

    @property
    def has_file(self) -> bool:
        return self.path.exists()

    def has(self, **key: Any) -> bool:
        return any(all(row[k] == v for k, v in key.items()) for row in self)

    def add(
        self,
        hits: np.ndarray,
        seconds: float,
        command: str,
        processor: float = 0.0,
        **key: Any,
    ) -> None:
        """Appends a line, and says it.

        Args:
            hits: (videos,) whether each answer is right.
            seconds: Wall time.
            command: What produced it.
            processor: Processor seconds of the training.
            **key: Values of `KEY`.
        """
        row = {
            **{name: key[name] for name in KEY},
            "top1": round(float(np.mean(hits)), 4),
            "seconds": round(seconds, 1),
            "processor": round(processor, 1),
            "command": command,
            "hits": "".join("01"[int(hit)] for hit in hits),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")
        words = " ".join(str(key[name]) for name in KEY)
        print(f"{words}: {row['top1']:.1%}", flush=True)
