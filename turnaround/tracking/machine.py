"""What this machine does while runs are running: processor, memory, disk, network, GPUs."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


class Reading(NamedTuple):
    """What was seen at one moment, under the names by which MLflow's UI knows system metrics."""

    time: float
    values: dict[str, float]


class Machine:
    """MLflow's own monitors, read by us.

    The monitor is never started: its thread would write on its own, and end at the first error.
    Its readings travel with the run's other metrics. GPUs are seen where nvidia-ml-py is installed.
    """

    def __init__(self, uri: str) -> None:
        self._monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]  # MLflow's
            "", tracking_uri=uri
        )
        self._interval = float(self._monitor.sampling_interval)  # 10 s, or MLflow's variable for it
        self._latest = Reading(0.0, {})

    def read(self, now: float) -> Reading:
        """The latest reading, at most one interval old."""
        if now - self._latest.time >= self._interval:
            self._monitor.collect_metrics()
            values = self._monitor.aggregate_metrics()
            self._latest = Reading(now, {f"system/{k}": float(v) for k, v in values.items()})
            for monitor in self._monitor.monitors:
                monitor.clear_metrics()
        return self._latest
