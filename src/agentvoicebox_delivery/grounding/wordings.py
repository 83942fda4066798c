"""Further wordings of the statements in `statements`, as large language models write them. Only tables.

Patterns read normalised words with PLACE, CARRIER, DAY, AGE and ID, as there; `claims` reads both.
"""

from agentvoicebox_delivery.grounding.statements import PARCEL, PARCEL_NOUN


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOW = r"(?:(?:now|currently|still|already|also|actually|presently|finally|all|safely) )*"
_BE = rf"(?:{_NOW}(?:(?:is|was|has been|has|have|been|are|got|get|being) )?{_NOW})"
_THEM = rf"(?:{PARCEL}|this one|the delivery|your delivery)"
_SOURCE = (
    r"(?:the |our |my )?(?:tracking|system|systems|records|record|data|status|latest update|information)"
    r"(?: (?:information|data|details|page|system))?"
)

STATES: dict[str, tuple[str, ...]] = {
    "not with the carrier": (
        rf"(?:(?:{PARCEL}|it) )?(?:has|have) not (?:yet )?(?:been (?:handed|given|passed) (?:over )?(?:to (?:{PARCEL}"
        r"|the carrier|CARRIER))?|left)(?: yet)?",
        rf"(?:{PARCEL}|it) has not been handed over yet",
        r"the sender has not (?:yet )?(?:handed|given|passed) (?:it|the parcel)(?: over)?(?: to (?:CARRIER"
        r"|the carrier))?(?: yet)?",
        r"(?:the carrier|CARRIER) is (?:still )?waiting (?:to (?:receive|get)|for) (?:the parcel|your parcel"
        r"|it)(?: from the sender)?",
        r"only the label exists(?: so far)?",
    ),
    "delivered": (
        r"(?:it )?(?:is|was|has been) (?:marked|recorded|listed|shown|logged) as delivered",
        r"(?:the )?(?:record|records|tracking|system) shows? (?:a |the )?delivery",
        rf"{_BE}(?:dropped off|marked as delivered|delivered|arrived)",
        r"(?:CARRIER|they) (?:has )?dropped it off",
        r"(?:CARRIER|they) (?:has )?(?:delivered|dropped off) (?:it|your (?:parcel|order|package))"
        r"|CARRIER recorded it as delivered",
        r"(?:it )?(?:has )?reached you|(?:delivery was )?(?:completed|a delivery)",
        r"appears to have been delivered",
        r"shows? (?:a |the )?delivery",
    ),
    "out for delivery": (
        r"(?:is )?out for delivery as we speak|(?:is )?out with the (?:driver|courier)(?: for delivery)?"
        r"|(?:is )?with the (?:delivery )?(?:driver|courier) for delivery|(?:is )?on (?:the"
        r"|its) (?:van|delivery van|delivery vehicle)(?: for delivery)?"
        r"|on its final leg|(?:is )?with the (?:delivery )?driver"
        r"|the (?:delivery )?driver (?:already )?has it|(?:has it )?out for delivery|loaded for delivery"
        r"|left for delivery"
        r"|(?:CARRIER )?(?:is )?bringing it to you|on its way to your door",
    ),
    "on its way": (
        r"(?:is )?(?:currently )?somewhere on its way(?: to you)?",
        rf"{_BE}(?:on (?:its|the) way(?: to you)?|in transit|en route|on the move|on the road"
        r"|underway|under way|moving(?: along)?"
        r"|travelling|traveling|heading (?:to you|your way)|making (?:its|good) (?:way|progress)(?: (?:to you"
        r"|towards you))?|making progress)"
        r"(?: (?:to you|towards you))?",
    ),
    "carried": (
        r"CARRIER is taking care of it|(?:it is )?coming with CARRIER",
        rf"CARRIER {_NOW}(?:is )?{_NOW}(?:handling|delivering|carrying|transporting|shipping) (?:your delivery"
        rf"|{_THEM})",
        rf"{_BE}(?:shipped|delivered|sent|handled|carried|brought) (?:with|by|via) CARRIER",
        rf"CARRIER (?:has|has got|is) (?:it|{_THEM})|that would be CARRIER|in CARRIER s? ?hands"
        r"|in the hands of CARRIER|CARRIER has got it",
    ),
    "picked up": (
        rf"CARRIER {_NOW}(?:has )?(?:picked up|collected) {PARCEL}|CARRIER picked {PARCEL} up"
        rf"|{_BE}at the beginning of its journey",
    ),
    "announced": (
        r"there is only a label",
        r"(?:the|its) label s been (?:created|printed)|(?:a|the|its) (?:shipping )?label (?:has )?(?:been"
        r"|was|is) (?:created|printed)|the sender has printed the label"
        r"|(?:has been |was )?announced electronically"
        rf"|(?:still )?early days|the label has been created|{_BE}announced",
    ),
    "delayed": (
        rf"{_BE}(?:held up|behind schedule|running late|late|delayed)|(?:a bit of |a |some )(?:a )?delay"
        r"|there has (?:unfortunately )?been (?:a bit of )?(?:a )?delay"
        r"|the delay|there is (?:a|some) delay",
    ),
    "in trouble": (
        r"something (?:s |has )?gone wrong with (?:the|your) delivery|CARRIER had (?:a problem"
        r"|trouble) delivering it",
        r"(?:(?:there )?(?:is|has|was|seems to be|has been|some kind of|a|an"
        r"|the)(?: been)? )*(?:(?:delivery )?(?:problem"
        r"|issue|hiccup|exception|trouble))"
        rf"(?: with (?:(?:the |your )?delivery(?: of {PARCEL})?|{PARCEL}|this one|it))?",
        rf"CARRIER (?:has )?(?:flagged|reported|reports|recorded) (?:a|an) (?:problem|issue)(?: with {_THEM})?",
        r"(?:something )?(?:went|gone|has gone) wrong with (?:the|your) delivery|hit a snag"
        r"|run into (?:a|some) (?:problem|trouble)|(?:has |have )?had a delivery (?:exception"
        r"|problem)|CARRIER ran into (?:some )?trouble with it"
        r"|a delivery exception has been recorded(?: for {PARCEL})?",
    ),
    "at customs": (
        r"customs has (?:it|your parcel)",
        rf"{_BE}(?:with|in|at|held at|held in|going through|sitting in|undergoing) customs(?: clearance)?",
        r"has not (?:yet )?cleared customs(?: yet)?|customs clearance",
    ),
    "ready for pickup": (
        r"CARRIER has it ready",
        rf"{_BE}(?:ready(?: and waiting)?|available|waiting|listed as ready)(?: for you)?(?: (?:for"
        r"|to) (?:pickup|pick up|collection|collect|you to collect|you to pick up|be collected))",
        rf"{_BE}ready and waiting(?: for you)?",
        r"you can (?:now )?(?:collect|pick up) it|(?:CARRIER )?has it ready for (?:you to collect"
        r"|collection)|got to|(?:has been )?ready for (?:pickup|collection) since",
        r"ready for you to (?:collect|pick up)|it is there",
    ),
    "going back": (
        rf"{_BE}(?:sent back|going back|sending it back|heading back|on its way back|being returned"
        r"|returned|turned around|returning)"
        r"(?: to (?:the|its) sender| to whoever sent it)?",
        r"CARRIER is (?:sending|returning) it(?: back)?(?: to (?:the|its) sender)?|it turned around",
    ),
    "cancelled": (
        rf"{_BE}(?:cancelled|canceled)(?: by the sender)?|the sender (?:has )?(?:cancelled|canceled) (?:it"
        rf"|{_THEM})|it was the sender who (?:cancelled|canceled) (?:it|{_THEM})"
        r"|will not be delivered",
    ),
}  # fmt: skip

