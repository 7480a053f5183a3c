"""Accuracy on six classes of UCF-101, in stages that can be resumed.

    python benchmarks/accuracy.py baseline ucf101_six
    python benchmarks/accuracy.py train ucf101_six --cache cache
    python benchmarks/accuracy.py fusion ucf101_six --cache cache
    python benchmarks/accuracy.py probe ucf101_six [--values bvlc.safetensors]
    python benchmarks/accuracy.py curve ucf101_six [--values bvlc.safetensors]
    python benchmarks/accuracy.py finetune ucf101_six --cache cache
    python benchmarks/accuracy.py report ucf101_six > benchmarks/accuracy.md
    python benchmarks/accuracy.py publish ucf101_six

`ucf101_six` holds one folder of videos per class and `ucfTrainTestlist`. What
was measured before is not measured again. Results go to `--results`, models
and scores to `--work`.
"""

import argparse
import itertools
from pathlib import Path

from accuracy_parts.results import (
    GOOGLENET,
    INITS,
    PROBES,
    SPLITS,
    SYSTEMS,
    Results,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    stages = parser.add_subparsers(dest="stage", required=True)
    _stage(stages, "baseline", "histograms and logistic regression")
    train = _stage(stages, "train", "networks by system, start, split, seed")
    train.add_argument("--systems", nargs="+", default=SYSTEMS)
    train.add_argument("--inits", nargs="+", default=INITS[:2])
    fuse = _stage(stages, "fusion", "six operators on the same towers")
    fine = _stage(stages, "finetune", "GoogLeNet from ImageNet and from none")
    fine.add_argument("--systems", nargs="+", default=tuple(GOOGLENET))
    fine.add_argument("--inits", nargs="+", default=("imagenet", "random"))
    for stage in (train, fuse, fine):
        stage.add_argument("--cache", required=True, help="packed cache")
        stage.add_argument("--splits", nargs="+", type=int, default=SPLITS)
        stage.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
        stage.add_argument("--epochs", type=int, default=20)
    probe = _stage(stages, "probe", "a linear classifier on frozen features")
    curve = _stage(stages, "curve", "the same with 5 to 50 videos a class")
    for stage in (probe, curve):
        stage.add_argument("--starts", nargs="+", default=PROBES)
        stage.add_argument("--frames", type=int, default=3, help="clips")
    for stage in (probe, curve, fine):
        stage.add_argument("--values", type=Path, help="BVLC's, safetensors")
    _stage(stages, "report", "tables in markdown")
    _stage(stages, "publish", "the checkpoint for weights/")
    given = parser.parse_args()
    STAGES[given.stage](given, Results(given.results))


# A stage imports what it needs: a report needs no network.


def _baseline(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import baseline

    baseline.run(given.data, results, given.work)


def _train(given: argparse.Namespace, results: Results) -> None:
    study = _study(given, results)
    # All systems with one seed come before any with the next.
    for seed, init, system, split in itertools.product(
        given.seeds, given.inits, given.systems, given.splits
    ):
        study.measure(system, init, split, seed)


def _fusion(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import fusion

    study = _study(given, results)
    for seed, split in itertools.product(given.seeds, given.splits):
        fusion.measure(study, split, seed)


def _features(given: argparse.Namespace):
    from accuracy_parts.probe import Features

    work = given.work / "probe"
    return Features(given.data, work, given.frames, given.values)


def _probe(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import probe

    probe.run(_features(given), given.starts, results)


def _curve(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import probe

    print(probe.curve(_features(given), given.starts))


def _study(given: argparse.Namespace, results: Results):
    from accuracy_parts.runs import Study

    cache, epochs = getattr(given, "cache", ""), getattr(given, "epochs", 0)
    values = getattr(given, "values", None)
    return Study(given.data, cache, given.work, results, epochs, values)


def _report(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import report

    print(report.tables(given.data, results))


def _publish(given: argparse.Namespace, results: Results) -> None:
    from accuracy_parts import publish

    weights = Path(__file__).parents[1] / "weights"
    publish.publish(_study(given, results), results, weights)


STAGES = {
    "baseline": _baseline,
    "train": _train,
    "fusion": _fusion,
    "finetune": _train,
    "probe": _probe,
    "curve": _curve,
    "report": _report,
    "publish": _publish,
}


def _stage(stages, name: str, words: str) -> argparse.ArgumentParser:
    stage = stages.add_parser(name, help=words)
    stage.add_argument("data", type=Path, help="the folder ucf101_six")
    here = Path(__file__).parent
    stage.add_argument("--results", type=Path, default=here / "accuracy.jsonl")
    stage.add_argument("--work", type=Path, default=Path("runs/accuracy"))
    return stage


if __name__ == "__main__":
    main()
