"""What a look-up did not bring: no parcel, no day, no answer, several parcels, or an old result. Only tables."""

# That no day is known; true only where the result has none.
UNKNOWN_DAY = (
    r"(?:CARRIER|the carrier|they) (?:has|have) not (?:yet )?(?:provided|given|shared|set|released|announced"
    r"|confirmed|posted|updated)"
    r" (?:one|(?:a|an|any|the)(?: (?:new|updated|revised|exact|delivery|arrival|estimated|expected))* (?:date|day"
    r"|estimate|eta))(?: yet| so far)?",
    r"(?:CARRIER|the carrier|they) (?:has|have) not (?:yet )?(?:provided|given|shared|set|released"
    r"|announced) a new one(?: yet)?",
    r"i do not have (?:a|any)(?: new)? (?:date|day|estimate) (?:to give you|for you|to tell you)",
    r"i wish i had (?:a|an)(?: (?:new|better|firm|exact|delivery|arrival))* (?:date|day|estimate)(?: (?:for you"
    r"|to give you))?",
    r"(?:there is |i have |i see |i do not (?:have|see) )(?:no|an?|any)(?: (?:new|updated|revised|current|estimated"
    r"|expected|exact|delivery|arrival))+"
    r" (?:date|day|estimate|eta)(?: (?:yet|available|so far|for it|right now|at the moment|at this time|at present"
    r"|listed|shown|given))*",
)
# The carrier is not reached, so that the result is an old one.
NOTHING_NEWER = (
    r"(?:i|we) can not (?:reach|get through to|get (?:the (?:very )?latest|anything new) from) (?:the carrier"
    r"|CARRIER|the tracking)(?: (?:right now|at the moment|just now))?"
    r"|(?:i|we) can not get the (?:very )?latest(?: (?:right now|at the moment))?",
)
# That the number was not found.
NOT_FOUND = (
    r"(?:there is )?(?:still )?(?:just )?nothing (?:here |listed |coming up )?(?:under|for|with) (?:that|this"
    r"|the) (?:tracking )?number|(?:i|we) (?:still )?(?:can not|could not) (?:find|see) that(?: second)? one",
    r"(?:nothing|no (?:parcel|result|results|match|matches|record|shipment)) (?:is |has |was )?(?:still "
    r"|currently )?(?:showing|coming|turning|popping|came|come|shows|comes"
    r"|turned)(?: up)?(?: (?:for|under|with|against))?(?: (?:that|this|the)(?: tracking)? (?:number|one))?",
    r"(?:i am|we are) (?:still )?not (?:finding|seeing|getting|able to see|able to pull up) (?:it|anything|a match"
    r"|that one|a parcel|any match|a result)"
    r"(?: (?:for|under|with))?(?: (?:that|this|the)(?: tracking)? (?:number|one))?",
    r"(?:is|are) not (?:coming|showing)(?: up)(?: (?:in|on) (?:the|our) system)?"
    r"|(?:tracking )?number is not (?:(?:known|listed|registered|recogni[sz]ed|on file|found)(?: (?:to|in|by|here))*"
    r"|in|on)(?: (?:the|our) (?:system|records|database))?",
    r"(?:that|this|the|your) (?:tracking )?number (?:is not|does not seem to be|is not currently) (?:coming|showing"
    r"|bringing|pulling)(?: (?:up|anything"
    r"|any|results?|a match|in (?:the|our) system))+",
    r"(?:i|we) (?:still |also |just )*(?:can not|could not|am not able to|was not able to|am unable to"
    r"|was unable to) (?:find|locate|see|pull up|get)"
    r" (?:it|anything|any|a|that|one|that one|parcels?|match|matches|results?|record)(?: (?:parcel|package|match"
    r"|matches|results?|shipment|order|record"
    r"|information|details))*(?: (?:for|under|with|on|that matches|matching|linked to|associated with))*(?: (?:that"
    r"|this|the) (?:tracking )?number)?",
)
OUTAGE = (
    r"(?:i|we) (?:can not|could not|am not able to|am unable to) (?:get (?:through|in|on)(?: to)?|connect to|reach"
    r"|load|open|get into)"
    r" (?:the|our|my) (?:tracking )?(?:system|service|database|records|information|data)(?: (?:just now|right now"
    r"|at the moment|at present))?",
    r"(?:the|our) (?:tracking )?(?:system|service) (?:is|seems to be|appears to be) (?:currently |still )?(?:having"
    r"|experiencing)(?: (?:some|a few|a bit of|technical))*"
    r" (?:trouble|problems|issues|difficulties)|something (?:did not|does not|is not) work(?:ing)?(?: (?:there|right"
    r"|properly|on my end|on my side))*",
    r"(?:i|we) (?:have |just )*(?:hit|ran into|run into|got|encountered|had|came across|am getting"
    r"|keep getting) (?:a|an|some)(?: (?:technical|system|unexpected))?"
    r" (?:error|problem|issue|snag|glitch)(?: (?:when|while|as)(?: i (?:tried|was trying) to)? (?:look|looking|check"
    r"|checking|pull|pulling|search|searching)"
    r"(?: (?:that|it|this|up|your parcel|for it|for your parcel|into it))*)?",
    r"there (?:was|is|has been|seems to be) (?:a|an|some)(?: (?:technical|system|unexpected))? (?:error|problem"
    r"|issue|glitch|hiccup) (?:when|while|with)(?: i tried to)?"
    r" (?:look|looking|check|checking|pull|pulling|the (?:search|look up|system))(?: (?:that|it|this|up"
    r"|your parcel))*",
    r"(?:something|it) (?:went|has gone|seems to have gone) wrong (?:when|while|as) i (?:tried|was trying|looked"
    r"|attempted)(?: to)?"
    r" (?:look (?:that|it|this|up)+(?: up)?|check(?: (?:that|it|on it))?|find (?:it|your parcel)|pull (?:it|that) up"
    r"|up (?:it|that)|search(?: for it)?"
    r"|look up (?:your|the|that) (?:parcel|number))",
    r"(?:i|we) (?:ran|have run|am running) into (?:a|an|some) (?:error|problem|issue|trouble|technical (?:error"
    r"|problem|issue))"
    r"(?: (?:when|while) (?:i tried to )?(?:look|looking|check|checking|pull|pulling)(?: (?:that|it|this|your parcel"
    r"|up))*)?",
)
INVALID = (
    r"(?:that|this|it|the number) (?:sounds|seems|looks|is|appears)(?: (?:a bit|a little|rather|somewhat|too|like"
    r"|to be))*"
    r" (?:short|incomplete|long|off)(?: (?:for|to be) a(?: (?:full|complete|whole))? (?:tracking )?number)?",
    r"(?:that|this|it) (?:does not|did not) (?:quite )?(?:sound|look|seem) like (?:a|the) (?:(?:full|complete|whole"
    r"|valid|entire) )*(?:tracking )?number",
)
# That several numbers fit.
SEVERAL = (
    r"i (?:have|have got|see|found) (?:two|a couple|several|a few)(?: of them)? that (?:sound|look)s? like (?:that"
    r"|it|this)",
    r"(?:i (?:see|have|found|can see|have found|get) |there are )?(?:two|a couple of|several|a few|more than one"
    r"|multiple)(?: (?:possible|different))?"
    r" (?:numbers?|parcels?|packages?|orders?|matches|results?|possibilities|options)(?: (?:here|that"
    r"|which))*(?: (?:could|might|may|would)(?: all| both)?"
    r" (?:fit|match|be (?:it|yours|the one|right|what you mean)))?(?: (?:here|that|it|what you said|what i heard))*",
)
# How old the result is.
AGE = (
    r"AGE(?= ,? ?it was)",
    r"(?:the |my |this )?(?:(?:latest|last|most recent|newest|current) )*(?:information|update|data|status|tracking"
    r"|news)(?: (?:i have|i see|here|we have))?"
    r" (?:is|was)(?: from)? AGE",
)

