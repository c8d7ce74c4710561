"""What training and scoring tasks have in common: a request that becomes a run, and the wait for its end."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from pydantic import ValidationError

from trainyard.airflow import waiting
from trainyard.airflow.connection import find
from trainyard.airflow.links import MlflowRunLink, RegisteredModelLink
from trainyard.airflow.task_instance import GIVEN, give_on, next_key, state_store
from trainyard.airflow.trigger import SubmitTrigger, TrainTrigger, run_of
from trainyard.client import AsyncTrainyardClient, TrainyardClient, may_pass
from trainyard.client.calls import retry_after_seconds
from trainyard.client.patience import Patience
from trainyard.contract import AIRFLOW_TASK, Reason, Run, RunKind, RunRequest, RunStatus
from trainyard.errors import KeyReused, RequestError, TrainyardError
from trainyard.field_errors import complaints

RUN_ID = "run_id"
RUN_KEY = "idempotency_key"
"""In the task's state: the key that the run came with."""
QUICK_SECONDS = 2.0
CANCEL_SECONDS = 2.0
BEING_CANCELLED_SECONDS = 120.0
"""A run that was found and was cancelled so soon after it was being cancelled before; later, somebody meant this try."""


class RunOperator(BaseOperator):
    """Has a Trainyard service do something, and gives back the run. A subclass says which kind of run.

    One task instance is one run: the Idempotency-Key is made of dag, run, task and map index, so that a
    worker that dies, a retry or a restarted scheduler finds the run that is under way. A retry after a failed
    run is the next attempt, and a clear after success another run. A service that is away, restarting or full
    is waited for.

    The result is a small dictionary, each part of which is an XCom of its own too; `run_id` is there before the
    wait begins.

    :param request: The body of the submit; templated, in all its depth. A value from the DAG's params keeps
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
    request_type: ClassVar[type[RunRequest]]
    """What the request has to be."""
    kind: ClassVar[RunKind]

    def __init__(  # noqa: PLR0913 - each by name
        self,
        *,
        request: Mapping[str, Any],
        conn_id: str,
        deferrable: bool = True,
        wait_seconds: int = 30,
        cancel_on_kill: bool = True,
        log_lines: int = 20,
        multiple_outputs: bool = True,
        **kwargs: Any,
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
        self._deadline: float | None = None

    # The way of a task: execute, then perhaps `submitted` and `ended` after a wait in the triggerer each.

    def execute(self, context: Any) -> dict[str, Any]:
        """Submit, keep the run's id, and wait."""
        if self.execution_timeout is not None:
            # Airflow does not see to it while a task is deferred.
            self._deadline = time.time() + self.execution_timeout.total_seconds()
        return self._submit(context, next_key(context))

    def submitted(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Go on with the run that the triggerer submitted.

        If the trigger was refused, submit again here: another request is sent under another key, and what is refused
        again is raised by this task.
        """
        self._deadline = event.get("deadline")
        key = event.get("key") or next_key(context)
        if "run" in event:
            return self._accepted(context, run_of(event), key)
        self.log.warning("%s", event["error"])
        return self._submit(context, key, give_up_at=event.get("give_up_at"))

    def ended(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Give back the run as it ended, or raise what it failed with."""
        self._deadline = event.get("deadline")
        if "error" in event:
            raise AirflowException(event["error"])
        return self._judge(context, run_of(event), found_at=event.get("found_at"))

    def on_kill(self) -> None:
        """Cancel the run: the task was cleared, marked, killed or timed out while it was in a worker."""
        self._killed = True
        if self.trained and self.cancel_on_kill:
            self._cancel(self.trained.run_id)

    # Its parts

    def result(self, run: Run) -> dict[str, Any]:
        """What the task gives on: small, and plain JSON."""
        raise NotImplementedError

    def _checked(self) -> RunRequest:
        """The request, refused here where a service would refuse it for its form alone."""
        try:
            return self.request_type.model_validate_json(json.dumps(self._body()))
        except ValidationError as error:
            found = "; ".join(
                f"{each.pointer}: {each.detail}" for each in complaints(error, self.request_type)
            )
            message = f"the request is not one, and nothing was sent: {found}"
            raise AirflowFailException(message) from error
        except (TypeError, ValueError) as error:
            message = f"the request cannot be JSON, and nothing was sent: {error}"
            raise AirflowFailException(message) from error

    def _body(self) -> dict[str, Any]:
        return dict(self.request)

    def _sent(self, context: Any) -> dict[str, Any]:
        """The request with the task's address as a tag, by which people find from the run to the task."""
        body = self._body()
        address = getattr(context["ti"], "log_url", "").partition("?")[0]
        return body | {"tags": {AIRFLOW_TASK: address} | body.get("tags", {})} if address else body

    def _submit(self, context: Any, key: str, *, give_up_at: float | None = None) -> dict[str, Any]:
        """Submit under this key, and go on with the run. A service that is away or full is waited for until `give_up_at`."""
        if give_up_at is None:
            give_up_at = time.time() + self._checked().timeout_seconds
            give_up_at = min(give_up_at, self._deadline or give_up_at)
        until = min(give_up_at, time.time() + QUICK_SECONDS) if self.deferrable else give_up_at
        try:
            run = asyncio.run(self._submit_with(self._sent(context), key, until))
        except KeyReused as error:
            other = next_key(context, self._body())
            if key == other:
                self._refuse(error)
            self._leave_earlier(context, other)
            return self._submit(context, other, give_up_at=give_up_at)
        except TrainyardError as error:
            if not (self.deferrable and may_pass(error)) or time.time() >= give_up_at:
                self._refuse(error)
            self.log.info("%s; the triggerer goes on trying", error)
            self._defer_submit(context, key, give_up_at, retry_after_seconds(error))
        return self._accepted(context, run, key)

    def _leave_earlier(self, context: Any, key: str) -> None:
        """Cancel the run of another request that this task instance has sent before, and not that of this one's `key`."""
        self.log.info(
            "This task instance has sent another request before; the new one is sent instead"
        )
        self._cancel_earlier(context, key)

    def _cancel_earlier(self, context: Any, key: str) -> None:
        """Cancel the run that this task instance waited for under another key, unless that was given on."""
        kept = state_store(context)
        earlier = kept.get(RUN_ID)
        if not earlier or earlier == kept.get(GIVEN) or kept.get(RUN_KEY) == key:
            return
        if self.cancel_on_kill:
            self._cancel(str(earlier))

    def _defer_submit(
        self, context: Any, key: str, give_up_at: float, pause_seconds: float
    ) -> None:
        trigger = SubmitTrigger(
            conn_id=self.conn_id,
            request=self._sent(context),
            kind=self.kind,
            key=key,
            give_up_at=give_up_at,
            not_before=time.time() + pause_seconds,
            deadline=self._deadline,
            cancel_on_kill=self.cancel_on_kill,
        )
        self.defer(trigger=trigger, method_name="submitted")

    async def _submit_with(self, body: dict[str, Any], key: str, until: float) -> Run:
        async with self._async_client() as client:
            return await waiting.submit(
                client,
                body,
                kind=self.kind,
                key=key,
                deadline=until,
                say=self._say,
            )

    def _accepted(self, context: Any, run: Run, key: str) -> dict[str, Any]:
        """Keep the run's id where a retry, the user and other tasks find it, then wait."""
        store = state_store(context)
        found_at = time.time() if store.get(RUN_ID) == run.run_id else None
        if found_at is None:
            self._cancel_earlier(context, key)
        self.trained = run
        store.set(RUN_ID, run.run_id)
        store.set(RUN_KEY, key)
        context["ti"].xcom_push(key=RUN_ID, value=run.run_id)
        self.log.info(
            "%s run %s, attempt %d, of %s: %s",
            "Found" if found_at else "Accepted",
            run.run_id,
            run.attempt,
            run.model,
            run.links.mlflow,
        )
        if self._killed:
            self.on_kill()
            message = f"the task was stopped while it submitted run {run.run_id}"
            raise AirflowException(message)
        if run.status.ended:
            return self._judge(context, run, found_at=found_at)
        if self.deferrable:
            self.defer(trigger=self._trigger(run.run_id, found_at), method_name="ended")
        try:
            ended = asyncio.run(self._wait(self._async_client(), run.run_id))
        except TrainyardError as error:
            message = f"run {run.run_id} cannot be waited for: {error}"
            raise AirflowException(message) from error
        return self._judge(context, ended, found_at=found_at)

    def _trigger(self, run_id: str, found_at: float | None) -> TrainTrigger:
        return TrainTrigger(
            conn_id=self.conn_id,
            run_id=run_id,
            wait_seconds=self.wait_seconds,
            patience_seconds=self._checked().timeout_seconds,
            deadline=self._deadline,
            cancel_on_kill=self.cancel_on_kill,
            found_at=found_at,
        )

    async def _wait(self, client: AsyncTrainyardClient, run_id: str) -> Run:
        async with client:
            return await waiting.wait(
                client,
                run_id,
                wait_seconds=self.wait_seconds,
                patience_seconds=self._checked().timeout_seconds,
                deadline=None,
                say=self._say,
            )

    def _judge(self, context: Any, run: Run, *, found_at: float | None) -> dict[str, Any]:
        self.trained = run
        if not run.status.ended:
            self._cancel(run.run_id)
            message = f"run {run.run_id} was not over within the task's execution_timeout"
            raise AirflowTaskTimeout(message)
        if run.status is RunStatus.FINISHED:
            self.log.info(
                "Run %s finished: %s",
                run.run_id,
                {name: round(value, 5) for name, value in run.metrics.items()},
            )
            give_on(context, run.run_id)
            return self.result(run)
        if found_at and _was_being_cancelled(run, found_at) and not self._killed:
            self.log.info("Run %s was cancelled with an earlier try; submitting again", run.run_id)
            return self._submit(context, next_key(context))
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
        message = f"the run was not accepted: {error}"
        raise AirflowException(message) from error

    def _cancel(self, run_id: str) -> None:
        """Cancel, trying for about two seconds: Airflow kills a task that does not stop soon."""
        try:
            with self._client() as client:
                Patience(seconds=CANCEL_SECONDS).call(partial(client.cancel, run_id))
        except TrainyardError as error:
            self.log.warning("Run %s was not cancelled: %s", run_id, error)
        else:
            self.log.info("Cancelled run %s", run_id)

    def _client(self) -> TrainyardClient:
        url, token = find(self.conn_id)
        return TrainyardClient(url, token=token)

    def _async_client(self) -> AsyncTrainyardClient:
        url, token = find(self.conn_id)
        return AsyncTrainyardClient(url, token=token)

    def _say(self, line: str) -> None:
        self.log.info("%s", line)


def _was_being_cancelled(run: Run, found_at: float) -> bool:
    """Whether it was being cancelled for an earlier try, which a user cleared, when this one found it."""
    if run.reason is not Reason.CANCELLED or run.ended_at is None:
        return False
    return run.ended_at.timestamp() - found_at < BEING_CANCELLED_SECONDS
