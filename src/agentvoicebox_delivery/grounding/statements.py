"""Statements about a parcel, and when each is true. Only tables: `claims` finds them, `judgement` checks them.

Patterns read normalised words (lower case, short forms written out) in which names, days and numbers stand as PLACE,
CARRIER, DAY, AGE and ID. A statement without a pattern here is refused. English.
"""

from agentvoicebox_delivery.parcels.shipment import ShipmentStatus as S

PARCEL_NOUN = r"(?:parcel|package|packet|shipment|order|item)"
PARCEL = rf"(?:(?:(?:your|the|this|that) )?(?:CARRIER )?{PARCEL_NOUN}|it|this one|that one|that|this)"
CARRIER = r"(?:the carrier|the courier|CARRIER)"
_ADVERB = (
    r"(?:now|currently|still|already|also|actually|indeed|finally|right now|at the moment|at present|successfully)"
)
_LISTED = (
    r"(?:(?:(?:is|was|has been|has not been) )?(?:shows|showing|listed|marked|shown|recorded"
    r"|registered)(?: up)? as )?"
)
_AUX = rf"{_LISTED}(?:(?:(?:is|was|are|were|has|have|had|been|got|not yet|not|{_ADVERB}) )*)"
_AUX_BEING = _AUX.replace("|been|", "|been|being|")
_BACK = r"(?: to (?:the|its) sender| to sender)"
_YET = r"(?: yet| so far| at this point)?"

# In these states the parcel is still to come, possibly at an unknown time.
AWAITED = frozenset({S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY, S.DELAYED, S.EXCEPTION})
# States that were reached at one moment; for the others "it was …" says that it no longer is.
COMPLETED = frozenset({"delivered", "picked up", "announced", "cancelled", "delayed", "in trouble", "shipped"})

