"""Ways to say something about a parcel, and when each is true. Only tables: `claims` finds them, `grounding` judges them.

Patterns read normalised words (lower case, short forms written out) in which names, days and numbers stand as PLACE,
CARRIER, DAY, AGE and ID. A way of saying that is not here can't be said. English.
"""

from agentvoicebox.delivery.shipment import ShipmentStatus as S

PARCEL_NOUN = r"(?:parcel|package|packet|shipment|order|item)"
PARCEL = rf"(?:(?:(?:your|the|this|that) )?(?:CARRIER )?{PARCEL_NOUN}|it|this one|that one|that|this)"
CARRIER = r"(?:the carrier|the courier|CARRIER)"
_ADVERB = r"now|currently|still|already|also|actually|indeed|finally|right now|at the moment|at present"
_AUX = rf"(?:(?:(?:is|was|are|were|has|have|had|been|got|not|being|yet|{_ADVERB}) )*)"
_BACK = r"(?: to (?:the|its) sender| to sender)"
_YET = r"(?: yet| so far| at this point)?"

# name of the state → (how it is said, in which real states it is true, in which its denial is certainly true)
STATES: dict[str, tuple[str, frozenset[S], frozenset[S]]] = {
    "delivered": (
        rf"{_AUX}(?:delivered|arrived)(?: {PARCEL})?{_YET}|{_AUX}delivered by CARRIER",
        frozenset({S.DELIVERED}),
        frozenset(
            {S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY, S.READY_FOR_PICKUP, S.DELAYED}
        ),
    ),
    "out for delivery": (
        rf"{_AUX}(?:gone |went )?(?:{PARCEL} )?out for delivery{_YET}|{_AUX}(?:on|in) the (?:delivery )?(?:van|truck|vehicle)(?: for delivery)?",
        frozenset({S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS}),
    ),
    "on its way": (
        rf"{_AUX}(?:in transit|on (?:its|the) way(?: to you)?|en route|moving(?: (?:through|in|within) (?:the carrier|the|CARRIER|the CARRIER)"
        r"(?: is)? network)?|travelling|traveling)(?: (?:with|through) the (?:carrier|CARRIER) network)?" + _YET,
        frozenset({S.IN_TRANSIT}),
        frozenset({S.LABEL_CREATED}),
    ),
    "with the carrier": (
        rf"{CARRIER} (?:now )?(?:{_ADVERB} )?(?:has|have|has got) {PARCEL}(?: now)?|{_AUX}with the (?:carrier|courier)",
        frozenset({S.PICKED_UP, S.IN_TRANSIT, S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED}),
    ),
    "carried": (
        rf"{_AUX}with CARRIER",
        frozenset(S) - {S.LABEL_CREATED, S.CANCELLED, S.DELIVERED},
        frozenset({S.LABEL_CREATED}),
    ),
    "picked up": (
        rf"{_AUX}(?:picked up|collected|handed over|received)(?: {PARCEL})?(?: to)?(?: by)?(?: {CARRIER})?{_YET}|{_AUX}picked {PARCEL} up",
        frozenset({S.PICKED_UP}),
        frozenset({S.LABEL_CREATED}),
    ),
    "not with the carrier": (
        rf"{CARRIER} (?:does|do|has|have) not (?:yet )?(?:have|got|received|receive|picked up|collected) {PARCEL}(?: up)?{_YET}"
        rf"|{_AUX}not (?:yet )?been (?:handed|given) (?:over )?to {CARRIER}{_YET}|{_AUX}not with {CARRIER}{_YET}",
        frozenset({S.LABEL_CREATED}),
        frozenset(),
    ),
    "announced": (
        rf"{_AUX}announced(?: to {CARRIER})?|(?:(?:a|the) )?(?:shipping |delivery )?label {_AUX}(?:created|made|printed)(?: for {PARCEL})?"
        r"|the sender has (?:created|made|printed) (?:a|the) (?:shipping )?label",
        frozenset({S.LABEL_CREATED}),
        frozenset(),
    ),
    "delayed": (
        rf"{_AUX}(?:delayed|running (?:a bit |a little )?late|running behind(?: schedule)?|behind schedule|late|taking longer than"
        rf" (?:expected|planned|usual))|there (?:is|was|has been) (?:a|some) delay(?: with {PARCEL})?"
        rf"|(?:the|this|a) delay(?: with {PARCEL})?",
        frozenset({S.DELAYED}),
        frozenset(),
    ),
    "in trouble": (
        rf"(?:{CARRIER} )?{_AUX}run into (?:a|some|an) (?:problem|problems|issue|trouble|difficulty)(?: with (?:{CARRIER}|{PARCEL}))?"
        rf"|(?:there (?:is|was|has been) )?(?:a|an|some) (?:problem|issue)(?: with {PARCEL})?(?: at {CARRIER})?"
        rf"|{CARRIER} (?:reports|reported|has reported|is reporting|has|had) (?:a|an) (?:problem|issue)(?: with {PARCEL})?",
        frozenset({S.EXCEPTION}),
        frozenset(),
    ),
    "at customs": (
        rf"{_AUX}(?:held|waiting|in|at|with|going through|processed|in the hands of)(?: up)?(?: (?:at|in|by|with))? customs",
        frozenset({S.CUSTOMS}),
        frozenset(),
    ),
    "ready for pickup": (
        rf"{_AUX}(?:ready|available|waiting|there)(?: for you)?(?: to be (?:picked up|collected)| to (?:pick up|collect)(?: {PARCEL})?"
        r"| for (?:pickup|pick up|collection))(?: by you)?"
        rf"|you (?:can|may) (?:now |already )?(?:pick up|collect) {PARCEL}|you (?:can|may) (?:now )?pick {PARCEL} up"
        r"|(?:can|may) (?:now )?be (?:picked up|collected)(?: by you)?",
        frozenset({S.READY_FOR_PICKUP}),
        frozenset({S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY}),
    ),
    "going back": (
        rf"{_AUX}(?:returned|returning|going back|sent back|heading back|on (?:its|the) way back|on the way back){_BACK}",
        frozenset({S.RETURNED}),
        frozenset(),
    ),
    "cancelled": (
        rf"{_AUX}(?:cancelled|canceled)(?: by the sender)?|the sender (?:has )?(?:cancelled|canceled) {PARCEL}",
        frozenset({S.CANCELLED}),
        frozenset(),
    ),
}  # fmt: skip

