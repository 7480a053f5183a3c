"""Work of a campaign that is disturbed, and what must hold afterwards."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from campaign_parts.cases import Outcome, run_case


class Activity(NamedTuple):
    """Work that may be disturbed, and what must hold then.

    Attributes:
        name: Its name.
        prepare: Function that fills an empty folder.
        work: Function that does the work in it, all or what is left.
        inspect: Function that raises where something half is taken for whole,
            afterwards.
        result: Function that returns a digest of what the work left.
        kills: Kills of one piece of work, before it may end.
    """

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    inspect: Callable[[Path], None]
    result: Callable[[Path], str]
    kills: int = 1

    def renew(self, folder: Path) -> None:
        """Empty a folder, and fill it as the work expects it."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.prepare(folder)

    def ask(self, question: Callable[[Path], object], folder: Path) -> Outcome:
        """Call one of the functions in a process of its own."""
        return run_case(lambda: question(folder), folder, bounded=False)
