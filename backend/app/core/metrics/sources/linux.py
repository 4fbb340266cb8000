"""What Linux tells about a process and its container, in files; elsewhere most of it stays unknown."""

import os
import sys
import time
from pathlib import Path
from typing import Final

# docs.kernel.org/admin-guide/cgroup-v1/memory.html: without a limit it is the largest number of pages.
_NO_LIMIT: Final = 2**60


class Files:
    """The files, below a root that tests can choose.

    What is None is not known, 0 is no limit.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc = root / "proc" / "self"
        self._uptime = root / "proc" / "uptime"
        self._group = root / "sys" / "fs" / "cgroup"
        self._seen = time.monotonic()
        self._age_when_seen = self._read_age()

    def gauges(self) -> dict[str, float | None]:
        """Gauges of the catalogue by name."""
        return {
            "process_resident_memory_bytes": self.resident_bytes(),
            "process_memory_limit_bytes": self.memory_limit(),
            "process_cpu_limit_cores": self.cpu_limit(),
            "process_open_file_descriptors": self.open_files(),
            "process_file_descriptors_limit": self.file_limit(),
        }

    def age(self) -> float:
        """Seconds since the process started; where that is not told, since this object was made."""
        return self._age_when_seen + time.monotonic() - self._seen

    def resident_bytes(self) -> float | None:
        # man7.org/linux/man-pages/man5/proc_pid_statm.5.html: the second number, in pages.
        text = _read(self._proc / "statm").split()
        return float(text[1]) * os.sysconf("SC_PAGESIZE") if len(text) > 1 else None

    def memory_limit(self) -> float | None:
        """Of the container: cgroup v2, else v1."""
        text = _read(self._group / "memory.max") or _read(self._group / "memory" / "memory.limit_in_bytes")
        if text == "max":
            return 0.0
        limit = _number(text)
        return 0.0 if limit is not None and limit >= _NO_LIMIT else limit

    def memory_in_use(self) -> float | None:
        """Of the container, without the files that the kernel would give back first: cgroup v2, else v1.

        So counts Kubernetes: kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction#active-file-memory
        """
        current = _number(_read(self._group / "memory.current"))
        stat, name = _read(self._group / "memory.stat"), "inactive_file"
        if current is None:
            current = _number(_read(self._group / "memory" / "memory.usage_in_bytes"))
            stat, name = _read(self._group / "memory" / "memory.stat"), "total_inactive_file"
        if current is None:
            return None
        given_back = next((line.split()[1] for line in stat.splitlines() if line.split()[0] == name), "0")
        return max(0.0, current - (_number(given_back) or 0.0))

    def cpu_limit(self) -> float | None:
        """Processors of the container: cgroup v2, else v1."""
        quota, _, period = _read(self._group / "cpu.max").partition(" ")
        if not quota:
            quota = _read(self._group / "cpu" / "cpu.cfs_quota_us")
            period = _read(self._group / "cpu" / "cpu.cfs_period_us")
        if quota in {"max", "-1"}:
            return 0.0
        microseconds, each = _number(quota), _number(period)
        return microseconds / each if microseconds is not None and each else None

    def open_files(self) -> float | None:
        try:
            return float(len(os.listdir(self._proc / "fd")) - 1)  # noqa: PTH208  # names alone; one is this look
        except OSError:
            return None

    def file_limit(self) -> float | None:
        if sys.platform == "win32":
            return None
        import resource  # noqa: PLC0415  # POSIX only

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return 0.0 if soft == resource.RLIM_INFINITY else float(soft)

    def _read_age(self) -> float:
        # man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 22, in ticks since boot; the name before may hold
        # spaces and brackets.
        fields = _read(self._proc / "stat").rpartition(")")[2].split()
        uptime = _number(_read(self._uptime).partition(" ")[0])
        if len(fields) < 20 or uptime is None:  # noqa: PLR2004  # the 22nd, without the two before the bracket
            return 0.0
        return max(0.0, uptime - float(fields[19]) / os.sysconf("SC_CLK_TCK"))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