_BE_DUE = (
    r"(?:(?:now|currently|still) )?(?:due|expected|scheduled|estimated|set|planned)(?: to (?:arrive|come|be delivered|be with you|reach you)"
    r"| for (?:delivery|arrival))?(?: for)?"
)
_DATE_NAME = (
    r"(?:(?:the|its|your|a) )?(?:(?:new|current|latest) )?(?:estimated|expected|scheduled|planned) (?:delivery|arrival)(?: (?:date|day))?"
    r"|(?:(?:the|its|your) )?(?:new |current )?(?:expected|estimated) date(?: of (?:arrival|delivery))?|(?:the )?eta|expected"
)

# When it should come; needs a day.
ARRIVAL = (
    r"(?:should|will) (?:now |still |then )?(?:arrive|come|get|be delivered|be with|reach)(?: (?:with|to))?(?: you)?|(?:is|are|be) " + _BE_DUE,
    rf"(?:{_DATE_NAME})(?: (?:is|of|for|,))?(?: (?:now|still))?",
    rf"you (?:should|can|will) (?:now )?(?:receive|get|have|expect) {PARCEL}(?: to arrive)?",
    r"(?:the |your )?delivery is (?:now |currently )?(?:expected|scheduled|planned|estimated|due)(?: for)?",
    r"due|arriving|arrives|scheduled for delivery",
)

# Where it was last; needs a place or a day.
SIGHTING = (
    rf"(?:{_AUX})last (?:seen|scanned|recorded|registered|reported|tracked)",
    r"(?:(?:the|its) )?last (?:scan|sighting|known location|known place|update|event|place it was seen)"
    r"(?: (?:was|is|came from|we have is|i have is))?",
)

# The knowledge is old; needs an age, and a result that is as old.
AGE = (
    r"(?:that (?:was|is) (?:the state|the case|the status|true|how it was|what we knew) |as of |that is from |this is from |this was |that was )AGE",
)

# The source has nothing newer than the result.
NOTHING_NEWER = (
    r"(?:i|we) can not (?:get|see|find) anything (?:newer|more recent)(?: right now| at the moment)?",
    r"(?:i|we) do not have anything (?:newer|more recent)(?: right now| at the moment)?",
)

NOT_FOUND = (
    rf"(?:i|we) (?:could|can|did|was|were|am|still can|still could)(?: not)? (?:able to )?(?:find|locate)"
    rf"(?: (?:a|any|the|your) {PARCEL_NOUN}| anything| one| it| that one| a match| any match)?"
    r"(?: (?:with|for|under|by)(?: (?:that|this|the))?(?: (?:tracking )?number)?)?",
    rf"(?:there is |i (?:have|see|find) |we have )?no (?:record|{PARCEL_NOUN}|match|result|results)(?: (?:of|for|with|under|found))*"
    r"(?: (?:that|this|the)(?: tracking)? number)?",
    r"(?:nothing|no {PARCEL_NOUN}) (?:comes up|came up|shows up|was found|found|matches)(?: (?:for|under|with))?"
    r"(?: (?:that|this|the) (?:tracking )?number)?",
    r"(?:that|this|the) (?:tracking )?number (?:is not|was not|does not|did not|could not be)"
    r" (?:in (?:the|our) (?:records|system)|found|come up|match(?: (?:any|a) {PARCEL_NOUN})?|bring anything up)",
)
NOT_FOUND = tuple(pattern.replace("{PARCEL_NOUN}", PARCEL_NOUN) for pattern in NOT_FOUND)