ARRIVAL = (
    r"(?:the |its |your |a |current |new |updated |revised |latest |estimated |expected |anticipated |day "
    r"|date )*(?:estimate|estimated (?:delivery|arrival)(?: (?:day|date))?|expected (?:day"
    r"|date)"
    r"|delivery date|expected delivery(?: (?:day|date))?|eta|anticipated date of arrival"
    r"|estimated arrival|arrival|new date|date|the day)"
    r"(?: (?:that )?(?:i have|i see|we have|it has|it gives|is given))?(?: (?:is|was|for"
    r"|for it|of|says|gives|still|i have|remains))*(?: now)?",
    rf"(?:it |{_THEM} )?(?:is |was )?{_NOW}(?:not )?(?:due|expected|scheduled|estimated|set"
    r"|anticipated|planned|down|slated|supposed)"
    r"(?: (?:to (?:arrive|come|be there|be with you|be delivered|reach you|get to you|get there"
    r"|land)|for|with you|there|in|by|on|for delivery|for arrival|at your door))*",
    r"(?:should|will|could|may|might|is going to|is likely to|is set to)(?: (?:still|now"
    r"|then|also|probably|likely|most likely|hopefully))*"
    r" (?:arrive|come|be there|be here|be with you|get to you|get there|be at your door"
    r"|show up|land on your doorstep|reach you|be delivered|be(?= (?:on |for )?DAY))(?: (?:with you"
    r"|to you|there|for you))?",
    r"you (?:should|can|will|may)(?: (?:now|then|probably|still))? (?:have|get|expect|receive"
    r"|look forward to)(?: (?:it|your (?:parcel|package|order)))?",
    r"(?:should show up|coming|it is coming|is coming|arriving|arrives|making saturday|has (?:it )?down for"
    r"|day the (?:estimate )?is|your door)",
    r"(?:CARRIER|the carrier|everything i see) (?:expects|estimates|is giving|gives|has given"
    r"|is estimating|are estimating|points to|is planning|plans|aims|is aiming for)(?: (?:to (?:deliver it"
    r"|deliver|have it with you)|it to arrive|it to be there|for delivery|delivery))?",
    r"CARRIER (?:now|currently|still) (?:expects|plans|estimates|aims|gives|says)(?: to (?:deliver it"
    r"|deliver|have it with you))?|they are estimating|(?:with )?(?:delivery"
    r"|arrival) (?:is )?(?:currently )?(?:expected"
    r"|estimated|scheduled|planned)(?: for)?",
    r"(?:the (?:day|date) it is|that is the (?:day|date)(?: it is expected)?)|has an estimated arrival of"
    r"|has a delivery date of|on schedule to arrive|(?:is )?(?:still )?on (?:track|course|schedule)(?: (?:for"
    r"|to arrive|to be delivered|to be there|to reach you))*"
    r"|so keep an (?:eye|ear) out(?: for it)?|keep an (?:eye|ear) out(?: for it)?|more likely to be"
    r"|likely to (?:be|arrive"
    r"|come)|(?:be )?with you by|expects it to arrive|an estimated arrival of|the big day",
)  # fmt: skip

