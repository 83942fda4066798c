"""The dialogue's own lines: questions and courtesies. No line here states anything about a parcel."""

GREETING = "Hello, this is parcel tracking. What's your tracking number?"
ASK = "What's the tracking number?"
GREETED = "Hello. What's your tracking number?"
GREETED_NEED = "Hello. I can look that up. What's the tracking number?"
STILL_THERE = "Are you still there?"
WHAT_COMES_NEXT = "What comes next in the number?"
ANYTHING_ELSE = "Is there anything else?"
SAY_AGAIN = "Sorry about that. Please say the whole number again, slowly."
TAKE_YOUR_TIME = "Take your time."
GOODBYE = "You're welcome. Goodbye."
NO_HUMAN = "I can't put you through to a person; I can only look up parcels."
NO_TOOL = "I'm sorry, I can't look up parcels at the moment. Please try again later."
OFF_TOPIC = "I can only help with where a parcel is."
WHERE_TO_FIND = "It's usually in the message that says your order was sent."
NO_NUMBER = (
    "Without the number I can't look up a parcel. It's usually in the message that says your order was sent."
    " Can you find it there?"
)
CANT_WITHOUT = "I'm sorry, then I can't tell you anything about it. The sender can give you the number. Goodbye."
CANT_FIND = "I'm sorry, I still can't find that parcel. Please check the number with the sender. Goodbye."
GIVE_UP = "I'm sorry, I can't make out the number, so I can't tell you anything about the parcel. Goodbye."
UNKNOWN_PLACE = "I don't know where it is right now."
UNKNOWN_CARRIER = "I don't know which carrier has it."

# After the first, second line that was not understood; the third one ends the call.
AFTER_MISS = (
    "Sorry, I didn't catch that.",
    "Sorry, I still can't make it out. Please spell the number one character at a time, or type it.",
)
# After the first, second look-up without a parcel (index = how many); the third one ends the call.
AFTER_FAILURE = (
    "",
    "Could you say the number once more?",
    "Please spell it in groups of three, or type it.",
)
ASK_ENDING = "What are its last four characters?"
SORRY = "Sorry about that."
SAY_SLOWLY = "Please say the whole number again, slowly."


def so_far(spoken: str) -> str:
    """Part of a number was understood."""
    return f"So far I have {spoken}. What comes next?"


def confirm(spoken: str) -> str:
    """A whole number was understood, with doubt."""
    return f"I understood {spoken}. Is that right?"


def carrier(name: str) -> str:
    """The carrier's name."""
    return f"It's with {name}."