_RECORDS = (
    r"(?:the |our |my )?(?:parcel |tracking |delivery )?(?:records|system|systems|database|information|tracking service|tracking|data)"
)
OUTAGE = (
    rf"(?:i|we) (?:can not|could not|am not able to|am unable to|was not able to|am having trouble|had trouble|having trouble)"
    rf" (?:reach|reaching|access|accessing|get to|getting to|open|opening|connect to|connecting to|look|looking) (?:{_RECORDS}|that up|it up)",
    rf"{_RECORDS} (?:is|are) (?:currently |temporarily )?(?:not responding|not answering|not available|unavailable|down|not reachable)",
    r"(?:something|it) went wrong|there (?:was|is|has been) an error|(?:i|we) (?:ran|have run) into (?:an error|a problem)",
)
INVALID = (
    r"(?:that|this|it|what i heard) (?:does not (?:look|sound|seem) (?:like|to be)|is not|can not be|seems not to be)"
    r" (?:a |the )?(?:whole|complete|full|valid|proper|right|correct)? ?(?:tracking )?number",
    r"(?:that|this|it|the number) (?:seems|looks|sounds|is) (?:a bit |a little )?(?:too short|incomplete)",
)

# Something was found; presupposes it.
FOUND = (
    rf"(?:i|we) (?:have )?(?:just )?(?:found|located) (?:{PARCEL}|the details)",
    r"(?:i|we) (?:can )?see(?: here)?(?: that)?|it looks like|it says(?: here)?(?: that)?",
    r"according to (?:the |our |my )?(?:latest )?(?:records?|system|tracking|tracking (?:information|data|details)|information|carrier|CARRIER|update)"
    r"|(?:as far as|from what) (?:i|we) can (?:see|tell)",
    r"(?:the|our|my) (?:latest )?(?:records?|system|tracking|tracking (?:information|data|details)|information|update)"
    r" (?:shows?|says?|tells? me|indicates?|confirms?)(?: that)?",
    rf"(?:i|we) (?:have )?(?:just )?(?:checked|looked)(?: up)?(?: (?:{PARCEL}|the status|your number))?(?: up)?(?: for you)?(?: and)?",
    rf"(?:the|its|your) (?:current |latest )?status(?: of {PARCEL})? (?:is|shows)(?: that| as)?",
    r"here is (?:what (?:i|we) (?:have|found|know|see)|the latest|the status)",
    rf"{CARRIER} (?:reports|says|reported)(?: that)?",
)

# Something is not known; true only when the result has no such field.
UNKNOWN_DAY = (
    r"(?:(?:i|we) do not (?:yet )?(?:have|see)|there is no|there is not|no|without)(?: (?:a|an|any))?(?: (?:new|exact|current|updated))?"
    r"(?: (?:estimated|expected))? (?:delivery date|arrival date|date|eta|delivery|delivery day|estimate|arrival)"
    r"(?: (?:for it|for that|yet|at the moment|right now|available|at this point))*",
    rf"(?:i|we) (?:do not know|can not say|can not tell(?: you)?|am not sure) (?:when|what day|which day) {PARCEL}"
    r" (?:will|should|is going to) (?:arrive|come|be delivered|get there)",
)
UNKNOWN_PLACE = (rf"(?:i|we) (?:do not know|can not (?:say|see|tell)(?: you)?) where {PARCEL} is(?: right now| at the moment)?",)
UNKNOWN_CARRIER = (r"(?:i|we) (?:do not know|can not (?:say|see|tell)) (?:which carrier has it|who (?:has|delivers|carries) it)",)

BY_CARRIER = (
    r"(?:with|by|via|through) CARRIER|the carrier is CARRIER|CARRIER is the carrier|CARRIER (?:has|have|is)|CARRIER|your CARRIER",
)
IN_PLACE = (r"(?:in|at) (?:the )?PLACE",)
ON_DAY = (r"(?:(?:on|for|by|is|was|from) )?DAY",)
WITH_ID = (
    r"(?:(?:that )?(?:ending|ends|end)|which ends|whose number ends) (?:in|with) ID",
    r"(?:(?:with|for|under) )?(?:(?:the|your|a|that) )?(?:tracking )?(?:number|id|code)(?: is| was)?(?: ,)? ID",
    r"(?:for |is |was |with |under |as )?ID",
)
