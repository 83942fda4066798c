"""The call of `agentvoicebox demo`: a caller who asks when their appointment is. Implements kits.demo.KitDemo."""

from agentvoicebox_clinic.appointments import EXAMPLES
from agentvoicebox_clinic.facts import facts_in

ASKED = EXAMPLES[0]
NUMBER = "It's three, zero, five, nine, one, seven."


class ClinicDemo:
    """See KitDemo."""

    agent = "clinic"
    about = "a patient asks when the appointment is, is asked for the reference number, and hears it"
    opening = ("Hello, when is my appointment?", NUMBER)
    closing_line = "Thank you. Goodbye."
    answers = (NUMBER,)

    def answer_to(self, reply: str) -> str:
        """See KitDemo."""
        return NUMBER if "reference number" in reply else ""

    def faults(self, replies: str) -> list[str]:
        """See KitDemo."""
        wanted = facts_in(f"{ASKED.day} {ASKED.time} Doctor {ASKED.doctor}")
        return [f"the agent never said the {kind}: {value}" for kind, value in sorted(wanted - facts_in(replies))]

    def audible(self) -> str:
        """See KitDemo."""
        return ASKED.day

    def proof(self) -> str:
        """See KitDemo."""
        return f"The caller heard the truth about appointment {ASKED.reference}: {ASKED.day} at {ASKED.time}."