SIGHTING = (
    r"(?:it )?passed through(?= PLACE)",
    r"as of(?= DAY)|that was(?= DAY)",
    r"(?:the |its |most |last |latest |recent |very )*(?:scan|scans|sighting|entry|update"
    r"|location|place|recorded location|place it was scanned)"
    r"(?: (?:took place|was|is|came|that i can see|from|recorded|happened|i can see|i have|of|in))*",
    rf"(?:it |{PARCEL} )?(?:was |is |has been )?(?:{_NOW})?(?:last |most recently |first )?(?:seen"
    r"|scanned|recorded|spotted|tracked|updated|recorded as)",
    r"(?:it |that )?was in(?= PLACE)|most recently|passed through|the last place(?: it was scanned)?"
    r"|last(?: it)?|when it was last updated|it was(?= in PLACE)",
)

# What is said of a day of arrival that has passed.
OVERDUE = (
    rf"(?:it |{PARCEL} )?(?:was (?:due|expected|supposed to (?:arrive|come|be there)|scheduled"
    r"|estimated)|should have (?:arrived|been there|come|been delivered)"
    r"|was to arrive)(?: (?:to arrive|for delivery|for|there|on|by|to be delivered))*",
    r"(?:it is )?overdue|(?:the )?expected (?:day|date)(?: of (?:delivery|arrival))? (?:has passed|was)|has passed",
)
NOT_RECORDED = (
    r"(?:it )?has not (?:yet )?been (?:recorded|marked|reported) as delivered"
    r"|there is no record of a delivery(?: yet)?"
    r"|there is no new date"
    r"|no new date(?: is available)?|(?:i )?do not have a new (?:date|estimate)",
)
NOT_DAY = (r"it (?:will|would|is|should|does)(?: probably| likely)? not (?:be|arrive|come|be there|be here"
           r"|be delivered|due|expected)(?: on)? DAY", r"not quite DAY",
    r"(?:,? ?(?:and |but )?(?:not|rather than|instead of)(?: (?:on|for))? DAY)",
    r"(?:it is )?unlikely to be (?:there|here|with you) DAY",
           r"i would not count on DAY")  # fmt: skip

