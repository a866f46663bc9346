"""How busy the machine is: CPU, memory, disk, network, GPUs, as `system/…` numbers.

On Linux out of /proc, which costs a tenth of a millisecond and no package; elsewhere through psutil when it
is installed. Rates are over the time since the sample before. Knows no run.
"""

from __future__ import annotations

import os
import shutil
import time

from deepevent.gpus import find_gpus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Source(Protocol):
        """Where the counters come from."""

        def counters(self) -> dict[str, float]:
            """Return counters that only rise: `cpu`, `cpu_idle` (s), `process_cpu` (s), bytes of the rest."""
            ...

        def levels(self) -> dict[str, float]:
            """Return what is measured at one moment, under its metric's name."""
            ...


SECTOR_BYTES = 512
VIRTUAL_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
CPU_FIELDS = 8  # user, nice, system, idle, iowait, irq, softirq, steal: guests are counted in user
RATES = {
    "disk_read": "system/disk_read_bytes_per_s",
    "disk_written": "system/disk_written_bytes_per_s",
    "received": "system/network_received_bytes_per_s",
    "sent": "system/network_sent_bytes_per_s",
}


class ProcSource:
    """Counters of Linux.

    Args:
        folder: `/proc`.
    """

    def __init__(self, folder: str = "/proc") -> None:
        self._folder = folder
        self._ticks_per_s = float(os.sysconf("SC_CLK_TCK"))
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def counters(self) -> dict[str, float]:
        """Return the counters that this kernel has."""
        found: dict[str, float] = {}
        for part in (self._cpu, self._process, self._disks, self._networks):
            try:
                found |= part()
            except (OSError, ValueError, IndexError):  # not in this kernel, or hidden from this container
                continue
        return found

    def levels(self) -> dict[str, float]:
        """Return memory in use, of the machine and of this process."""
        found: dict[str, float] = {}
        try:
            lines = [line.partition(":") for line in self._lines("meminfo")]
            memory = {name: float(rest.split()[0]) for name, _, rest in lines}
            found["system/memory_percent"] = 100.0 * (1.0 - memory["MemAvailable"] / memory["MemTotal"])
            resident = int(self._lines("self/statm")[0].split()[1])
            found["system/process_memory_bytes"] = float(resident * self._page_bytes)
        except (OSError, ValueError, IndexError, KeyError, ZeroDivisionError):
            return found
        return found

    def _lines(self, name: str) -> list[str]:
        with open(f"{self._folder}/{name}", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().splitlines()

    def _cpu(self) -> dict[str, float]:
        ticks = [int(word) for word in self._lines("stat")[0].split()[1 : CPU_FIELDS + 1]]
        return {"cpu": sum(ticks) / self._ticks_per_s, "cpu_idle": sum(ticks[3:5]) / self._ticks_per_s}

    def _process(self) -> dict[str, float]:
        words = self._lines("self/stat")[0].rpartition(")")[2].split()
        return {"process_cpu": (int(words[11]) + int(words[12])) / self._ticks_per_s}

    def _disks(self) -> dict[str, float]:
        read = written = 0
        for line in self._lines("diskstats"):
            words = line.split()
            name = words[2]
            # Whole disks alone: their partitions would count everything twice.
            if not name.startswith(VIRTUAL_DISKS) and os.path.isdir(f"/sys/block/{name}"):  # noqa: PTH112
                read += int(words[5])
                written += int(words[9])
        return {"disk_read": float(read * SECTOR_BYTES), "disk_written": float(written * SECTOR_BYTES)}

    def _networks(self) -> dict[str, float]:
        received = sent = 0
        for line in self._lines("net/dev")[2:]:
            name, _, rest = line.partition(":")
            if name.strip() != "lo":
                words = rest.split()
                received += int(words[0])
                sent += int(words[8])
        return {"received": float(received), "sent": float(sent)}


class PsutilSource:
    """Counters of other systems.

    Raises:
        ModuleNotFoundError: psutil is not installed.
    """

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()

    def counters(self) -> dict[str, float]:
        """Return the counters that this system has."""
        times = self._psutil.cpu_times()
        own = self._process.cpu_times()
        disks, networks = self._psutil.disk_io_counters(), self._psutil.net_io_counters()
        found = {
            "cpu": float(sum(times[:CPU_FIELDS])),
            "cpu_idle": float(times.idle + getattr(times, "iowait", 0.0)),
            "process_cpu": float(own.user + own.system),
        }
        if disks is not None:
            found |= {"disk_read": float(disks.read_bytes), "disk_written": float(disks.write_bytes)}
        if networks is not None:
            found |= {"received": float(networks.bytes_recv), "sent": float(networks.bytes_sent)}
        return found

    def levels(self) -> dict[str, float]:
        """Return memory in use, of the machine and of this process."""
        return {
            "system/memory_percent": float(self._psutil.virtual_memory().percent),
            "system/process_memory_bytes": float(self._process.memory_info().rss),
        }


class Machine:
    """Samples one machine.

    Args:
        source: of the counters.
        disk: a folder on the disk whose filling is watched.
        clock: seconds.
    """

    def __init__(self, source: Source, disk: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._disk = disk
        self._clock = clock
        self._gpus = find_gpus()
        self._before = source.counters()
        self._at = clock()

    def sample(self) -> dict[str, float]:
        """Return metric name → number; rates are over the time since the sample before."""
        now, counters = self._clock(), self._source.counters()
        passed_s = now - self._at
        grown = {
            name: max(0.0, value - self._before[name])
            for name, value in counters.items()
            if name in self._before
        }
        self._before, self._at = counters, now
        values: dict[str, float] = {}
        if grown.get("cpu"):
            busy = 1.0 - min(1.0, grown["cpu_idle"] / grown["cpu"])
            values["system/cpu_percent"] = 100.0 * busy
        if passed_s > 0:
            if "process_cpu" in grown:
                values["system/process_cpu_percent"] = 100.0 * grown["process_cpu"] / passed_s
            values |= {RATES[name]: grown[name] / passed_s for name in RATES if name in grown}
        values |= self._source.levels()
        try:
            use = shutil.disk_usage(self._disk)
            values["system/disk_percent"] = 100.0 * use.used / max(1, use.total)
        except OSError:
            pass
        if self._gpus is not None:
            values |= self._gpus.sample()
        return values

    def close(self) -> None:
        """Let go of the driver."""
        if self._gpus is not None:
            self._gpus.close()


def find_source() -> Source | None:
    """Return where this system's counters come from, or None if it has none that we know."""
    if os.path.isfile("/proc/stat"):  # noqa: PTH113
        return ProcSource()
    try:
        return PsutilSource()
    except ModuleNotFoundError:
        return None
