"""The machine that figures were taken on, since a figure without one says nothing."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Its processor, cores, memory, system and Python, in one line."""
    about = Path("/proc/cpuinfo").read_text().split("model name")[1].split(":", 1)[1].split("\n", 1)[0].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} cores of an {about}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]},"
        f" CPython {platform.python_version()}"
    )