FOUND = (
    r"(?:i )?was able to (?:find|locate|pull up) (?:it|that|your (?:parcel|package|order))"
    r"|i found it|according to the (?:estimate|latest scan|latest update)"
    r"|(?:we are|i am) looking at(?= DAY)|it does (?:show|say)(?: as)?|i have(?= DAY as)",
    rf"(?:so )?{_SOURCE} (?:is )?(?:still |currently )?(?:shows?|showing|says?|gives?|suggests?"
    rf"|indicates?|reports?|has)(?: (?:it|{PARCEL}))?(?: as| that)?",
    r"(?:i )?(?:can |have )?(?:just )?(?:see|seeing|located|found|pulled up|pulled that up"
    r"|had a look|taken a look|looked into it|checked|looked)"
    rf"|i have (?:got )?(?:it|{PARCEL})(?: right)? here"
    rf"|i have (?:just )?(?:checked|looked at|found)"
    rf"(?: (?:that|it|here|right here|this|{PARCEL}|the details|the latest information))*(?: (?:on my side"
    r"|for you))?",
    r"(?:it )?(?:looks|seems|appears|sounds|look)(?: like| as if| that)?(?: it)?|it(?: has"
    r"|s)? showing(?: up)?(?: as)?|showing as|it says(?: here)?(?: that)?",
    r"(?:as )?(?:far as|from what) i can (?:see|tell)(?: here)?|from what i (?:can )?see(?: here)?"
    r"|(?:as )?per the latest update|based on the (?:tracking|estimate)"
    r"|what i can (?:see|tell you) is(?: that)?|what i have(?: here)?|all i (?:see|know"
    r"|have) is(?: that)?|i only see(?: that)?|all i have|it only says(?: that)?|it just says(?: that)?"
    r"|i was able to pull (?:that|it) up|let me (?:look|see)|here is what i found|the current status is"
    r"|my records show|our records show(?: that)?"
    r"|according to (?:the )?(?:tracking|CARRIER|carrier|current estimate|last scan|system"
    r"|latest scan)(?: information)?|the good news is(?: that)?|there is a date"
    r"|the system (?:gives|shows|says)|everything i see|here is the scoop|(?:CARRIER|the carrier) (?:says"
    r"|reports|recorded|has marked|marked)(?: (?:that|it|the parcel))?(?: (?:is|as))?"
    r"|CARRIER reports the parcel as|the carrier , CARRIER , reports(?: (?:that|the parcel"
    r"|it))?(?: as)?|reports the parcel as|you will be (?:pleased|glad|happy) to hear(?: that)?"
    r"|is (?:marked|listed|shown|recorded) as|(?:it )?(?:does )?say|i am seeing(?: that)?"
    r"|i can see here|i have (?:here|it down)|marked as|the tracking only (?:gives|tells) me"
    r"|the (?:system|tracking|information i have) only says(?: that)?|i (?:can )?only (?:see"
    r"|know) that(?: it)?",
)  # fmt: skip