# name of the state → (pattern, the real states in which it is true, those in which its denial is certainly true)
STATES: dict[str, tuple[str, frozenset[S], frozenset[S]]] = {
    "not with the carrier": (
        rf"{CARRIER} (?:does|do|has|have) not (?:yet )?(?:have|got|received|receive|picked up"
        rf"|collected) {PARCEL}{_YET}"
        rf"|{CARRIER} has not (?:yet )?picked {PARCEL} up{_YET}"
        rf"|{_AUX}not (?:yet )?been (?:handed|given) (?:over )?to {CARRIER}{_YET}|{_AUX}not with {CARRIER}{_YET}",
        frozenset({S.LABEL_CREATED}),
        frozenset(),
    ),
    "delivered": (
        rf"{_AUX}(?:delivered|arrived)(?: {PARCEL})?{_YET}|{_AUX}delivered by CARRIER"
        rf"|(?:(?:the|your) )?delivery {_AUX}(?:completed|made)",
        frozenset({S.DELIVERED}),
        frozenset(
            {S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY, S.READY_FOR_PICKUP, S.DELAYED}
        ),
    ),
    "out for delivery": (
        rf"{_AUX}(?:gone |went )?(?:{PARCEL} )?out for delivery{_YET}|{_AUX}(?:on|in) the delivery (?:van|truck"
        r"|vehicle)",
        frozenset({S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS}),
    ),
    "on its way to you": (
        rf"{_AUX}(?:on (?:its|the) way to (?:you|your door)|on the road|heading (?:to you|your way|towards you)"
        r"|coming (?:to you|your way))(?: (?:right )?now)?",
        frozenset({S.IN_TRANSIT, S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED}),
    ),
    "on its way": (
        rf"{_AUX}(?:on (?:its|the) way(?: to you)?|in transit|en route|moving(?: (?:through|in"
        r"|within) (?:the carrier|the|CARRIER|the CARRIER)"
        r"(?: s)? network)?|travelling|traveling)(?: (?:with|through) the (?:carrier|CARRIER)(?: s)? network)?" + _YET,
        frozenset({S.IN_TRANSIT}),
        frozenset({S.LABEL_CREATED}),
    ),
    "with the carrier": (
        rf"{CARRIER} (?:{_ADVERB} )?(?:has|have|has got)(?: {_ADVERB})? {PARCEL}(?: now| right now)?"
        rf"|{_AUX}with the (?:carrier|courier)",
        frozenset({S.PICKED_UP, S.IN_TRANSIT, S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED}),
    ),
    "carried": (
        rf"{_AUX_BEING}(?:(?:carried|handled|transported) by|with) CARRIER",
        frozenset(S) - {S.LABEL_CREATED, S.CANCELLED, S.DELIVERED},
        frozenset(),
    ),
    "shipped": (
        rf"{_AUX}(?:shipped|sent|sent out|dispatched|posted|sent off)(?: {PARCEL})?{_YET}"
        rf"|the sender (?:has )?(?:shipped|sent|posted|dispatched) {PARCEL}"
        rf"|the sender has not (?:yet )?(?:shipped|sent|posted|dispatched|handed over) {PARCEL}{_YET}",
        frozenset({S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY}),
        frozenset({S.LABEL_CREATED}),
    ),
    "picked up": (
        rf"{_AUX}(?:picked up|collected|handed over"
        rf"|received)(?: {PARCEL})?(?: to)?(?: by)?(?: {CARRIER})?{_YET}|{_AUX}picked {PARCEL} up{_YET}"
        rf"|{CARRIER} (?:(?:has|have) )?(?:already )?(?:picked up|collected|received) {PARCEL}"
        rf"|{CARRIER} (?:has )?picked {PARCEL} up",
        frozenset({S.PICKED_UP}),
        frozenset({S.LABEL_CREATED}),
    ),
    "announced": (
        rf"{_AUX}(?:announced|registered|pre registered)(?: (?:(?:to|with) {CARRIER}|by the sender))?|(?:(?:a"
        rf"|the) )?(?:shipping |delivery )?label (?:for {PARCEL} )?{_AUX}(?:created|made"
        rf"|printed)(?: for {PARCEL})?"
        r"|the sender has (?:created|made|printed) (?:a|the) (?:shipping )?label",
        frozenset({S.LABEL_CREATED}),
        frozenset(),
    ),
    "delayed": (
        rf"{_AUX}(?:delayed|held up|running (?:a bit |a little )?late|running behind(?: schedule)?"
        r"|behind schedule|late|taking longer than"
        rf" (?:expected|planned|usual))|there (?:is|was|has been) (?:a|some) delay(?: with {PARCEL})?"
        rf"|(?:(?:about|for) )?(?:the|this|a) delay(?: with {PARCEL})?",
        frozenset({S.DELAYED}),
        frozenset(),
    ),
    "in trouble": (
        rf"(?:{CARRIER} )?{_AUX}(?:run into|hit|had|ran into) (?:a|some|an) (?:problem|problems|issue|trouble"
        rf"|difficulty)(?: with (?:{CARRIER}|{PARCEL}))?"
        rf"|(?:there (?:is|was|has been) )?(?:a|an|some) (?:delivery )?(?:problem"
        rf"|issue)(?: with {PARCEL})?(?: at {CARRIER})?"
        rf"|{CARRIER} (?:reports|reported|has reported|is reporting|has|had) (?:a|an) (?:problem"
        rf"|issue)(?: with {PARCEL})?",
        frozenset({S.EXCEPTION}),
        frozenset(),
    ),
    "at customs": (
        rf"{_AUX_BEING}(?:held|waiting|in|at|with|going through|processed|in the hands of)(?: up)?(?: (?:at|in"
        r"|by|with))? customs",
        frozenset({S.CUSTOMS}),
        frozenset(),
    ),
    "ready for pickup": (
        rf"{_AUX}(?:ready and waiting|ready|available|waiting|there)(?: for you)?(?: to be (?:picked up"
        rf"|collected)| to (?:pick up|collect)(?: {PARCEL})?"
        r"| for (?:pickup|pick up|collection))(?: by you)?"
        rf"|{_AUX}(?:ready and )?waiting for you|you (?:can|may) (?:now |already )?(?:pick up|collect) {PARCEL}"
        rf"|you (?:can|may) (?:now )?pick {PARCEL} up"
        r"|(?:can|may) (?:now )?be (?:picked up|collected)(?: by you)?",
        frozenset({S.READY_FOR_PICKUP}),
        frozenset({S.LABEL_CREATED, S.PICKED_UP, S.IN_TRANSIT, S.CUSTOMS, S.OUT_FOR_DELIVERY}),
    ),
    "going back": (
        rf"{_AUX_BEING}(?:returned|returning|going back|sent back|heading back|on (?:its|the) way back"
        rf"|on the way back){_BACK}",
        frozenset({S.RETURNED}),
        frozenset(),
    ),
    "bad news": (
        r"(?:(?:i have |there is )?(?:some |a bit of )?(?:bad|not so good|not such good|not great) news)|not (?:so"
        r"|too|very) (?:well|good|great)(?= [,.]| *$)",
        frozenset({S.DELAYED, S.EXCEPTION, S.RETURNED, S.CANCELLED}),
        frozenset(),
    ),
    "cancelled": (
        rf"{_AUX}(?:cancelled|canceled)(?: by the sender)?|the sender (?:has )?(?:cancelled|canceled) {PARCEL}",
        frozenset({S.CANCELLED}),
        frozenset(),
    ),
}  # fmt: skip

