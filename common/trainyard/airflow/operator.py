"""The training task."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from pydantic import ValidationError

from trainyard.airflow import waiting
from trainyard.airflow.connection import find
from trainyard.airflow.links import MlflowRunLink, RegisteredModelLink
from trainyard.airflow.trigger import SubmitTrigger, TrainTrigger
from trainyard.calls import KEY
from trainyard.client import AsyncTrainyardClient, TrainyardClient, may_pass
from trainyard.complaints import complaints
from trainyard.contract import Reason, Run, RunStatus, TrainRequest
from trainyard.errors import KeyReused, RequestError, TrainyardError

RUN_ID = "run_id"
QUICK_SECONDS = 2.0
CANCEL_ATTEMPTS = 3


class TrainOperator(BaseOperator):
    """Trains a model in a Trainyard service, and gives back the run.

    One task instance is one run: the Idempotency-Key is made of dag, run, task and map index, so that a
    worker that dies, a retry or a restarted scheduler finds the run that is under way. A retry after a failed
    run trains the next attempt. A service that is away, restarting or full is waited for.

    The result is a small dictionary, each part of which is an XCom of its own too: `run_id` (MLflow's, there
    before the wait begins), `status`, `model_uri`, `registered` and `metrics`.

    :param request: The body of `POST /train`; templated, in all its depth. A value from the DAG's params keeps
        its type as `dag.param("max_depth")`; from a Jinja string it would be a string. (templated)
    :param conn_id: The HTTP connection of the service; its password is the service's token. (templated)
    :param deferrable: Wait in the triggerer, holding no worker slot; otherwise in the worker.
    :param wait_seconds: How long the service holds each question unless the run ends, 1 to 60. The end is known
        at once in any case; this is how often progress comes into the task's log. 30 is two requests a minute.
    :param cancel_on_kill: Cancel the run when the task is cleared, marked or killed.
    :param log_lines: How many of the run's last lines a failure brings into the task's log.
    """

    template_fields: Sequence[str] = ("request", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"request": "json"}
    operator_extra_links: Sequence[BaseOperatorLink] = (MlflowRunLink(), RegisteredModelLink())
    ui_color = "#e8f1fb"

    def __init__(  # noqa: PLR0913 - each by name
        self, *, request: Mapping[str, Any], conn_id: str, deferrable: bool = True, wait_seconds: int = 30,
        cancel_on_kill: bool = True, log_lines: int = 20, multiple_outputs: bool = True, **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.request = request
        self.conn_id = conn_id
        self.deferrable = deferrable
        self.wait_seconds = wait_seconds
        self.cancel_on_kill = cancel_on_kill
        self.log_lines = log_lines
        self.trained: Run | None = None
        self._killed = False

    # The way of a task: execute, then perhaps `submitted` and `ended` after a wait in the triggerer each.

    def execute(self, context: Any) -> dict[str, Any]:
        """Submit, keep the run's id, and wait."""
        request = self._checked()
        patience = QUICK_SECONDS if self.deferrable else float(request.timeout_seconds)
        try:
            run = self._submit(context, patience_seconds=patience)
        except TrainyardError as error:
            if not (self.deferrable and may_pass(error)):
                self._refuse(error)
            self.log.info("%s; the triggerer goes on trying", error)
            trigger = SubmitTrigger(
                conn_id=self.conn_id, request=self._body(), key=idempotency_key(context["ti"]),
                give_up_at=self._deadline(time.time() + request.timeout_seconds),
            )
            self.defer(trigger=trigger, method_name="submitted")
        return self._accepted(context, run)

    def submitted(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Go on with the run that the triggerer submitted. What it was refused with is heard here once more."""
        if "run" in event:
            return self._accepted(context, _run_of(event))
        self.log.warning("%s", event["error"])
        try:
            run = self._submit(context, patience_seconds=0.0)
        except TrainyardError as error:
            self._refuse(error)
        return self._accepted(context, run)

    def ended(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Give back the run as it ended, or raise what it failed with."""
        if "error" in event:
            raise AirflowException(event["error"])
        return self._judge(context, _run_of(event), found=event["found"])

    def on_kill(self) -> None:
        """Cancel the run: the task was cleared, marked, killed or timed out while it was in a worker."""
        self._killed = True
        if self.trained and self.cancel_on_kill:
            self._cancel(self.trained.run_id)

    # Its parts

    def _checked(self) -> TrainRequest:
        """The request, refused here where a service would refuse it for its form alone."""
        try:
            return TrainRequest.model_validate_json(json.dumps(self._body()))
        except ValidationError as error:
            found = "; ".join(f"{each.pointer}: {each.detail}" for each in complaints(error, TrainRequest))
            message = f"the request is not one, and nothing was sent: {found}"
            raise AirflowFailException(message) from error
        except (TypeError, ValueError) as error:
            message = f"the request cannot be JSON, and nothing was sent: {error}"
            raise AirflowFailException(message) from error

    def _body(self) -> dict[str, Any]:
        return dict(self.request)

    def _submit(self, context: Any, *, patience_seconds: float) -> Run:
        key = idempotency_key(context["ti"])
        try:
            return asyncio.run(self._submit_with(self._async_client(), key, patience_seconds))
        except KeyReused:
            self.log.info("This task instance has trained with another request before; the new one is trained instead")
            if (earlier := _store(context).get(RUN_ID)) and self.cancel_on_kill:
                self._cancel(str(earlier))
            return asyncio.run(self._submit_with(self._async_client(), f"{key[:200]}/{_digest(self._body())}", patience_seconds))

    async def _submit_with(self, client: AsyncTrainyardClient, key: str, patience_seconds: float) -> Run:
        async with client:
            return await waiting.submit(client, self._body(), key=key, patience_seconds=patience_seconds, say=self._say)

    def _accepted(self, context: Any, run: Run) -> dict[str, Any]:
        """Keep the run's id where a retry, the user and other tasks find it, then wait."""
        store = _store(context)
        found = store.get(RUN_ID) == run.run_id
        self.trained = run
        store.set(RUN_ID, run.run_id)
        context["ti"].xcom_push(key=RUN_ID, value=run.run_id)
        self.log.info("%s run %s, attempt %d, of %s: %s", "Found" if found else "Accepted", run.run_id, run.attempt, run.model, run.links.mlflow)
        if self._killed:
            self.on_kill()
            message = f"the task was stopped while it submitted run {run.run_id}"
            raise AirflowException(message)
        if run.status.ended:
            return self._judge(context, run, found=found)
        if self.deferrable:
            trigger = TrainTrigger(
                conn_id=self.conn_id, run_id=run.run_id, wait_seconds=self.wait_seconds,
                patience_seconds=self._checked().timeout_seconds, deadline=self._deadline(None), cancel_on_kill=self.cancel_on_kill,
                found=found,
            )
            self.defer(trigger=trigger, method_name="ended")
        try:
            return self._judge(context, asyncio.run(self._wait(self._async_client(), run.run_id)), found=found)
        except TrainyardError as error:
            message = f"run {run.run_id} cannot be waited for: {error}"
            raise AirflowException(message) from error

    async def _wait(self, client: AsyncTrainyardClient, run_id: str) -> Run:
        async with client:
            return await waiting.wait(
                client, run_id, wait_seconds=self.wait_seconds, patience_seconds=self._checked().timeout_seconds,
                deadline=None, say=self._say,
            )

    def _judge(self, context: Any, run: Run, *, found: bool) -> dict[str, Any]:
        self.trained = run
        if not run.status.ended:
            self._cancel(run.run_id)
            message = f"run {run.run_id} was not over within the task's execution_timeout"
            raise AirflowTaskTimeout(message)
        if run.status is RunStatus.FINISHED:
            self.log.info("Run %s finished: %s", run.run_id, {name: round(value, 5) for name, value in run.metrics.items()})
            return result(run)
        if found and run.reason is Reason.CANCELLED and not self._killed:
            # It was still being cancelled for an earlier try, which a user cleared, when this one found it.
            self.log.info("Run %s was cancelled with an earlier try; training again", run.run_id)
            return self._accepted(context, self._submit(context, patience_seconds=QUICK_SECONDS))
        return self._fail(run)

    def _fail(self, run: Run) -> NoReturn:
        try:
            with self._client() as client:
                last = client.logs(run.run_id, tail=self.log_lines)
        except TrainyardError as error:
            last = f"(the run's log cannot be read: {error})"
        self.log.error("The last lines of run %s:\n%s", run.run_id, last.rstrip())
        message = f"run {run.run_id} ended {run.status}, {run.reason}: {run.message}; see {run.links.mlflow}"
        if run.retryable is False and not self._killed:
            raise AirflowFailException(message)
        raise AirflowException(message)

    def _refuse(self, error: TrainyardError) -> NoReturn:
        """End the task: what the service refuses, a retry cannot mend; what it could not answer, it may."""
        if isinstance(error, RequestError) and not may_pass(error):
            message = f"the service refused the request: {error}"
            raise AirflowFailException(message) from error
        message = f"the training was not accepted: {error}"
        raise AirflowException(message) from error

    def _cancel(self, run_id: str) -> None:
        """Cancel, with a few attempts: Airflow kills what does not stop within seconds."""
        for attempt in range(CANCEL_ATTEMPTS):
            try:
                with self._client() as client:
                    client.cancel(run_id)
            except TrainyardError as error:
                if not may_pass(error):
                    self.log.warning("Run %s was not cancelled: %s", run_id, error)
                    return
                time.sleep(2.0**-(CANCEL_ATTEMPTS - attempt))
            else:
                self.log.info("Cancelled run %s", run_id)
                return
        self.log.warning("Run %s was not cancelled: the service does not answer", run_id)

    def _deadline(self, otherwise: Any) -> Any:
        """When the task's execution_timeout is over, which Airflow does not see to while a task is deferred."""
        if self.execution_timeout is None:
            return otherwise
        mine = time.time() + self.execution_timeout.total_seconds()
        return mine if otherwise is None else min(mine, otherwise)

    def _client(self) -> TrainyardClient:
        url, token = find(self.conn_id)
        return TrainyardClient(url, token=token)

    def _async_client(self) -> AsyncTrainyardClient:
        url, token = find(self.conn_id)
        return AsyncTrainyardClient(url, token=token)

    def _say(self, line: str) -> None:
        self.log.info("%s", line)


def idempotency_key(ti: Any) -> str:
    """One key a task instance, the same in every try."""
    parts = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    key = f"airflow/{parts}"
    return key if KEY.fullmatch(key) else f"airflow/{hashlib.sha256(parts.encode()).hexdigest()}"


def result(run: Run) -> dict[str, Any]:
    """What a training task gives on: small, and plain JSON."""
    whole = run.model_dump(mode="json")
    return {name: whole[name] for name in ("run_id", "status", "model_uri", "registered", "metrics")}


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]


def _run_of(event: Mapping[str, Any]) -> Run:
    return Run.model_validate_json(json.dumps(event["run"]))


class _NoStore:
    """Where there is no task state: nothing is known of earlier tries."""

    def get(self, key: str) -> None:
        """Nothing."""

    def set(self, key: str, value: str) -> None:
        """Keep nothing."""


def _store(context: Any) -> Any:
    """Airflow 3.3's task state, which outlives a try as XCom does not."""
    return context.get("task_state_store") or _NoStore()
