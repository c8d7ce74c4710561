"""The promoting task: it asks the service that trained to decide, and writes nothing itself.

The rule is the one of the run's request (`register.promote`, with `when` as `asked`), and so are the numbers.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from trainyard.airflow.connection import find
from trainyard.client import TrainyardClient, may_pass
from trainyard.client.patience import Patience
from trainyard.contract import Registered
from trainyard.errors import TrainyardError

APPROVE = "Approve"
PATIENCE_SECONDS = 600.0
"""How long a service that is away, restarts, or still scores the alias's holder is asked again."""


class PromoteOperator(BaseOperator):
    """Has the service promote the version of a training, if it beats the alias's holder by the rule of its request.

    Succeeds only if this version holds the alias afterwards, and then emits its `outlets` with the version in
    their `extra`; otherwise it is skipped, so that nothing downstream runs for the old champion. A holder that came
    after the run's judgement is scored first, and waited for.

    :param run_id: The run, as the training task's XCom `run_id` has it. (templated)
    :param conn_id: The HTTP connection of the service that trained. (templated)
    :param answer: What a person answered in a task of Airflow's `HITLOperator`: its XCom. Anything but `Approve`
        moves nothing, and is said on the version. None: nobody is asked. A task that left no answer, as one that was
        skipped or marked as successful, is no yes: this task fails, and asks the service nothing. (templated)
    """

    template_fields: Sequence[str] = ("run_id", "conn_id", "answer")

    def __init__(
        self,
        *,
        run_id: Any,
        conn_id: str,
        answer: Mapping[str, Any] | Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.conn_id = conn_id
        self.answer = answer
        self._somebody_is_asked = answer is not None

    def execute(self, context: Any) -> dict[str, Any]:
        """Ask for the decision, and emit the outlets if the alias moved."""
        if self._somebody_is_asked:
            self._check_answered()
        found = self._decided()
        self.log.info("%s version %s %s", found.name, found.version, found.decision)
        if not found.promoted:
            raise AirflowSkipException(found.decision)
        champion = found.model_dump(mode="json", exclude={"promoted"})
        for asset in self.outlets:
            context["outlet_events"][asset].extra = champion
        return champion

    def _check_answered(self) -> None:
        if self.answer is None:
            message = f"nobody has answered whether run {self.run_id} is to be promoted; clear the task that asks, or call `trainyard promote`"
            raise AirflowFailException(message)
        if not isinstance(self.answer, Mapping):
            message = f"the answer is {str(self.answer)[:100]!r}, and not the XCom of a HITLOperator; give that as it is, by `answer=approve.output`"
            raise AirflowFailException(message)

    def _decided(self) -> Registered:
        url, token = find(self.conn_id)
        try:
            with TrainyardClient(url, token=token) as client:
                ask = partial(client.promote, self.run_id, **word(self.answer))
                return Patience(seconds=PATIENCE_SECONDS).call(ask)
        except TrainyardError as error:
            message = f"run {self.run_id} was not decided about: {error}"
            passing = AirflowException if may_pass(error) else AirflowFailException
            raise passing(message) from error


def word(answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the service is told of a person's answer."""
    if answer is None:
        return {}
    user = answer.get("responded_by_user") or {}
    return {"approved": APPROVE in answer["chosen_options"], "by": user.get("name") or None}
