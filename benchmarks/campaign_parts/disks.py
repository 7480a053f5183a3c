"""Full and read-only disks, and two processes on one folder."""

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from campaign_parts.activity import Activity
from campaign_parts.cases import Outcome, finish, start
from campaign_parts.results import Results

_ROOM = 256 << 20  # bytes of a disk that is large enough
_PAGE = 4096


def run(
    activities: Iterable[Activity],
    tries: int,
    seed: int,
    results: Results,
    work: Path,
) -> None:
    """Let the disk of every activity be full, read-only, and shared.

    Args:
        activities: The activities.
        tries: Sizes of a full disk, and pairs of processes; a read-only disk
            is tried once.
        seed: Seed of the sizes.
        results: Where outcomes go.
        work: Folder for the disks; only root may mount them.
    """
    for activity in activities:
        for kind, count, attempt in (
            ("full disk", tries, _full),
            ("read-only disk", 1, _read_only),
            ("two processes", tries, _two),
        ):
            name = f"{kind}: {activity.name}"
            for number in range(count):
                if results.has(name, number):
                    continue
                rng = random.Random(f"{seed}/{name}/{number}")
                place = work / f"disk-{os.getpid()}"
                with _disk(place):
                    verdict, detail = attempt(activity, place / "inside", rng)
                results.add(
                    sample=name,
                    row=kind,
                    number=number,
                    kind=kind,
                    verdict=verdict,
                    detail=detail[:300],
                )
            print(name, results.verdicts(name), flush=True)


# === Three kinds of trouble ===


def _full(
    activity: Activity, folder: Path, rng: random.Random
) -> tuple[str, str]:
    whole, before, after = _undisturbed(activity, folder)
    activity.renew(folder)
    size = before + int(rng.uniform(0.02, 0.98) * (after - before))
    _remount(folder.parent, f"size={max(size, before) // _PAGE * _PAGE}")
    refused = activity.ask(activity.work, folder)
    return _recovered(activity, folder, refused, whole)


def _read_only(
    activity: Activity, folder: Path, _: random.Random
) -> tuple[str, str]:
    whole, _, _ = _undisturbed(activity, folder)
    activity.renew(folder)
    _remount(folder.parent, "ro")
    refused = activity.ask(activity.work, folder)
    return _recovered(activity, folder, refused, whole)


def _two(activity: Activity, folder: Path, _: random.Random) -> tuple[str, str]:
    whole, _, _ = _undisturbed(activity, folder)
    activity.renew(folder)
    both = [
        start(lambda: activity.work(folder), folder, bounded=False)
        for _ in range(2)
    ]
    for outcome in [finish(case) for case in both]:
        if outcome.verdict not in ("returned", "refused"):
            return outcome.verdict, str(outcome.value)
    return _same(activity, folder, whole, "right")


def _recovered(
    activity: Activity, folder: Path, refused: Outcome, whole: str
) -> tuple[str, str]:
    """Judge the refusal, what it left, and the next call with room."""
    _remount(folder.parent, f"rw,size={_ROOM}")
    if refused.verdict == "returned":
        return _same(activity, folder, whole, "right")
    if refused.verdict != "refused":
        return refused.verdict, str(refused.value)
    found = activity.ask(activity.inspect, folder)
    if found.verdict != "returned":
        return "half", str(found.value)
    again = activity.ask(activity.work, folder)
    if again.verdict != "returned":
        return "not resumed", str(again.value)
    return _same(activity, folder, whole, "refused", str(refused.value))


def _same(
    activity: Activity,
    folder: Path,
    whole: str,
    verdict: str,
    detail: str = "",
) -> tuple[str, str]:
    now = activity.ask(activity.result, folder)
    if now.verdict != "returned" or now.value != whole:
        return "other result", f"{now.value} for {whole}"
    return verdict, detail


def _undisturbed(activity: Activity, folder: Path) -> tuple[str, int, int]:
    """Return the result, and the bytes in use before and after the work."""
    activity.renew(folder)
    before = _used(folder)
    outcome = activity.ask(activity.work, folder)
    after = _used(folder)
    now = activity.ask(activity.result, folder)
    if (outcome.verdict, now.verdict) != ("returned", "returned"):
        raise RuntimeError(f"On a large disk: {outcome}, {now}")
    return now.value, before, after


# === Disks ===


@contextlib.contextmanager
def _disk(place: Path) -> Iterator[None]:
    """Mount a disk in memory for a block."""
    place.mkdir(parents=True, exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(place))
    try:
        yield
    finally:
        _call("umount", "-l", str(place))
        place.rmdir()


def _remount(place: Path, options: str) -> None:
    _call("mount", "-o", f"remount,{options}", str(place))


def _used(folder: Path) -> int:
    return shutil.disk_usage(folder).used


def _call(*command: str) -> None:
    subprocess.run(command, check=True)
