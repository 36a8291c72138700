"""Description of the machine that runs a benchmark."""

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Return the machine's cores, processor, memory, kernel and Python version in one line. Works on Linux only."""
    processor = Path("/proc/cpuinfo").read_text().split("model name")[1].split(":", 1)[1].split("\n", 1)[0].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} cores of an {processor}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]},"
        f" CPython {platform.python_version()}"
    )
