"""What a service counts and times, as Prometheus reads it."""

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from trainyard.contract import Phase, Reason, RunStatus, ScoreRequest, TrainRequest
from trainyard.supervisor.measures import Measures, label_of


def read(measures: Measures) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, *(f"{name}={sample.labels[name]}" for name in sorted(sample.labels))): (
            sample.value
        )
        for family in text_string_to_metric_families(generate_latest(measures.registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_model_that_is_trained_has_a_series_of_its_own_and_all_that_score_have_one() -> None:
    data = {"source": "builtin", "name": "iris"}
    trained = TrainRequest.model_validate({"model": "mlp", "data": data})
    scored = [
        ScoreRequest.model_validate({"model_uri": f"models:/m/{number}", "data": data})
        for number in (1, 2)
    ]
    assert [label_of(each) for each in (trained, *scored)] == ["mlp", "score", "score"]


def test_the_queue_and_the_slots_are_read_when_they_are_asked_for() -> None:
    measures, queue = Measures(), ["a run"]
    measures.watch(
        queued=lambda: len(queue), running=lambda: 2, slots=lambda: 4, queue_limit=lambda: 100
    )
    queue.append("another")
    samples = read(measures)
    assert samples["trainyard_runs_queued",] == 2
    assert samples["trainyard_runs_running",] == 2
    assert samples["trainyard_slots",] == 4
    assert samples["trainyard_queue_limit",] == 100


def test_a_life_is_counted_and_timed_by_model() -> None:
    measures = Measures()
    measures.accepted("cnn")
    measures.waited("cnn", 0.3)
    measures.phase_took("cnn", Phase.TRAINING, 61.0)
    measures.phase_took("cnn", Phase.TRAINING, 3.0)
    measures.ended("cnn", RunStatus.FINISHED, None)
    measures.ended("mlp", RunStatus.FAILED, Reason.DISK_FULL, 70.0)
    samples = read(measures)
    assert samples["trainyard_runs_accepted_total", "model=cnn"] == 1
    assert samples["trainyard_queue_wait_seconds_sum", "model=cnn"] == 0.3
    assert samples["trainyard_queue_wait_seconds_bucket", "le=0.25", "model=cnn"] == 0
    assert samples["trainyard_queue_wait_seconds_bucket", "le=0.5", "model=cnn"] == 1
    training = ("model=cnn", "phase=training")
    assert samples["trainyard_run_phase_seconds_sum", *training] == 64.0
    assert samples["trainyard_run_phase_seconds_bucket", "le=60.0", *training] == 1
    full = ("model=mlp", "reason=disk_full")
    assert samples["trainyard_run_seconds_bucket", "le=60.0", *full] == 0
    assert samples["trainyard_run_seconds_bucket", "le=150.0", *full] == 1
    ended = "trainyard_runs_ended_total"
    assert samples[ended, "model=cnn", "reason=", "status=FINISHED"] == 1
    assert samples[ended, "model=mlp", "reason=disk_full", "status=FAILED"] == 1


def test_two_services_in_one_process_do_not_share_their_counts() -> None:
    first, second = Measures(), Measures()
    first.accepted("cnn")
    assert ("trainyard_runs_accepted_total", "model=cnn") not in read(second)
