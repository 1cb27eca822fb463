"""
CPU and memory of processes, read from the kernel: what something costs is what its own processes used.

CPU is summed over threads from `schedstat` (nanoseconds); `stat` counts in ticks of 10 ms, and stands in where the
kernel keeps none. Memory is the resident set, and its peak. Linux only.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds that processes have used since they began, system calls included."""
    return sum(map(_cpu_s, pids))


def rss_mb(pids: Iterable[int], *, peak: bool = False) -> float:
    """Return the megabytes (10⁶ bytes) that are resident, or were at most."""
    return sum(_status_kb(pid, "VmHWM:" if peak else "VmRSS:") for pid in pids) * 1024 / 1e6


async def wake_up_us(pause_s: float = 0.01) -> float:
    """
    Return what it costs this machine to wake a process that sleeps: on virtual ones it may be most of a small figure.
    """
    began = time.process_time()
    for _ in range(100):
        await asyncio.sleep(pause_s)
    return (time.process_time() - began) * 1e6 / 100


def family(pid: int) -> list[int]:
    """Return a process and all that it has started, for programs that serve from workers."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _cpu_s(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except FileNotFoundError:
        used, system = _fields(Path(f"/proc/{pid}"))[11:13]
        return (int(used) + int(system)) / _TICKS


def _status_kb(pid: int, name: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(name)[2].split()[0])


def _parent(entry: Path) -> int:
    try:
        return int(_fields(entry)[1])
    except FileNotFoundError:
        return 0  # it has ended meanwhile


def _fields(entry: Path) -> list[str]:
    """Return the fields of `stat` after the name, which may hold anything."""
    return (entry / "stat").read_text().rpartition(")")[2].split()