NOT_FOUND = (
    r"(?:i )?can not seem to find (?:it|that one|anything|that number)|no luck (?:with|finding) (?:that number"
    r"|that one|it)",
    r"nothing(?: is| s)? (?:coming|comes|came|turned) up(?: (?:for|under|with))?(?: (?:that"
    r"|this|the))?(?: (?:number|one))?|nothing (?:under|for)(?: (?:that|this|the))?(?: (?:number"
    r"|one))?"
    r"|(?:i am|i was) (?:not|unable)(?: (?:able to|to|having any))? ?(?:find|seeing|locate"
    rf"|finding)(?: (?:anything|that one|it|a match|a {PARCEL_NOUN}))?(?: (?:for|under))?(?: (?:that"
    r"|this|the))?(?: (?:number|one))?"
    r"|(?:i|we) (?:could|can|do|did|was|were)(?: not|n t)?(?: able to)? (?:find|see|locate)(?: (?:anything"
    r"|a matching parcel|that number|that one|a parcel|any parcel|(?=the second one)))(?: (?:under"
    r"|for|with))?(?: (?:that|this|the))?(?: (?:second )?(?:number|one))?"
    r"|there is (?:just |still )?(?:no|not a) (?:match|parcel|result|record|nothing)(?: (?:with"
    r"|for|under))?(?: (?:that|this|the) number)?(?: that i can see)?|still nothing|there is still nothing"
    r"|there was no result|no match"
    r"|no (?:shipment|parcel|result) was found(?: (?:under|for|with) this number)?|that number (?:is not"
    r"|does not seem|does not appear)(?: (?:to (?:match|be)|in))?(?: (?:any parcel|the system"
    r"|in the system))?(?: that i can see)?"
    r"|having a (?:hard|difficult) time finding (?:that one|it)|(?:nothing|no parcel) comes up for (?:that one"
    r"|it)|i was not able to find (?:anything|that one|it)(?: for)?"
    r"|(?:it )?does not look like that number is in (?:our|the) system|that number is not bringing (?:anything"
    r"|it) up|that number is not bringing up anything|(?:i have |i )?searched(?: for (?:it"
    r"|that number))?",
)  # fmt: skip
OUTAGE = (
    r"i can not check (?:that|it)(?: right now| at the moment)?|the system is not letting me (?:look anything up"
    r"|look it up|in)|something s gone wrong(?= [.,]|$| *$)",
    r"(?:i|we) (?:can not|could not|am not able to|am unable to|am having trouble|was not able to)(?: (?:reach"
    rf"|reaching|access|get to|pull up|look up|tell you where)) (?:{_SOURCE}|our tracking system"
    r"|any parcels|your parcel(?: is)?|parcels)"
    r"(?: (?:just now|right now|at the moment))?|(?:the |our )?(?:tracking )?(?:system|service"
    r"|tracking system|tracking service) (?:is|seems to be) (?:not|temporarily|currently)? ?(?:responding"
    r"|unavailable|cooperating|down|available)"
    r"|is not (?:responding|cooperating)|(?:i am |we are )?having (?:some |a few )?technical (?:difficulties"
    r"|problems|issues)|(?:the|our) system (?:is|seems to be) down|i can not (?:look that up"
    r"|access (?:the|that|your) (?:tracking )?(?:information|data|details)?)|that did not work"
    r"|(?:i ran|i have run) into (?:an error"
    r"|a problem)|an error occurred|something (?:seems to have )?(?:went|gone) wrong|ran into an error"
    r"|during the search|with the search"
    r"|while looking (?:that |up |it )*(?:up)?(?: your parcel)?|on my end|the tracking system"
    r"|unable to tell you where your parcel is",
)  # fmt: skip
INVALID = (
    r"that is not (?:quite )?a (?:full|complete|whole|valid) (?:tracking )?number",
    r"(?:that|this|it)(?: (?:is|looks|seems|does not (?:seem|appear) to be))+(?: (?:too"
    r"|a|bit|little|complete|full|valid|tracking|number|short|though|for))+"
    r"|there may be some digits missing|(?:most )?tracking numbers (?:are usually|have at least"
    r"|usually have|are) (?:a bit longer|six characters|at least six (?:letters and digits"
    r"|characters)|six letters and digits)",
)  # fmt: skip

