"""From results to tables, with what chance alone may explain.

Clips of one recording look alike, so intervals are drawn over recordings: of
the 620 test clips, whole recordings are drawn with replacement (10,000
times), and the middle 95 % of the accuracies are given. Seeds are averaged
within a clip first. The paired test (McNemar's, exact) looks at the first
seed's clips that one of two networks gets right and the other does not.
"""

import collections
import itertools
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from accuracy_parts.lists import read_split, recordings
from accuracy_parts.results import LONG, SPLITS, Results

DRAWS = 10_000  # as the text below says
# Each learned stream against histograms of the same stream.
OWN = ({"rgb", "baseline appearance"}, {"flow", "baseline motion"})


PROTOCOL = """\
# Accuracy on six classes of UCF-101

Archery, BasketballDunk, HorseRace, PlayingPiano, PlayingViolin and Surfing:
731 clips, transcoded to 170x128, with the official splits cut down to them.
These numbers cannot be compared with results on all 101 classes: the six
scenes differ much, so that appearance alone is strong.

Every network is small and starts from random weights, or from the weights
trained on drawn actors; only GoogLeNet's from ImageNet have seen photographs.
The rows "probe" are frozen features with a linear classifier: GoogLeNet's, both
streams from BVLC's weights (flow by cross-modality) or random, and ST-ResNet's
from actors. Every other network trains on the whole training part for a fixed
number of epochs and its last weights count, so no test clip chose anything. A
video's score is the mean over 10 centred clips. "Late fusion" is the mean of
the two single streams' probabilities. The fusion operators share two frozen
CNN-M towers and are trained on their maps; compare
them with each other only.

Intervals are drawn over recordings, as clips of one recording look alike: of
all recordings in the three test parts, as many are drawn with replacement,
10,000 times, after averaging seeds. Two systems are called apart only if
their intervals do not overlap. McNemar's exact test compares the first
seed's answers clip by clip; it takes clips as independent, which clips of
one recording are not, so that its p is too small."""

CLAIMS = {
    ("st_resnet", "actors"): "ST-ResNet from actors",
    (LONG, "actors"): "Trained for 60 epochs, as it ships, it",
}
BAR = 0.9


