"""What the processes of one instance use, read from /proc; where there is none (macOS), nothing is known."""

import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Places after the name in /proc/PID/stat (man 5 proc): pgrp 5, utime 14, stime 15, rss 24.
_GROUP, _USER, _SYSTEM, _RSS = 2, 11, 12, 21


class Usage(NamedTuple):
    cpu_seconds: float
    """Of the processes that live; what ended ones used is gone."""
    memory_bytes: int


def usage_of(group: int) -> Usage | None:
    """Of all processes of a process group; None where it cannot be known."""
    if not _PROC.is_dir():
        return None
    cpu = memory = 0
    found = False
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if int(fields[_GROUP]) == group:
            found = True
            cpu += int(fields[_USER]) + int(fields[_SYSTEM])
            memory += int(fields[_RSS]) * _PAGE
    return Usage(cpu / _TICKS, memory) if found else None
