"""Damaged files, thousands of them, each read in a process of its own."""

import importlib
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from campaign_parts import damage
from campaign_parts.cases import Outcome, run_case
from campaign_parts.results import LOST, Results
from campaign_parts.sample import Reading, Sample

_HALF = 0.75  # of the items; fewer, from a cut file, in silence, are a half


def run(
    samples: list[Sample],
    tries: int,
    seed: int,
    results: Results,
    work: Path,
    everything: list[Sample],
) -> None:
    """Damage every sample so many times; skip what was tried before.

    Args:
        samples: Samples to damage.
        tries: Cases of each.
        seed: Seed of all damage.
        results: Where outcomes go.
        work: Folder for the cases, and for inputs that were lost on.
        everything: Samples whose parts are spliced into others.
    """
    for sample in samples:
        numbers = [n for n in range(tries) if not results.has(sample.name, n)]
        if not numbers:
            continue
        began = time.monotonic()
        whole = reading_of(sample, work)
        for number in numbers:
            result = try_one(sample, number, seed, whole, everything, work)
            results.add(sample=sample.name, row=sample.row, **result)
        verdicts = results.verdicts(sample.name)
        seconds = time.monotonic() - began
        print(f"{sample.name}: {verdicts} {seconds:.0f} s", flush=True)


def reading_of(sample: Sample, work: Path) -> Reading:
    """Return the reading of the whole sample."""
    outcome = _run(sample, sample.files[sample.file], work)
    if outcome.verdict != "returned":
        sys.exit(f"{sample.name} cannot be read when whole: {outcome}")
    return Reading(*outcome.value)


def try_one(
    sample: Sample,
    number: int,
    seed: int,
    whole: Reading,
    samples: list[Sample],
    work: Path,
) -> dict[str, Any]:
    """Return the outcome of one case, which its numbers alone determine."""
    rng = random.Random(f"{seed}/{sample.name}/{number}")
    content = sample.files[sample.file]
    others = [x.files[x.file] for x in samples if x.row == sample.row]
    kind, data = damage.damaged(content, rng, sample.text, others)
    outcome = _run(sample, data, work)
    verdict, detail = _judge(sample, kind, data, whole, outcome, work)
    if verdict in LOST:
        _keep(sample, number, data, work)
    return {
        "number": number,
        "kind": kind,
        "verdict": verdict,
        "detail": detail,
        "seconds": round(outcome.seconds, 3),
    }


def _place(work: Path) -> Path:
    """Return the folder of this process's cases: several may share `work`."""
    return work / f"case-{os.getpid()}"


def _run(sample: Sample, data: bytes, work: Path) -> Outcome:
    folder = _place(work) / "inside"
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in {**sample.files, sample.file: data}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return run_case(lambda: list(sample.read(folder)), folder)


def _judge(
    sample: Sample,
    kind: str,
    data: bytes,
    whole: Reading,
    outcome: Outcome,
    work: Path,
) -> tuple[str, str]:
    if list(_place(work).rglob(damage.CANARY)):
        return "executed", str(outcome.value)
    if outcome.verdict == "refused":
        named = str(_place(work)) in outcome.value
        return ("refused" if named else "nameless"), outcome.value[:300]
    if outcome.verdict != "returned":
        return outcome.verdict, str(outcome.value)[:400]
    now = Reading(*outcome.value)
    if now.digest == whole.digest and now.items == whole.items:
        return "right", ""
    if now.aside:
        return "aside", now.aside[:300]
    if sample.exact:
        return "wrong", f"{now} for {whole}"
    cut = kind == "cut" and len(data) < len(sample.files[sample.file])
    if cut and sample.sealed and now.items < _HALF * whole.items:
        return "half", f"{now.items} of {whole.items}"
    return "as written", ""


def _keep(sample: Sample, number: int, data: bytes, work: Path) -> None:
    name = "".join(c if c.isalnum() else "_" for c in sample.name)
    folder = work / "lost" / f"{name}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in {**sample.files, sample.file: data}.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# What the names of each module's samples start with.
_FAMILIES = {
    "videos": ("video", "frames"),
    "texts": ("list", "boxes", "recipe", "cache", "set"),
    "tensors": ("weights", "model", "row"),
    "answers": ("hub", "web"),
}
_HEAVY_FAMILIES = {"scores": ("scores",), "runs": ("run", "weights")}


def all_samples(heavy: bool, only: list[str]) -> Iterator[Sample]:
    """Yield samples, by modules of which any is wanted.

    Args:
        heavy: Whether those that need Keras, or those that do not.
        only: Starts of the names that are wanted.
    """
    families = _HEAVY_FAMILIES if heavy else _FAMILIES
    for module, starts in families.items():
        if any(x.startswith(starts) or not x for x in only):
            found = importlib.import_module(f"campaign_parts.{module}")
            yield from found.samples()
