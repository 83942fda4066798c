"""The dialogue's own lines: questions and courtesies. No line here states anything about a parcel."""

GREETING = "Hello, this is parcel tracking. What's your tracking number?"
ASK = "What's the tracking number?"
GREETED = "Hello. What's your tracking number?"
GREETED_NEED = "Hello. I can look that up. What's the tracking number?"
STILL_THERE = "Are you still there?"
WHAT_COMES_NEXT = "What's the rest of the number?"
ANYTHING_ELSE = "Is there anything else?"
SAY_AGAIN = "Sorry about that. Please say the whole number again, slowly."
TAKE_YOUR_TIME = "Take your time."
WELCOME = "You're welcome."
GOODBYE = "Thank you for calling. Goodbye."
NOT_HEARD = "I didn't hear anything. Are you still there?"
BYE = "Goodbye."
SILENT = "I still can't hear you, so I'll end the call here. Goodbye."
I_AM_HERE = "I'm here."
OF_COURSE = "Of course."
CHECK_FIRST = "Let me check the number first."
SORRY_TO_HEAR = "I'm very sorry to hear that."
SORRY_FOR_THIS = "I'm very sorry about this. I understand that it's frustrating."
ASK_CARRIER = "Please contact the carrier or the sender about it."
ONLY_RECORDED = "I can only see what the carrier recorded. Please contact the carrier or the sender about it."
CANT_HELP = (
    "I'm sorry, I can't help with that. I only know a parcel's state, its day of arrival and where it was last seen."
    " The carrier can tell you more."
)
LOUDER = "I can't change the volume. Please turn yours up."
NO_PROMISE = "I can't promise that."
YES = "Yes."
NO = "No."
ASK_OTHER = "What's the other tracking number?"
OFFER_PERSON = "Would you like to speak to a colleague?"
TRANSFERRED = "One moment, I'm putting you through to a colleague."
WILL_BE_CALLED = "A colleague will call you back."
NO_COLLEAGUE = "I'm sorry, I can't reach a colleague right now."
NO_HUMAN = "I can't transfer you to a person; I can only look up parcels."
NO_TOOL = "I'm sorry, I can't look up parcels at the moment. Please try again later."
OFF_TOPIC = "I can only help with tracking parcels."
WHERE_TO_FIND = "It's usually in your shipping confirmation email."
NO_NUMBER = (
    "I can't look up a parcel without the number. It's usually in your shipping confirmation email."
    " Can you find it there?"
)
CANT_WITHOUT = "I'm sorry, I can't help you without it. The sender can give you the number. Is there anything else?"
CANT_FIND = "I'm sorry, I still can't find that parcel. Please check the number with the sender. Goodbye."
UNKNOWN_DAY = "I don't know the day of arrival. The carrier can tell you more."
GIVE_UP = "I'm sorry, I can't make out the number, so I can't look up the parcel. Goodbye."
UNKNOWN_PLACE = "I don't know where it is right now."
UNKNOWN_CARRIER = "I don't know which carrier has it."

# After the first, second line that was not understood; the third one ends the call.
AFTER_MISS = (
    "Sorry, I didn't catch that.",
    "Sorry, I still didn't get that. Please spell the number one character at a time.",
)
# After the first, second look-up without a parcel (index = how many); the third one ends the call.
AFTER_FAILURE = (
    "",
    "Could you say the number once more?",
    "Please read it to me three characters at a time.",
)
# The same where the number was typed.
AFTER_TYPED_FAILURE = (
    "",
    "Could you check the number?",
    "Please copy it from your shipping confirmation email.",
)
ASK_ENDING = "What are its last four characters?"
SORRY = "Sorry about that."
SAY_SLOWLY = "Please say the whole number again, slowly."


def or_type_it(request: str) -> str:
    """A request to say something, for a caller who can type it instead."""
    return f"{request.removesuffix('.')}, or type it."


def so_far(spoken: str) -> str:
    """Part of a number was understood."""
    return f"So far I have {spoken}. What comes next?"


def did_you_mean(spoken: str) -> str:
    """A number was typed that no parcel has, and this one has a parcel."""
    return f"Did you mean {spoken}?"


def carrier(name: str) -> str:
    """The carrier's name."""
    return f"It's with {name}."


def delivered_by(name: str) -> str:
    """The carrier's name, of a parcel that was delivered."""
    return f"It was delivered by {name}."


def number_is(spoken: str) -> str:
    """The number of the parcel under discussion."""
    return f"The number is {spoken}."
