"""NVIDIA GPUs through NVML, the driver's own library, when there is one. No package is needed for it.

Loaded by name with ctypes, as nvidia-smi does. Every call may fail by itself (a laptop without power sensors,
a card that fell off the bus): what a card does not say is left out.
"""

from __future__ import annotations

import ctypes

LIBRARY = "libnvidia-ml.so.1"
GPUS_LIMIT = 16
NAME_BYTES = 96
TEMPERATURE_OF_GPU = 0
MILLIWATTS = 1000.0


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Gpus:
    """The cards of this machine, in the driver's order.

    Args:
        library: name of the shared library.

    Raises:
        OSError: there is no driver, or it does not start.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        self._nvml = ctypes.CDLL(library)
        self._handles: list[ctypes.c_void_p] = []
        if self._nvml.nvmlInit_v2() != 0:
            raise OSError(f"{library} does not start")
        count = ctypes.c_uint()
        if self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            raise OSError(f"{library} does not count its devices")
        for index in range(min(count.value, GPUS_LIMIT)):
            handle = ctypes.c_void_p()
            if self._nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) == 0:
                self._handles.append(handle)

    def names(self) -> list[dict[str, object]]:
        """Return name and memory of each card."""
        found: list[dict[str, object]] = []
        for handle in self._handles:
            name = ctypes.create_string_buffer(NAME_BYTES)
            facts: dict[str, object] = {}
            if self._nvml.nvmlDeviceGetName(handle, name, ctypes.c_uint(NAME_BYTES)) == 0:
                facts["name"] = name.value.decode("utf-8", "replace")
            memory = _Memory()
            if self._nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
                facts["memory_bytes"] = memory.total
            found.append(facts)
        return found

    def sample(self) -> dict[str, float]:
        """Return utilisation, memory, temperature and power of each card now, as metric name → number."""
        values: dict[str, float] = {}
        for index, handle in enumerate(self._handles):
            place = f"system/gpu{index}"
            use, memory = _Utilization(), _Memory()
            degrees, power = ctypes.c_uint(), ctypes.c_uint()
            if self._nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(use)) == 0:
                values[f"{place}/utilization_percent"] = float(use.gpu)
            if self._nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0 and memory.total:
                values[f"{place}/memory_percent"] = 100.0 * memory.used / memory.total
            kind = ctypes.c_uint(TEMPERATURE_OF_GPU)
            if self._nvml.nvmlDeviceGetTemperature(handle, kind, ctypes.byref(degrees)) == 0:
                values[f"{place}/temperature_celsius"] = float(degrees.value)
            if self._nvml.nvmlDeviceGetPowerUsage(handle, ctypes.byref(power)) == 0:
                values[f"{place}/power_watts"] = power.value / MILLIWATTS
        return values

    def close(self) -> None:
        """Let go of the driver."""
        self._nvml.nvmlShutdown()


def find_gpus() -> Gpus | None:
    """Return the cards, or None where there is no driver."""
    try:
        return Gpus()
    except (OSError, AttributeError):
        return None


def gpu_facts() -> list[dict[str, object]]:
    """Return name and memory of each card; empty where there is none."""
    gpus = find_gpus()
    if gpus is None:
        return []
    try:
        return gpus.names()
    finally:
        gpus.close()
