"""What gateways send to the store: jobs, cancellations, the caller's audio, the log; in one order, under the owner's token.

On one server a job's fence and its stream entry are written in one step. In a cluster they are on two nodes: first everything
of the session is written, on its own node and in order, then the jobs to their streams. If the gateway dies in between, the
next gateway learns from the session's log which jobs should be open, and from their fences that no worker has begun them: it
submits them again. A job that is in its stream twice runs once, because its fence stores the entry it was begun with
(`lua/begin_attempt`).
"""

from collections.abc import Sequence
from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, new_nonce
from agentvoicebox.broker.envelope import pack_audio, pack_job
from agentvoicebox.errors import SessionTaken
from agentvoicebox.ports.broker import AppendAudio, AppendLog, Cancel, Dispatch, Job, JobKind, Submit

_TAKEN = -3  # the scripts' answer when the session has another owner
_NOT_STARTED = (1, 2)  # the answers of `submit` for a job that no worker has begun


class Dispatcher:
    """Executes dispatch actions. Raises BrokerLost and SessionTaken."""

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
        nonce = new_nonce()  # the same in every try, so that readers recognise duplicates

        async def send() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for index, action in enumerate(actions):
                self._stage(pipe, action, nonce + index.to_bytes(2, "big"), owner)
            answers: list[Any] = await pipe.execute()
            if self._is_cluster:
                await self._enqueue(actions, answers)
            return answers

        if _TAKEN in await self._connection.call(send):
            raise SessionTaken("another gateway owns the session")

    def _stage(self, pipe: Any, action: Dispatch, nonce: bytes, owner: str) -> None:
        match action:
            case Submit(job):
                self._stage_job(pipe, job, owner)
            case Cancel(job_id, kind, session):
                involved = (keys.job(kind, session, job_id), keys.session_hash(session))
                pipe.eval(self._cancel.text, 2, *involved, keys.cancel_channel(kind), job_id, owner)
            case AppendAudio(session, job_id, entry):
                involved = (keys.session_hash(session), keys.audio_in(session, job_id))
                longest = keys.entries_within(keys.AUDIO_IN_MAX, keys.AUDIO_IN_BYTES, len(entry.pcm))
                bounds = (keys.AUDIO_IN_TTL_S, longest)
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

    async def _enqueue(self, actions: Sequence[Dispatch], answers: list[Any]) -> None:
        pipe = self._connection.commands.pipeline(transaction=False)
        for action, answer in zip(actions, answers, strict=True):
            if isinstance(action, Submit) and answer in _NOT_STARTED:
                pipe.xadd(keys.job_stream(action.job.kind), {b"j": pack_job(action.job)})
        if len(pipe):
            await pipe.execute()