_BE_DUE = (
    r"(?:(?:now|currently|still) )?(?:due|expected|scheduled|estimated|set|planned)(?: to (?:arrive|come"
    r"|be delivered|be with you|reach you)"
    r"| for (?:delivery|arrival))?(?: for)?"
)
_DATE_NAME = (
    r"(?:(?:the|its|your|a) )?(?:(?:new|current|latest) )?(?:estimated|expected|scheduled|planned) (?:delivery"
    r"|arrival)(?: (?:date|day))?"
    r"|(?:(?:the|its|your) )?(?:new |current )?(?:expected|estimated) date(?: of (?:arrival|delivery))?"
    r"|(?:the )?eta|expected"
)

# When it should arrive; needs a day.
ARRIVAL = (
    r"(?:should|will) (?:now |still |then )?(?:arrive|come|get|be delivered|be with|reach)(?: (?:with"
    r"|to))?(?: you)?|(?:is|are|be) " + _BE_DUE,
    r"(?:(?:the|its|your) )?(?:new |current )?(?:delivery|arrival) date is (?:now )?(?:expected|estimated"
    r"|scheduled)(?: (?:to be|for))?",
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

# The data is old; needs an age, and a result of that age.
AGE = (
    r"(?:(?:that|this|the|my) information is |that (?:was|is) (?:the state|the case|the status|true|how it was"
    r"|what we knew) |as of |that is from |this is from |this was |that was )AGE",
)

# The source has nothing newer than the result.
NOTHING_NEWER = (
    r"(?:i|we) can not (?:get|see|find) anything (?:newer|more recent)(?: right now| at the moment)?",
    r"(?:i|we) do not have anything (?:newer|more recent)(?: right now| at the moment)?",
)

NOT_FOUND = (
    rf"(?:i|we) (?:still )?(?:could|can|did|was|were|am) (?:not|unable) (?:able )?(?:to )?(?:find|locate)"
    rf"(?: (?:a|any|the|your) {PARCEL_NOUN}| anything| one| it| that one| a match| any match| (?:that|this|the"
    r"|your) (?:tracking )?number)?"
    rf"(?: (?:with|for|under|by)(?: (?:that|this|the))?(?: (?:tracking )?number)?)?",
    rf"(?:there is |i (?:have|see|find) |we have )?no (?:record|{PARCEL_NOUN}|match|result|results)(?: (?:of"
    r"|for|with|under|found))*"
    rf"(?: (?:that|this|the)(?: tracking)? number)?",
    rf"(?:i|we) (?:do|did|can) not see (?:a|any|your) {PARCEL_NOUN}(?: (?:with|for|under) (?:that|this"
    r"|the) (?:tracking )?number)?",
    rf"(?:nothing|no {PARCEL_NOUN}) (?:comes up|came up|shows up|was found|found|matches)(?: (?:for|under|with))?"
    rf"(?: (?:that|this|the) (?:tracking )?number)?",
    rf"(?:that|this|the) (?:tracking )?number (?:is not|was not|does not|did not|could not be)"
    rf" (?:in (?:the|our) (?:records|system)|found|come up|match(?: (?:any|a) {PARCEL_NOUN})?|bring anything up)",
)

_RECORDS = (
    r"(?:the |our |my )?(?:parcel |tracking |delivery )?"
    r"(?:records|system|systems|database|information|tracking service|tracking|data)"
)
OUTAGE = (
    r"(?:i|we) (?:can not|could not|am not able to|am unable to|was not able to|am having trouble|had trouble"
    r"|having trouble)"
    r" (?:reach|reaching|access|accessing|get to|getting to|open|opening|connect to|connecting to|look"
    rf"|looking) (?:{_RECORDS}|that up|it up)",
    rf"{_RECORDS} (?:is|are) (?:currently |temporarily )?(?:not responding|not answering|not available"
    r"|unavailable|down|not reachable)",
    r"(?:something|it) went wrong|there (?:was|is|has been|seems to be) (?:an error|an issue|a problem"
    r"|a glitch)(?: (?:on|at) (?:my|our) (?:end|side))?|(?:i|we) (?:ran|have run) into (?:an error|a problem)",
)
INVALID = (
    r"(?:that|this|it|what i heard) (?:does not (?:look|sound|seem) (?:like|to be)|is not|can not be|seems not to be)"
    r" (?:a |the )?(?:whole|complete|full|valid|proper|right|correct)? ?(?:tracking )?number",
    r"(?:that|this|it|the number) (?:seems|looks|sounds|is) (?:a bit |a little )?(?:too short|incomplete)",
)

# Something was found; implies a result.
FOUND = (
    rf"(?:i|we) (?:have )?(?:just )?(?:found|located) (?:{PARCEL}|the details)",
    r"(?:all|what) (?:i|we) can (?:see|say|tell you) is that|(?:i|we) (?:can )?(?:confirm|tell you) that|(?:i"
    r"|we) (?:can )?see(?: here)?(?: that)?|it looks like|it says(?: here)?(?: that)?",
    r"according to (?:the |our |my )?(?:latest )?(?:records?|system|tracking (?:information|data|details)"
    r"|tracking|information|carrier|CARRIER|update)"
    r"|(?:as far as|from what) (?:i|we) can (?:see|tell)",
    r"(?:the|our|my) (?:latest )?(?:records?|system|tracking (?:information|data|details)|tracking|information"
    r"|update)"
    r" (?:shows?|says?|tells? me|indicates?|confirms?)(?: that)?",
    rf"(?:i|we) (?:have )?(?:just )?(?:checked|looked)(?: up)?(?: (?:{PARCEL}|the status"
    r"|your number))?(?: up)?(?: for you)?(?: and)?",
    rf"(?:the|its|your) (?:current |latest )?status(?: of {PARCEL})? (?:is|shows)(?: that| as)?",
    r"here is (?:what (?:i|we) (?:have|found|know|see)|the latest|the status)",
    rf"{CARRIER} (?:reports|says|reported)(?: that)?",
)

# Something is not known; true only when the result has no such field.
UNKNOWN_DAY = (
    r"(?:(?:i|we) do not (?:yet )?(?:have|see)|there is no|there is not|no|without)(?: (?:a|an|any))?(?: (?:new"
    r"|exact|current|updated))?"
    r"(?: (?:estimated|expected))? (?:delivery date|arrival date|date|eta|delivery|delivery day|estimate|arrival)"
    r"(?: (?:for it|for that|yet|at the moment|right now|available|at this point))*",
    r"(?:a|the) (?:(?:new|exact) )?(?:delivery |arrival )?date (?:has not been|is not"
    r"|was not) (?:yet )?(?:given|set|announced|confirmed|known|available)"
    r"(?: yet)?",
    rf"(?:i|we) (?:do not know|can not say|can not tell(?: you)?|am not sure) (?:when|what day|which day) {PARCEL}"
    r" (?:will|should|is going to) (?:arrive|come|be delivered|get there)",
)
UNKNOWN_PLACE = (
    rf"(?:i|we) (?:do not know|can not (?:say|see|tell)(?: you)?) where {PARCEL} is(?: right now| at the moment)?",
)
UNKNOWN_CARRIER = (
    r"(?:i|we) (?:do not know|can not (?:say|see|tell)) (?:which carrier has it|who (?:has|delivers|carries) it)",
)

BY_CARRIER = (
    rf"(?:with|by|via|through) CARRIER|the (?:carrier|courier)(?: (?:for|of|with) {PARCEL})? is CARRIER"
    r"|CARRIER is the carrier|CARRIER (?:has|have|is)|CARRIER|your CARRIER",
)
IN_PLACE = (r"(?:in|at) (?:the )?PLACE|PLACE",)
ON_DAY = (r"(?:(?:on|for|by|is|was|since) )?DAY",)
WITH_ID = (
    r"(?:(?:(?:the|your) (?:tracking )?(?:number|one) )?(?:that )?(?:ending|ends|end)|which ends"
    r"|whose number ends) (?:in|with) ID",
    r"(?:(?:with|for|under) )?(?:(?:the|your|a|that) )?(?:tracking )?(?:number|id|code)(?: is| was)?(?: ,)? ID",
    r"(?:for |is |was |with |under |as |in |or in )?ID",
)