UNKNOWN_DAY = (
    r"(?:i )?do not have a (?:newer|later|better) (?:estimate|date)",
    r"(?:there is|there s|there are|i do not have|i see|i have)? ?(?:no|not|not an?|no new)(?: new)?(?: (?:estimated"
    r"|expected|exact|delivery|arrival))* (?:date|estimate|day)(?: of (?:delivery|arrival))?"
    r"(?: (?:yet|for it|for you|at the moment|is (?:shown|available)|at present|in the system"
    r"|has been given|given))*",
    r"CARRIER has not given (?:a|any) date|(?:it is )?hard to say|no arrival date is shown"
    r"|no expected date of delivery is available at present",
    r"i do not have a date for you|do not have an? (?:estimated |expected )?date",
)
UNKNOWN_PLACE = (
    r"i can not (?:see|tell you)(?: you)? (?:its exact|exactly where it is"
    r"|its live)(?: location)?(?: at this moment)?"
    r"|i have no live location(?: for it)?|i do not have a live location"
    r"|where it is at this very moment , i can not say|i (?:am not able to|can not) see it on a live map"
    r"|i can only see the last scan",
)

# Several numbers fit.
SEVERAL = (
    r"(?:there (?:is|are)|i (?:found|have|see|can see)|we have)(?: (?:more than one|two"
    r"|a couple of|several|multiple))(?: (?:possible|numbers?|parcels?|match|matches|results?"
    r"|of them|that|could|might|match|fit|like that))+",
    r"it could be one of (?:two|several|three) (?:numbers|parcels)",
)
PLAIN = (
    r"(?:in|on) (?:our|my|the) (?:system|records|database|end|side)|which (?:is|was)(?= DAY)",
)  # states nothing by itself
LIMITS = (
    r"i only have (?:an|the) estimate(?= [,.]| *$)",
    r"(?:if|assuming|provided|as long as|so long as)(?: that)? (?:the|that|this) (?:current )?(?:estimate|date"
    r"|schedule|forecast) (?:holds(?: up)?|is right|is correct|does not change|stays(?: the same)?|sticks)",
    r"(?:if )?(?:everything|all) (?:goes|works out|stays) (?:well|to plan|smoothly|as planned|right"
    r"|according to plan|on track)"
    r"|(?:only|just) (?:the|a) (?:date|day)(?= [.]| *$)|i do not have access to (?:that|this)(?: information)?"
    r"|(?:that|this) information is not shown(?: to me)?"
    r"|that is something (?:the|your) (?:seller|shop|sender|carrier) (?:would|will)? ?(?:need"
    r"|have) to decide|i am a (?:computer|machine|voice assistant)"
    r"|(?:i|we) only caught (?:a few digits|part of (?:it|that|the number)|some of (?:it|that))",
    r"(?:if )?all (?:goes|being) (?:well|to plan)",
    r"(?:although|but|though) i can not (?:promise|guarantee)(?: (?:it|that))?",
    r"(?:that|this) (?:is not|information is not|detail is not) (?:possible|available|something i can (?:do"
    r"|see|change))(?: (?:from here|to me|for me|here|on my end))*"
    r"|there is no (?:exact )?(?:time|time window|time slot|signature|reason|name|explanation)(?: (?:listed"
    r"|shown|given|here|available))?"
    r"|(?:without|but no|(?:and |but )?not) (?:a|an|the)(?: (?:specific|exact|precise"
    r"|particular))?(?: delivery)? (?:time|hour|window|slot)"
    r"(?: slot| window)?|but CARRIER might"
    r"|i do not have one(?: yet)?"
    r"|i do not have the ability to (?:change|arrange|reschedule|redirect) (?:deliveries|the delivery|that|it)",
    r"i am afraid(?= [.]?$| *$)|let me (?:have a )?(?:look|see|check)(?= [.]?$| *$)|sometimes"
    r"|let me (?:just )?double check that with you",
)
COURTESIES = (
    r"(?:i have (?:got )?)?(?:good|great|some good) news|(?:okay , )?here we go|that is not good",
    r"please accept (?:my|our) (?:sincere )?apologies(?: for the (?:delay|inconvenience|wait|trouble))?",
    r"(?:that is|this is|that was) (?:far |way |much )*too long|(?:that is |this is )?not the experience (?:we want"
    r"|i would want)(?: you to have| for you)?|(?:so far )?so good"
    r"|(?:i am )?(?:really |so |very )?sorry about (?:all )?(?:this|that|the (?:wait|delay"
    r"|trouble|hassle|inconvenience|confusion))|(?:great|good|fair|excellent|interesting) (?:question"
    r"|point|thinking|timing)|(?:exciting"
    r"|happy|fantastic) news|yay|hooray|woohoo|(?:and )?happy holidays|cool|awesome"
    r"|fingers crossed|thank you for (?:your patience|waiting|holding|that|the number)|(?:sorry"
    r"|apologies) for the (?:wait|delay in answering|inconvenience)",
)

