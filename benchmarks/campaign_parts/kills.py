"""Kills (SIGKILL) at random instants, after which the work is done again."""

import itertools
import os
import random
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from campaign_parts.activity import Activity
from campaign_parts.cases import Outcome
from campaign_parts.results import Results


def run(
    activities: Iterable[Activity],
    tries: int,
    seed: int,
    results: Results,
    work: Path,
) -> None:
    """Kill every activity so many times; skip what was tried before.

    Args:
        activities: The activities.
        tries: Kills of each.
        seed: Seed of the instants.
        results: Where outcomes go.
        work: Folder for the cases.
    """
    for activity in activities:
        folder = work / f"kill-{os.getpid()}" / "inside"
        numbers = [n for n in range(tries) if not results.has(activity.name, n)]
        if not numbers:
            continue
        activity.renew(folder)
        began = time.monotonic()
        _must(activity.ask(activity.work, folder))
        seconds = time.monotonic() - began
        whole = _must(activity.ask(activity.result, folder))
        for attempt in itertools.count():
            if not numbers:
                break
            rng = random.Random(f"{seed}/{activity.name}/{attempt}")
            verdicts = _disturb(activity, folder, rng, seconds, whole)
            if not verdicts:  # it ended before the first kill
                seconds *= 0.9
            judged = zip(numbers, verdicts, strict=False)
            for number, (verdict, detail) in judged:
                results.add(
                    sample=activity.name,
                    row=activity.name,
                    number=number,
                    kind="kill",
                    verdict=verdict,
                    detail=detail,
                )
            del numbers[: len(verdicts)]
        print(activity.name, results.verdicts(activity.name), flush=True)


def _disturb(
    activity: Activity,
    folder: Path,
    rng: random.Random,
    seconds: float,
    whole: str,
) -> list[tuple[str, str]]:
    """Return the verdict on each kill of one piece of work."""
    activity.renew(folder)
    verdicts = []
    for _ in range(activity.kills):
        if not _killed(activity, folder, rng.uniform(0, seconds)):
            break
        found = activity.ask(activity.inspect, folder)
        fine = found.verdict == "returned"
        verdicts.append(("right" if fine else "half", str(found.value or "")))
    done = activity.ask(activity.work, folder)
    if done.verdict != "returned":
        return [("not resumed", str(done.value)) for _ in verdicts]
    now = _must(activity.ask(activity.result, folder))
    if now != whole:
        return [("other result", f"{now} for {whole}") for _ in verdicts]
    return verdicts


def _killed(activity: Activity, folder: Path, after: float) -> bool:
    """Start the work and kill it; return False if it ended before."""
    child = os.fork()
    if not child:
        try:
            os.setsid()
            output = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(output, stream)
            activity.work(folder)
        finally:
            os._exit(0)
    time.sleep(after)
    ended, _ = os.waitpid(child, os.WNOHANG)
    if ended:
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _must(outcome: Outcome) -> str:
    if outcome.verdict != "returned":
        raise RuntimeError(f"Without a kill: {outcome}")
    return outcome.value