# What the agent asks for, can do, or says by the way.
# What the agent can do, and conditions of it.
REQUESTS = (
    r"(?:if|once|when|as soon as) you (?:can )?(?:give|tell|read|send|share|have|provide)(?: (?:me|us|it))?(?: with)?"
    r"(?: (?:the|your|a|its|that) (?:tracking )?number)?(?: (?:handy|ready|to hand))?",
    r"i (?:can|could)(?: (?:certainly|gladly|definitely|happily|then|also|quickly|easily|still))* (?:check|look|help"
    r"|track)"
    r"(?: (?:on|up|into|where|for|you|with|out))*(?: (?:a|the|your|that) (?:parcel|package|order|status|one)| it"
    r"| that)?(?: (?:is|for you|up|right away))*",
    r"i can tell you where (?:your|a|the) (?:parcel|package|order) is|(?:of course , )?i would be (?:happy|glad"
    r"|delighted) to (?:check|track|look up|look for) (?:another|the other|a second|that) (?:one|parcel|package"
    r"|number)(?: for you)?|sure can(?= [,.]| *$)",
    r"i can (?:help|assist)(?: you)?(?: (?:to|with))? (?:track|tracking|find|finding|look up|check|checking on"
    r"|locate|locating) (?:a|your|the|that|any) (?:parcel|package|order|delivery)",
    r"so far i (?:have got|have|got|have heard)|no rush(?: at all)?(?= [,.]| *$)",
    r"i (?:do not think i|may not have|might not have|did not)(?: (?:quite|fully))? (?:got|get|heard|hear|caught"
    r"|catch|have) (?:(?:the (?:whole|full|complete|entire)|all of the) (?:number|thing)|all of (?:it|that)"
    r"|everything)",
    r"i can (?:look up|track|find|check) (?:parcels|packages|orders|shipments)",
    r"(?:and )?(?:the|your) (?:tracking )?number(?: ,)? please|i can not(?= [,.]| *$)",
    r"(?:just )?(?:to (?:make|be) sure|to confirm|to check) (?:that )?(?:i (?:have|got|have got|heard) (?:it|that"
    r"|you|this|the number) (?:right|correctly)"
    r"|we have the same number)?",
    r"(?:is|was) (?:the|your|that the) (?:tracking )?number(?= ID)",
    r"(?:sure (?:thing )?, )?i would be (?:very |more than |only too )?(?:happy|glad|delighted) to(?= [,.]| *$)",
    r"(?:i am |i can )?(?:only |just )*(?:able to )?(?:speak|help(?: you)? in|talk in|understand) english"
    r"|i only (?:speak|know|understand) english",
    r"what comes (?:after that|next|then)|and then what",
)
COURTESIES = (
    r"(?:okay , |aha , )?here we (?:are|go)(?= [,.]| *$)",
    r"(?:i have (?:got )?)?(?:good|great) news for you|really(?= \?)|(?:maybe |perhaps |i think )?i (?:may have "
    r"|might have |must have )?(?:misheard|misunderstood)(?: (?:it|you|that|the number))?(?= [,.]| *$)",
    r"(?:ooh|ugh|aha|yay|wow|aw|phew)(?= [,.]| *$)",
    r"it is (?:very )?(?:good|great) news(?= [,.]| *$)",
    r"(?:numbers|letters|digits) are (?:easily|easy to|often)(?: to)? (?:misheard|mishear|mix up|mixed up|confused"
    r"|miss)(?: (?:on|over) the phone)?",
    r"oh (?:no|dear|boy)(?= [,.]| *$)|let us (?:get|have) (?:that|this|it|you) (?:sorted|looked up|checked"
    r"|found)(?: out)?",
    r"i think(?= i (?:only|just|may|might))|i am (?:an|your) ai assistant",
)
LINKS = (
    r"at this time|for now|as of now(?! \w)|instead(?= [,.]|$| *$)|at least|though|so far|as it stands"
    r"|while|whilst|although|even though|which (?:is|was|would be|means)(?= DAY)",
)  # fmt: skip