BY_CARRIER = (
    r"(?:the )?carrier(?: for (?:this|the|your) (?:parcel|shipment|package|order) is)? ,? ?CARRIER"
    r"|according to (?:the tracking , )?it is CARRIER|it says CARRIER|that would be CARRIER",
)

REQUESTS = (
    r"let us (?:find out|see|check|look up) where it is",
    r"just to make sure i have got it|would you mind trying again(?: (?:later|in a few minutes"
    r"|in a little while))?|if you like|(?:sure , )?let us track it down together|let us see where it is(?= [.]"
    r"| *$)",
    r"i would be (?:more than |very |only too )?(?:happy|glad|delighted) to (?:help(?: you)?(?: (?:find"
    rf"|track|with)(?: (?:{PARCEL}|it|that))?)?|find that out(?: for you)?|look it up)",
    r"would you like me to try once more|if you have a confirmation email , could you check the number(?: in there)?",
)  # fmt: skip

YES = (
    r"(?:that is what (?:i am seeing|i see|it says|i have here)|probably|most likely|likely"
    r"|i think so|i would say so|count on it|you bet|no doubt"
    r"|it looks that way|mm hmm|i believe so|indeed|that is (?:correct|the current estimate"
    r"|right|what i have"
    r"|what the tracking says)|it should|yep|yes indeed|correct|exactly|it will be|it will be there"
    r"|it is|so it seems|you are right)(?= [,.]| *$|$)",
)
NO = (
    r"(?:not so far|i do not think so)(?= [,.]| *$|$)",
    r"(?:no|nope|not yet|not quite yet|not (?:quite|really|exactly)|probably not|i am afraid not|unfortunately not"
    r"|it does not look like it|i wish i could say yes|not so well|no , sorry)(?= [,.]| *$"
    r"|$| DAY)",
)

# What hints at a deed that the agent then does: never said unless it follows.
# Words that by themselves state nothing, in a clause that states something else.
NEUTRAL = _listed(
    "carefully itself smoothly happily luckily fortunately basically essentially simply apparently officially "
    "nicely a an the is are was were be been it its of for in at with by on as and or but"
    " so well oh hmm uh um okay ok "
    "alright alrighty right then this that which here there your to me have had see look looks looking like seems "
    "seem very much really quite bit little some more most recent current status tracking update updates "
    "information details system records record number carrier estimate estimated expected anticipated eta arrival "
    "delivery date day please thanks thank sorry afraid unfortunately sadly regrettably good great lovely cool "
    "awesome perfect nice exciting happy pleased news scoop wait waiting patience hold things know hear say says "
    "said tell told only gives tells though although however anyway also still sometime parcel package "
    "packet order shipment consignment item one moment present if when what where how inconvenience apologise "
    "apologize apologies shows showing listed marked shown"
)
# Before a name or a day these would change what it says.
PREPOSITIONS = _listed("in at with by on for of to from as")
