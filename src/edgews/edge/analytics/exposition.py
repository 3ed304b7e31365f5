"""A report as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from .metrics import COUNTERS, GAUGES, HISTOGRAMS, OF_CLIENTS
from .reports import STATES

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
PREFIX: Final = "edgews_"


class ReportCollector(Collector):
    """Metrics of one report."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """Yield each metric with all its labels."""
        report = self._report
        for name, metric in COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, metric.help, labels=metric.labels)
            for labels, value in report["counters"][name]:
                counter.add_metric(labels, value)
            yield counter
        for name, metric in GAUGES.items():
            gauge = GaugeMetricFamily(PREFIX + name, metric.help, labels=metric.labels)
            for labels, value in report["gauges"][name]:
                gauge.add_metric(labels, value)
            yield gauge
        for name, metric in HISTOGRAMS.items():
            bounds = [*map(str, metric.bounds), "+Inf"]
            histogram = HistogramMetricFamily(PREFIX + name, metric.help, labels=metric.labels)
            for labels, counts, total in report["histograms"][name]:
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                histogram.add_metric(labels, buckets, sum_value=total)
            yield histogram
        yield from self._standing()

    def _standing(self) -> Iterable[Metric]:
        """Yield what limits and origins are at the moment."""
        report = self._report
        yield GaugeMetricFamily(PREFIX + "workers", "Processes that serve.", value=report["workers"])
        yield GaugeMetricFamily(
            PREFIX + "start_time_seconds", "When the first of them began to count.", value=report["since"]
        )
        limited = GaugeMetricFamily(
            PREFIX + "limit_connections", "Connections within a limit.", labels=("kind", "name")
        )
        allowed = GaugeMetricFamily(
            PREFIX + "limit_allowed", "Connections that a limit always allows.", labels=("kind", "name")
        )
        state = GaugeMetricFamily(
            PREFIX + "limit_state", "How a limit stands: 0 ok, 1 burst, 2 over.", labels=("kind", "name")
        )
        exceeded = GaugeMetricFamily(
            PREFIX + "limits_exceeded", "Hosts and clients above their limits.", labels=("kind", "state")
        )
        found = Counter((limit["kind"], limit["state"]) for limit in report["limits"])
        for kind in OF_CLIENTS:
            for word in ("burst", "over"):
                exceeded.add_metric((kind, word), found[kind, word])
        for limit in report["limits"]:
            if limit["kind"] in OF_CLIENTS:
                continue
            labels = (limit["kind"], limit["name"])
            limited.add_metric(labels, limit["count"])
            allowed.add_metric(labels, limit["soft"])
            state.add_metric(labels, STATES.index(limit["state"]))
        yield from (limited, allowed, state, exceeded)
        active = GaugeMetricFamily(
            PREFIX + "origin_connections", "Connections of an origin.", labels=("route", "origin")
        )
        up = GaugeMetricFamily(
            PREFIX + "origin_up", "Whether an origin can be reached.", labels=("route", "origin")
        )
        for origin in report["origins"]:
            labels = (origin["route"], origin["origin"])
            active.add_metric(labels, origin["active"])
            up.add_metric(labels, origin["state"] == "ok")
        yield from (active, up)


def exposition(report: dict[str, Any]) -> bytes:
    """Return the text that Prometheus fetches."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ReportCollector(report))
    return generate_latest(registry)
