"""The monitor of a run's system metrics: nobody waits for its start, and nothing fails with it."""

import pytest

pytest.importorskip("mlflow")

from trainyard.worker.system_metrics import SystemMetrics


def test_a_monitor_that_cannot_start_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "often")
    system_metrics = SystemMetrics("some-run", at_once=False)
    system_metrics.finish()
    assert not capsys.readouterr().out, "it was not begun: the run ended before"
    system_metrics.start()
    system_metrics.finish()
    assert capsys.readouterr().out.startswith("no system metrics: ")
