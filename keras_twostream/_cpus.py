"""The processors that this process may use."""

import os
import re
from pathlib import Path


def available_cpus() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lacks_bfloat16(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has no instructions for bfloat16.

    It is False where the system does not say, as on macOS and Windows.
    """
    try:
        text = facts.read_text("utf-8", "replace")
    except OSError:
        return False
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    names = flags[1].split() if flags else []
    return bool(names) and not any(
        name in ("avx512_bf16", "amx_bf16", "bf16") for name in names
    )
