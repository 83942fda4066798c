"""What callers want, by where the call stands: the answer to each line that is not a number.

A row gives the answer for each stage; `before` stands for the stages that are left out. Where several parcels were
reported, `reported` finds the one that is meant.
"""

from collections.abc import Callable

from agentvoicebox_delivery.dialogue import answers as a
from agentvoicebox_delivery.dialogue.line import CallerLine
from agentvoicebox_delivery.dialogue.state import Stage, Step
from agentvoicebox_delivery.dialogue.wants import Want

Answer = Callable[[CallerLine], Step]

_COLUMNS = ("before", "collecting", "confirming", "reported", "failed", "ended")


def _column(stage: Stage, *, has_reported: bool) -> str:
    match stage:
        case Stage.COLLECTING:
            return "collecting"
        case Stage.CONFIRMING | Stage.CHOOSING:
            return "confirming"
        case Stage.REPORTED:
            return "reported"
        case Stage.FAILED:
            return "failed"
        case Stage.ENDED:
            return "ended" if has_reported else "before"
    return "before"


def _row(before: Answer, **others: Answer) -> dict[str, Answer]:
    """The answers of a want: `before` there is a number, and in other columns where they differ."""
    assert others.keys() <= set(_COLUMNS)
    row = dict.fromkeys(_COLUMNS, before) | others
    # After a goodbye, and after a failure, a caller goes on where they were.
    if "ended" not in others and "reported" in others:
        row["ended"] = others["reported"]
    return row


def _question(reported: Answer) -> dict[str, Answer]:
    """A question about a parcel: the number first, then a yes to it, then the answer."""
    return _row(a.ask_number, collecting=a.open_question, confirming=a.check_first, reported=reported, failed=a.retry)


_ANYWHERE = _row(a.for_others)

TABLE: dict[Want, dict[str, Answer]] = {
    Want.NOTHING: _row(a.missed),
    Want.YES: _row(
        a.ask_number, collecting=a.open_question, confirming=a.accept, reported=a.to_anything_else, failed=a.retry
    ),
    Want.THATS_IT: _row(a.goodbye, collecting=a.complete, confirming=a.accept),
    Want.BACKCHANNEL: _row(a.open_question, confirming=a.accept),
    Want.NO: _row(a.no_number, collecting=a.open_question, confirming=a.reject, reported=a.goodbye, failed=a.goodbye),
    Want.WRONG: _row(a.open_question, confirming=a.reject, reported=a.disputed),
    Want.DONE: _row(a.goodbye, collecting=a.complete, confirming=a.reject),
    Want.BYE: _row(a.goodbye),
    Want.THANKS: _row(a.open_question, reported=a.welcome, failed=a.goodbye, ended=a.goodbye),
    Want.GREETING: _row(a.here, confirming=a.open_question),
    Want.LANGUAGE: _row(a.for_others),
    Want.REPEAT: _row(a.again, confirming=a.open_question),
    Want.SLOWER: _row(a.again, confirming=a.open_question),
    Want.LOUDER: _row(a.again, confirming=a.open_question),
    Want.HOLD: _row(a.wait),
    Want.HUMAN: _row(a.person),
    Want.ROBOT: _ANYWHERE,
    Want.ABILITIES: _ANYWHERE,
    Want.SEND_ME: _ANYWHERE,
    Want.ANGER: _row(a.soothe),
    Want.NOT_MINE: _row(a.ask_number, confirming=a.reject, reported=a.not_mine),
    Want.NO_NUMBER: _row(a.no_number, confirming=a.check_first, reported=a.other),
    Want.FIND_NUMBER: _row(a.find_number, confirming=a.check_first, reported=a.other),
    Want.OTHER_NUMBER: _ANYWHERE,
    Want.ORDER_NUMBER: _ANYWHERE,
    Want.BY_NAME: _ANYWHERE,
    Want.ANOTHER: _row(a.ask_number, confirming=a.check_first, reported=a.another),
    Want.RETRY: _row(a.open_question, failed=a.retry, reported=a.about_reported),
    Want.NEED: _question(a.about_reported),
    Want.WHEN: _question(a.about_reported),
    Want.WHERE: _question(a.about_reported),
    Want.CARRIER: _question(a.about_reported),
    Want.STATE: _question(a.about_reported),
    Want.MORE: _question(a.about_reported),
    Want.NUMBER: _question(a.about_reported),
    Want.GUARANTEE: _question(a.about_reported),
    Want.SENT: _question(a.about_reported),
    Want.SIGNATURE: _question(a.about_reported),
    Want.SENDER: _question(a.about_reported),
    Want.REASON: _question(a.about_reported),
    Want.SPOT: _question(a.about_reported),
    Want.HOUR: _question(a.about_reported),
    Want.CONTENTS: _question(a.about_reported),
    Want.TO_DO: _question(a.about_reported),
    Want.CONTACT: _ANYWHERE,
    Want.KEEP: _row(a.for_others, reported=a.about_reported),
    Want.CHARGES: _row(a.for_others),
    Want.HOURS: _ANYWHERE,
    Want.PICKUP: _row(a.for_others, reported=a.about_reported),
    Want.REDELIVERY: _ANYWHERE,
    Want.ADDRESS: _ANYWHERE,
    Want.LEAVE: _ANYWHERE,
    Want.CANCEL: _ANYWHERE,
    Want.SEND_BACK: _ANYWHERE,
    Want.SEND: _ANYWHERE,
    Want.HURRY: _ANYWHERE,
    Want.NOT_RECEIVED: _question(a.not_received),
    Want.DAMAGED: _row(a.ask_number, collecting=a.open_question, confirming=a.check_first, reported=a.for_others),
    Want.COMPLAINT: _ANYWHERE,
    Want.REFUND: _ANYWHERE,
    Want.OTHER: _row(a.other),
}


def answer_of(line: CallerLine) -> Answer:
    """The answer to a line without a number."""
    return TABLE[line.want][_column(line.state.stage, has_reported=bool(line.state.reported))]
