"""A run as OpenTelemetry shows it: within its caller's trace, a span for its wait and for each phase."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import asked_for, over_the_supervisor
from opentelemetry import context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from receiver import Receiver, receiving
from trainyard.api.tracing import Traced
from trainyard.client import calls
from trainyard.contract import Phase, Reason, RunStatus
from trainyard.rundir.folder import RunFolder
from trainyard.supervisor.traces import PROPAGATOR, traceparent

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = bytes.fromhex(CALLER[3:35]), bytes.fromhex(CALLER[36:52])


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def spans(collector: Receiver) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for message in collector.messages:
        for resource in ExportTraceServiceRequest.FromString(message.body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert named["service.name"] == "trainyard-svc"
            for scope in resource.scope_spans:
                found |= {span.name: span for span in scope.spans}
    return found


async def one_run(home: Path, reason: Reason | None = None) -> None:
    async with over_the_supervisor(home) as yard:
        token = context.attach(PROPAGATOR.extract({"traceparent": CALLER}))
        run, _ = await yard.runs.submit(asked_for(), None)
        context.detach(token)
        process = await yard.process(run.run_id)
        for phase in (Phase.LOADING_DATA, Phase.TRAINING, Phase.EVALUATING):
            process.enter(phase)
            process.note("still there")
        await yard.end(run.run_id, RunStatus.FAILED if reason else RunStatus.FINISHED, reason)


def test_a_run_is_a_trace_below_its_caller_whose_spans_follow_one_another(
    tmp_path: Path, collector: Receiver
):
    asyncio.run(one_run(tmp_path))
    found = spans(collector)
    whole = found.pop("train ticking")
    assert [*found] == ["waiting", "starting", "loading_data", "training", "evaluating"]
    assert (whole.trace_id, whole.parent_span_id) == (TRACE, PARENT)
    assert {(each.trace_id, each.parent_span_id) for each in found.values()} == {
        (TRACE, whole.span_id)
    }
    steps = [*found.values()]
    assert [each.end_time_unix_nano for each in steps[:-1]] == [
        each.start_time_unix_nano for each in steps[1:]
    ]
    assert steps[0].start_time_unix_nano == whole.start_time_unix_nano
    assert steps[-1].end_time_unix_nano == whole.end_time_unix_nano
    assert whole.status.code == Status.STATUS_CODE_UNSET


def test_a_run_that_failed_says_why(tmp_path: Path, collector: Receiver):
    asyncio.run(one_run(tmp_path, Reason.DIVERGED))
    whole = spans(collector)["train ticking"]
    assert whole.status.code == Status.STATUS_CODE_ERROR
    assert whole.status.message.startswith("diverged")


def test_without_a_collector_the_callers_span_is_kept_for_a_later_service(tmp_path: Path):
    asyncio.run(one_run(tmp_path))
    (folder,) = (tmp_path / "runs").iterdir()
    submission = RunFolder(folder).submission()
    assert submission is not None
    assert submission.traceparent == CALLER


def test_a_client_within_a_trace_says_so_and_one_without_does_not():
    token = context.attach(PROPAGATOR.extract({"traceparent": CALLER}))
    within = calls.submit(asked_for()).headers
    context.detach(token)
    assert within["traceparent"] == CALLER
    assert "traceparent" not in calls.submit(asked_for()).headers


@pytest.mark.parametrize(
    ("header", "kept"), [(CALLER, CALLER), ("00-nonsense-01", None), (None, None)]
)
def test_a_call_is_answered_within_the_trace_that_its_header_names(
    header: str | None, kept: str | None
):
    seen: list[str | None] = []

    async def app(*_: Any) -> None:
        seen.append(traceparent())

    async def nothing(*_: Any) -> Any:
        pass

    headers = [(b"traceparent", header.encode())] if header else []
    asyncio.run(Traced(app)({"type": "http", "headers": headers}, nothing, nothing))
    assert seen == [kept]
    assert traceparent() is None
