"""What files, kills, disks and sizes may do to the package, tried for real.

    python benchmarks/campaign.py mutations WORK [--tries 250] [--seed 0]
    python benchmarks/campaign.py kills WORK [--tries 50]
    python benchmarks/campaign.py disks WORK
    python benchmarks/campaign.py sizes WORK
    python benchmarks/campaign.py report WORK > docs/reliability.md

Every case runs in a process of its own, forked from one that has the libraries
imported, with limits on memory and time. Outcomes go to WORK/*.jsonl; a call
goes on where an earlier one stopped. Inputs that something was lost on stay in
WORK/lost, and the command fails; the next call tries them again.
`mutations WORK --only NAME --number N` repeats a single case, and `--heavy`
takes the formats whose readers need Keras.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
for pool in ("OMP_NUM", "OPENBLAS_NUM", "TF_NUM_INTRAOP"):
    os.environ.setdefault(f"{pool}_THREADS", "1")
TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> None:
    sys.path.append(str(TESTS))  # its loopback Hub and writers of weights
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for name, tries in (
        ("mutations", 250),
        ("kills", 50),
        ("disks", 10),
        ("sizes", 1),
        ("report", 0),
    ):
        part = parts.add_parser(name)
        part.add_argument("work", type=Path)
        part.add_argument("--tries", type=int, default=tries)
        part.add_argument("--seed", type=int, default=0)
        if name in ("mutations", "kills", "disks"):
            part.add_argument(
                "--only", nargs="+", default=[""], help="starts of names"
            )
            part.add_argument("--heavy", action="store_true", help="with Keras")
        if name == "mutations":
            part.add_argument("--number", type=int, help="a single case")
    given = parser.parse_args()
    given.work = given.work.resolve()
    PARTS[given.part](given)
    lost = losses(given.work / f"{given.part}.jsonl")
    if lost:
        sys.exit("\n".join(["Lost:", *lost]))


def losses(path: Path) -> list[str]:
    """Return a line for each case of a file of results that was lost."""
    from campaign_parts.results import LOST, Results

    rows = Results(path).rows if path.exists() else []
    return [
        f"{row['sample']} {row['number']}: {row['verdict']} {row['detail']}"
        for row in rows
        if row["verdict"] in LOST
    ]


def _mutations(given: argparse.Namespace) -> None:
    from campaign_parts import mutations
    from campaign_parts.results import Results

    results = Results(given.work / "mutations.jsonl")
    if given.heavy:
        import torch  # noqa: F401

        import keras_twostream.scoring.score_files  # noqa: F401
    everything = list(mutations.all_samples(given.heavy, given.only))
    chosen = [x for x in everything if x.name.startswith(tuple(given.only))]
    if given.number is None:
        mutations.run(
            chosen, given.tries, given.seed, results, given.work, everything
        )
        return
    for sample in chosen:
        whole = mutations.reading_of(sample, given.work)
        arguments = sample, given.number, given.seed, whole, everything
        print(sample.name, mutations.try_one(*arguments, given.work))


def _activities(given: argparse.Namespace) -> None:
    """Run a part whose cases are the activities."""
    from campaign_parts import activities, disks, kills, servers
    from campaign_parts.results import Results

    run = {"kills": kills.run, "disks": disks.run}[given.part]
    results = Results(given.work / f"{given.part}.jsonl")
    files = {"model.safetensors": activities.BODY, "w.pth": activities.BODY}
    with servers.hub({"me/net": files}) as endpoint:
        found = [*activities.light(endpoint)]
        if given.heavy:
            import tiny_net  # noqa: F401

            import keras_twostream.pretrained._tensors
            import keras_twostream.training._run  # noqa: F401

            found = [*activities.heavy()]
        chosen = [x for x in found if x.name.startswith(tuple(given.only))]
        run(chosen, given.tries, given.seed, results, given.work)


def _sizes(given: argparse.Namespace) -> None:
    from campaign_parts import sizes
    from campaign_parts.results import Results

    sizes.run(given.seed, Results(given.work / "sizes.jsonl"), given.work)


def _report(given: argparse.Namespace) -> None:
    from campaign_parts import report

    print(report.page(given.work))


PARTS = {
    "sizes": _sizes,
    "report": _report,
    "kills": _activities,
    "disks": _activities,
    "mutations": _mutations,
}

if __name__ == "__main__":
    main()