def tables(folder: Path, results: Results) -> str:
    """The report, as markdown."""
    places = _recordings_of_tests(folder)
    pooled = _pooled(list(results))
    if not pooled:
        return "Nothing is measured on all three splits yet."
    rows = {name: _Row(name, *value, places) for name, value in pooled.items()}
    order = sorted(rows.values(), key=lambda row: -row.mean)
    parts = [
        PROTOCOL,
        *(_claim(rows, name) for name in CLAIMS if name in rows),
        "## Test clips of the three splits, pooled (%)",
        _accuracies(order),
        "## Pairs, in points",
        _pairs(order),
        "## Commands of split 1, seed 0",
        _commands(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _claim(rows: dict, name: tuple[str, str]) -> str:
    """What the numbers say of the bar, in words."""
    row, first = rows[name], rows["baseline fused", ""]
    reached = "reached" if row.mean >= BAR else "not reached"
    above = "lies above" if row.low > first.high else "does not lie above"
    return (
        f"{CLAIMS[name]} has {_percent(row.mean)} % "
        f"({_percent(row.low)} to {_percent(row.high)}): the bar of "
        f"{BAR:.0%} is {reached}, and its interval {above} that of the "
        f"histograms ({_percent(first.low)} to {_percent(first.high)})."
    )


class _Row:
    """One system and start, on the test clips of all splits.

    Args:
        name: (system, init).
        hits: (seeds, clips).
        by_split: From split to mean accuracy.
        minutes: Mean of a training.
        places: (clips,) number of each clip's recording.
    """

    def __init__(self, name, hits, by_split, minutes, places) -> None:
        self.system, self.init = name
        self.hits, self.by_split, self.minutes = hits, by_split, minutes
        self.mean = float(hits.mean())
        self.draws = _bootstrap(hits.mean(axis=0), places)
        self.low, self.high = np.quantile(self.draws, (0.025, 0.975))

    @property
    def title(self) -> str:
        return f"{self.system}, {self.init}" if self.init else self.system


def _accuracies(order: list[_Row]) -> str:
    head = "system, start, split 1, split 2, split 3, pooled, 95 %, seeds"
    rows = [
        [
            row.system,
            row.init or "-",
            *(_percent(row.by_split[split]) for split in SPLITS),
            _percent(row.mean),
            f"{_percent(row.low)} to {_percent(row.high)}",
            len(row.hits),
            f"{row.minutes:.0f}",
        ]
        for row in order
    ]
    return _table([*head.split(", "), "CPU minutes"], rows)


def _pairs(order: list[_Row]) -> str:
    """Pairs, the better first; no better where intervals overlap."""
    head = "pair, difference, 95 %, first only, second only, McNemar p, apart?"
    pairs = itertools.combinations(order, 2)
    return _table(
        head.split(", "), [_pair(*pair) for pair in pairs if _is_asked(*pair)]
    )


def _pair(one: _Row, other: _Row) -> list[str | int]:
    low, high = np.quantile(one.draws - other.draws, (0.025, 0.975))
    first = int(np.sum(one.hits[0] & ~other.hits[0]))
    second = int(np.sum(other.hits[0] & ~one.hits[0]))
    either = first + second
    chance = binomtest(first, either).pvalue if either else 1.0
    return [
        f"{one.title} - {other.title}",
        f"{100 * (one.mean - other.mean):+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        first,
        second,
        f"{chance:.2g}",
        "yes" if one.low > other.high else "intervals overlap",
    ]


def _is_asked(one: _Row, other: _Row) -> bool:
    """Starts of one system, systems of one start, networks and row one."""
    names = {one.system, other.system}
    frozen = {name for name in names if name.startswith("probe")}
    if frozen and frozen != names:
        return "baseline fused" in names
    return (
        one.system == other.system
        or one.init == other.init
        or any(names >= pair for pair in OWN)
        or "baseline fused" in names
    )


def _table(head: list[str], rows: list[list]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _commands(results: Results) -> str:
    """The command of each system and start, on split 1 with seed 0."""
    shown = [
        row["command"]
        for row in results
        if (row["split"], row["seed"]) == (1, 0)
    ]
    return "\n".join(["```bash", *dict.fromkeys(shown), "```"])


def _pooled(rows: list[dict]) -> dict:
    """(seeds, clips) of each (system, init) that has all three splits."""
    found = collections.defaultdict(dict)
    for row in rows:
        name = (row["system"], row["init"])
        found[name][row["seed"], row["split"]] = row
    pooled = {}
    for name, by_place in found.items():
        seeds = sorted(
            seed
            for seed in {seed for seed, _ in by_place}
            if all((seed, split) in by_place for split in SPLITS)
        )
        if not seeds:
            continue
        hits = [
            [_hits(by_place[seed, split]) for split in SPLITS] for seed in seeds
        ]
        used = [by_place[seed, split].get("processor", 0) / 60
                for seed in seeds for split in SPLITS]  # fmt: skip
        pooled[name] = (
            np.stack([np.concatenate(parts) for parts in hits]),
            {
                split: float(np.mean([parts[i].mean() for parts in hits]))
                for i, split in enumerate(SPLITS)
            },
            float(np.mean(used)),
        )
    return pooled


def _hits(row: dict) -> np.ndarray:
    return np.array([hit == "1" for hit in row["hits"]])


def _recordings_of_tests(folder: Path) -> np.ndarray:
    names = [
        name
        for split in SPLITS
        for name in recordings(read_split(folder, split).test)
    ]
    return np.unique(names, return_inverse=True)[1]


def _bootstrap(hits: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(draws,) accuracies; every row draws the same recordings."""
    count = places.max() + 1
    sizes = np.bincount(places, minlength=count)
    right = np.bincount(places, hits, minlength=count)
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    return right[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
