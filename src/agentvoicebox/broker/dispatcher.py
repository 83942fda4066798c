"""What gateways hand to the store: jobs, cancels, the caller's audio, the log; in one order, under the owner's token.

On one server a job's fence and its place in the stream are one step. In a cluster they lie on two nodes: first everything of
the session, on its own node and in order, then the jobs into their streams. Should the gateway die in between, the session's
log tells the next one which jobs were to be out, and their fences, that nobody has begun them: it hands them out again. A job
that came into its stream twice that way runs once, for its fence knows the entry it was begun with (`lua/begin`).
"""

from collections.abc import Sequence
from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, new_nonce
from agentvoicebox.broker.envelope import pack_audio, pack_job
from agentvoicebox.errors import SessionTaken
from agentvoicebox.ports.broker import AppendAudio, AppendLog, Cancel, Dispatch, Job, JobKind, Submit

_TAKEN = -3  # what the scripts of a session's owner answer when it has another one
_TO_BE_FED = (1, 2)  # what `submit` answers for a job that nobody has begun


class Dispatcher:
    """Carries actions out. Raises BrokerLost and SessionTaken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_cluster = connection.store.is_cluster
        self._cancel = Script("cancel")
        self._append = Script("append")
        self._submit = Script("submit")

    async def dispatch(self, actions: Sequence[Dispatch], owner: str) -> None:
        """See Broker."""
        if not actions:
            return
        nonce = new_nonce()  # the same in every try, so that readers know a repetition

        async def send() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for index, action in enumerate(actions):
                self._stage(pipe, action, nonce + index.to_bytes(2, "big"), owner)
            answers: list[Any] = await pipe.execute()
            if self._is_cluster:
                await self._feed(actions, answers)
            return answers

        if _TAKEN in await self._connection.call(send):
            raise SessionTaken("the session is another gateway's by now")

    def _stage(self, pipe: Any, action: Dispatch, nonce: bytes, owner: str) -> None:
        match action:
            case Submit(job):
                self._stage_job(pipe, job, owner)
            case Cancel(job_id, kind, session):
                involved = (keys.job(kind, session, job_id), keys.session_hash(session))
                pipe.eval(self._cancel.text, 2, *involved, keys.cancel_channel(kind), job_id, owner)
            case AppendAudio(session, job_id, entry):
                involved = (keys.session_hash(session), keys.audio_in(session, job_id))
                bounds = (keys.AUDIO_IN_TTL_S, keys.AUDIO_IN_MAX)
                pipe.eval(self._append.text, 2, *involved, owner, *bounds, b"a", pack_audio(entry))
            case AppendLog(session, raw):
                involved = (keys.session_hash(session), keys.log(session))
                bounds = (keys.SESSION_DATA_TTL_S, 0)
                pipe.eval(self._append.text, 2, *involved, owner, *bounds, b"e", raw, b"n", nonce)

    def _stage_job(self, pipe: Any, job: Job, owner: str) -> None:
        fence = keys.job(job.kind, job.session, job.job_id)
        involved = [keys.session_hash(job.session), fence, keys.jobs(job.session)]
        arguments: list[Any] = [owner, keys.job_ttl_s(job.kind), "" if job.kind is JobKind.RECORD else job.job_id]
        if not self._is_cluster:
            involved.append(keys.job_stream(job.kind))
            arguments.append(pack_job(job))
        pipe.eval(self._submit.text, len(involved), *involved, *arguments)

    async def _feed(self, actions: Sequence[Dispatch], answers: list[Any]) -> None:
        pipe = self._connection.commands.pipeline(transaction=False)
        for action, answer in zip(actions, answers, strict=True):
            if isinstance(action, Submit) and answer in _TO_BE_FED:
                pipe.xadd(keys.job_stream(action.job.kind), {b"j": pack_job(action.job)})
        if len(pipe):
            await pipe.execute()
