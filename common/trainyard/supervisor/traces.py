"""OpenTelemetry: each run that has ended as one trace, a span for its wait and for each of its phases.

Where a span begins and ends follows from the run's transitions, which are kept on disk: a run that was taken up by
another service has one trace all the same. It belongs to the trace that its submit came with, if any. Where no
collector is named (`OTEL_EXPORTER_OTLP_ENDPOINT`, and the other variables of OpenTelemetry), nothing is made.
"""

import os
import threading
from datetime import datetime
from functools import partial

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trainyard.contract import Run, RunStatus, Transition, steps, without_notes
from trainyard.rundir.records import Submission
from trainyard.supervisor.blocking import Blocking

COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LAST_SECONDS = 2.0
"""How long a service that stops tries to be rid of its last spans."""
PROPAGATOR = TraceContextTextMapPropagator()


def traceparent() -> str | None:
    """The span that the call under way belongs to, as W3C's header has it; None where it belongs to none."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


class Traces:
    """Sends spans in the background. A collector that is away costs nothing but the spans."""

    def __init__(self, instance: str) -> None:
        self._provider = _provider(instance) if any(map(os.environ.get, COLLECTORS)) else None

    def ended(self, submission: Submission, run: Run) -> None:
        """Send the trace of this run, if spans are collected."""
        if self._provider is not None:
            _send(self._provider.get_tracer("trainyard"), submission, run)

    async def close(self, blocking: Blocking) -> None:
        """Send what is left, for a moment."""
        if self._provider is not None:
            sending = threading.Thread(target=self._provider.shutdown, daemon=True)
            sending.start()
            await blocking.run(partial(sending.join, LAST_SECONDS))


def _provider(instance: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": f"trainyard-{instance}"}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _send(tracer: Tracer, submission: Submission, run: Run) -> None:
    caller = PROPAGATOR.extract({"traceparent": submission.traceparent or ""})
    whole = tracer.start_span(
        f"{run.kind} {run.model}",
        context=caller,
        start_time=_nanoseconds(run.submitted_at),
        attributes=_attributes(run),
    )
    if run.status is RunStatus.FAILED:
        whole.set_status(Status(StatusCode.ERROR, f"{run.reason}: {run.message}"))
    within = set_span_in_context(whole)
    for began, following in steps(without_notes(run.transitions)):
        if following:
            part = tracer.start_span(
                _name(began), context=within, start_time=_nanoseconds(began.at)
            )
            part.end(_nanoseconds(following.at))
    whole.end(_nanoseconds(run.ended_at or run.transitions[-1].at))


def _name(step: Transition) -> str:
    return step.phase.value if step.phase else "waiting"


def _attributes(run: Run) -> dict[str, str | int]:
    told = {
        "trainyard.run_id": run.run_id,
        "trainyard.experiment": run.experiment,
        "trainyard.status": run.status.value,
        "trainyard.attempt": run.attempt,
        "trainyard.reason": run.reason.value if run.reason else None,
        "trainyard.submitted_by": run.submitted_by,
        "trainyard.team": run.team,
    }
    return {name: value for name, value in told.items() if value is not None}


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
