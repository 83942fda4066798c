"""Phrases that state nothing about a parcel: courtesies, questions, announcements of the agent's next action. Only tables.

Together with `statements` these are all allowed phrases; any other word is a claim that needs a
fact. Patterns read normalised words, as in `statements`. English.
"""

from agentvoicebox_delivery.grounding.statements import PARCEL, PARCEL_NOUN

_THING = rf"(?:{PARCEL}|your number|the number|that number|this number|your delivery|the status(?: of {PARCEL})?)"
_KIND = (
    r"(?:tracking|parcel|package|order|shipment|reference|full|whole|complete|entire|correct|right|other"
    r"|new|next|last|second|first|exact)"
)
_NAMED_NUMBER = (
    r"(?:(?:the|your|that|this|its|a|another) (?:rest of (?:the|your|that) )?(?:(?:first|last|next|other"
    rf"|remaining|missing) )?(?:{_KIND} )*"
    r"(?:numbers?|id|code|one|digits?|characters?|letters?|part)|the rest|the whole thing|tracking number)"
    rf"(?: (?:for|of|on) (?:{PARCEL}|the (?:number|label)))?"
)
NUMBER = rf"(?:{_NAMED_NUMBER}|it|that)"
_HOW = (
    r"(?:(?: ,)? (?:(?:one|two|three|a few) (?:digit|character|letter|number)s? at a time|digit by digit|slowly"
    r"|more slowly|clearly|once more|one more time|again|for me"
    r"|in groups of (?:two|three|four)"
    r"|please|to me|with me|out|out loud|carefully|now|in full|when you are ready|from the (?:beginning|start)"
    r"|or type it|from your (?:email|receipt)))*"
)
_ASK_VERB = (
    r"(?:give|tell|read|say|repeat|spell|type|provide|share|check|double check|confirm|spelling|repeating"
    r"|reading|saying|giving"
    r"|checking|let me know)"
)
_HAVE_VERB = r"(?:have|get|find|look for|try|send|enter|bring up)"
_TO_ME = r"(?: (?:me|us|me with|us with|out|out loud))?"
_REQUEST = (
    r"(?:(?:and )?(?:could|can|would|will|may|might) (?:you|i)(?: please| kindly| just| quickly| possibly)*"
    r"|please|would you mind(?: just)?"
    r"|do you(?: want to| happen to)?|if you(?: can| could| would)?|you can|you could|(?:you )?just|you may"
    r"|are you able to|when you)"
)
_OFFER = (
    r"(?:let me(?: just)?|allow me to|let us|i (?:will|can|could|would|am going to|would (?:love|like) to"
    r"|would be (?:happy|glad) to|am (?:happy|glad|here|able) to"
    r"|will be (?:happy|glad|able) to|would like to|will need to|need to|want to|just need to)"
    r"|happy to|glad to|so (?:that )?i can|in order to|shall i|should i|to|how can i|how may i"
    r"|would you like me to|do you want me to|and|and i will|and i can)"
    r"(?: (?:just|quickly|gladly|certainly|definitely|also|please|now|still|happily))*"
)
_DEED = (
    rf"(?:help(?: you)?(?: out)?(?: (?:with (?:that|this|it|{PARCEL}|{PARCEL_NOUN}s|anything else|your delivery)"
    rf"|find {PARCEL}|track {PARCEL}|look (?:it|that) up))?(?: DAY)?"
    rf"|look (?:{_THING} )?up|look up {_THING}|look for {_THING}|look into (?:that|it|this)"
    rf"|check(?: (?:on )?{_THING})?"
    rf"|(?:take|have) (?:a|another) (?:quick )?look(?: at {_THING})?|find (?:{PARCEL}|out)|find it"
    rf"|search(?: for {_THING})?|pull (?:it|that|{PARCEL}) up"
    r"|pull up (?:it|that|your parcel)|try (?:that |it |this |looking it up )?(?:again|once more)|track (?:"
    + PARCEL
    + r")|locate "
    + PARCEL
    + ""
    r"|get started|start|be of help|confirm the number|read it back|repeat that|wait|hold)"
    r"(?: for you)?(?: again| now| right now| right away| one more time| once more| please)*"
)
_AGENT_NEED = r"(?:i|we) (?:will |would |do |still |just |only |also )*need(?: to (?:know|have|get))?"
_SET_OFF = r"(?= [,.?]| *$| and| but)"

# Allowed anywhere between other phrases.
LINKS = (
    r"[,.?]|and|but|so(?! [.?]| *$)|or|then|because|also|too|as well|now|right now|currently|still|just|again"
    r"|please|though|however|actually"
    r"|at the moment|at this point|well|oh|um|hmm|ah|that|which",
    r"(?:right|correct|yes|ok|okay)(?= \?)",
    rf"{PARCEL}|your parcels?|a parcel|(?:for|of|about|with) {PARCEL}|the one|one",
    r"(?:i am )?(?:so |very |really |truly )?sorry(?: (?:about|for) (?:that|this|it|the (?:inconvenience"
    r"|trouble|wait|confusion|mix up|misunderstanding)))?"
    r"(?: to hear that| to say(?: that)?)?|my (?:sincere )?apologies|apologies(?: for)?"
    r"|i (?:do )?apologi[sz]e(?: for (?:that|this|the inconvenience|the confusion|the wait))?",
    r"unfortunately|i am afraid(?: that(?! (?:is|was|does|number)))?|i am sorry(?: but)?|sadly|thankfully",
    r"(?:i|we) (?:really )?(?:understand|appreciate)(?: (?:that|it|this|your patience|how (?:frustrating"
    r"|annoying) (?:that|this) (?:is|must be)|your frustration)(?: (?:is|must be) (?:very "
    r"|really )?(?:frustrating|annoying|disappointing))?)?",
    r"(?:as (?:soon as )?(?:you are|you have)|once|whenever|when) (?:ready|you have it|you are ready"
    r"|you have the number|you find it)",
    r"if you (?:like|want|wish|prefer|need anything else|have (?:it|another|the number|one)(?: handy| there"
    r"| ready| to hand)?)",
)  # fmt: skip

# Only before a pause: with more words after it, each could become part of a claim ("no problem with the parcel").
COURTESIES = tuple(
    rf"(?:{each}){_SET_OFF}"
    for each in (
        r"(?:hello|hi|hey|hiya)(?: there| again)?|good (?:morning|afternoon|evening|day)|welcome(?: back)?",
        r"(?:thanks|thank you|many thanks|thanks a lot|thank you very much|thank you so much)"
        r"(?: (?:for|so much for) (?:that|waiting|holding|calling|your (?:patience|call)|confirming(?: that)?"
        r"|the number|bearing with me|your time|checking))?",
        r"(?:great|perfect|wonderful|excellent|lovely|okay|ok|alright|all right|right|got it|understood|i see"
        r"|noted|good|fine)",
        r"(?:good|great|i have (?:some )?good|i have) news|here is what i found|that is (?:good|great) news",
        r"no (?:problem|worries|trouble)(?: at all)?|not at all|that is (?:okay|ok|fine|all right"
        r"|alright)(?: too)?|sounds good|do not mention it",
        r"you are (?:very |most |so )?welcome|my pleasure|it is my pleasure|any ?time|glad (?:i could|to) help"
        r"|happy to help|i am glad (?:i could|to) help"
        r"|i am (?:here|happy) to help|glad to hear (?:that|it)",
        r"take (?:care|your time)|goodbye|good bye|bye(?: bye| now)?|have a (?:very )?(?:great|nice|good|lovely"
        r"|wonderful|pleasant) "
        r"(?:day|evening|one|afternoon|morning|night|weekend|rest of your day)|talk (?:soon|later)|good night",
        r"(?:i|we) will wait|i am listening|i am (?:still )?here|no rush|there is no rush"
        r"|whenever you are ready|(?:please )?(?:go ahead|go on|continue)(?: (?:with|and (?:give"
        r"|tell) me) (?:the|your) (?:rest of the )?(?:tracking )?number)?",
        r"thank you for calling(?: parcel tracking)?|this is (?:the )?(?:parcel tracking|delivery line"
        r"|tracking line)",
        r"i am sorry to hear (?:that|you are still waiting|about that)|that (?:must be|is) (?:frustrating"
        r"|annoying)|i know (?:that|it|this) is (?:frustrating|annoying)",
        r"nice to (?:hear|meet) (?:from )?you|i hope (?:that|this) helps|does that help",
    )
)  # fmt: skip

WAITS = tuple(
    rf"(?:{each}){_SET_OFF}"
    for each in (
        r"(?:one|just a|just one) (?:moment|second|sec|minute) while i (?:look|check|find|pull)(?: (?:that|it"
        r"|this))?(?: up)?(?: for you)?"
        r"|one (?:moment|second|sec|minute)|just (?:a|one) (?:moment|second|sec|minute)|(?:please )?(?:hold on"
        r"|bear with me|hang on)"
        r"(?: (?:for )?(?:a|one|just a) (?:moment|second|sec|minute))?|(?:please )?(?:wait|hold) (?:a"
        r"|one) (?:moment|second)|give me (?:just )?(?:a|one) (?:moment|second)",
    )
)  # fmt: skip

# What the agent says that it will do: true only if it does, by a tool call that follows.
ANNOUNCEMENTS = (
    r"(?:(?:and |so )?(?:i|we)) (?:will|shall|am going to|are going to|am gonna)"
    rf"(?: (?:just|quickly|gladly|certainly|definitely|also|now|still|happily))* {_DEED}"
    r"(?: and (?:let you know|tell you|get back to you))?",
)  # fmt: skip

# Questions and offers: a yes of the caller refers to them.
REQUESTS = (
    rf"{_REQUEST} {_ASK_VERB}{_TO_ME}(?: and {_ASK_VERB})?(?: {NUMBER})?{_HOW}(?: (?:and|or|then|so that"
    rf"|so) (?:please )?(?:try again|i can (?:look it up|check)|spell it|type it|tell me)){{0,2}}{_HOW}",
    rf"{_REQUEST} {_HAVE_VERB}(?: (?:me|us))? {_NAMED_NUMBER}{_HOW}",
    rf"may i (?:please )?have {NUMBER}{_HOW}|do you have {NUMBER}(?: (?:handy|there|ready|to hand|with you"
    r"|in front of you|nearby|available))?",
    rf"(?:and )?(?:what|which) (?:is|are|was|were|comes|number is)(?: (?:{NUMBER}|next|after that"
    r"|next in the number|it))?(?: please)?|what comes (?:next|after that)(?: in the number)?",
    rf"(?:and )?(?:what|which) (?:{NUMBER}|(?:tracking )?number|{PARCEL_NOUN}|one) (?:is it|do you (?:have|mean"
    r"|want|need)|are you (?:calling|asking) about"
    r"|would you like (?:me )?(?:to (?:check|track|look up))?)",
    r"i (?:only |just )?(?:caught|heard|got|have|understood) (?:the (?:first|last) (?:part|few digits|half)"
    r"|part of (?:it|the number)|some of (?:it|that))",
    rf"{_AGENT_NEED} {NUMBER}(?: (?:first|to (?:do that|{_DEED})))?(?: for that)?",
    rf"{_AGENT_NEED}",
    r"(?:i think )?(?:i|we) (?:may have |might have )?missed (?:the (?:end|beginning|first part|last part|rest"
    r"|middle)(?: of (?:it|that|the number))?|part of (?:it|that|the number)|that)",
    r"(?:could|can|may) i (?:please )?(?:get|have) (?:your|the) (?:tracking )?number(?: please)?",
    rf"{_OFFER} {_DEED}",
    r"how (?:can|may|could) i (?:help|assist)(?: you)?(?: DAY)?|what can i do for you(?: DAY)?|how are you(?: DAY)?",
    r"(?:is|was) there (?:anything|something) else(?: (?:that )?(?:i can|you need|you would like"
    r"|you want)(?: (?:help(?: you)?(?: with)?|do for you|to know|check|to check"
    r"|look up|look up for you))?(?: for you)?)?(?: DAY)?|anything else(?: i can (?:help(?: you)? with"
    r"|do for you))?(?: DAY)?",
    r"(?:would you like|do you want)(?: me)? to (?:try (?:again|another number|a different number|that again)"
    r"|check another (?:one|parcel|number)|track another parcel"
    r"|look up another (?:one|parcel|number)|say (?:it|that|the number) again)|(?:shall|should) i (?:try"
    r"|check)(?: (?:again|another (?:one|number)|that))?|do you have another (?:number|parcel)(?: (?:to"
    r"|i can) (?:check|track))?",
    r"(?:is|was|would) (?:that|this|it)(?: all)?(?: (?:be )?(?:right|correct|your number|the number"
    r"|the right number|the one|okay|ok|all|it))(?: for you)?|(?:did|have) i (?:get|hear|understand|got|heard"
    r"|understood) (?:that|it|you)(?: (?:right|correctly))?",
    rf"(?:and )?{_NAMED_NUMBER}(?= \?)",
    r"(?:are|were) there (?:any )?(?:more|other) (?:digits|numbers|letters|characters)"
    r"|is there more(?: to (?:it|the number))?|is that (?:the )?(?:whole|full|complete|entire) number",
    r"can i help(?: you)?(?: with)? anything else(?: DAY)?",
    r"are you still there|can you hear me|did you (?:mean|say)|do you mean|is it|is that|was it|was that"
    r"|or was it|does (?:yours|it|your number|that) end(?: in| with)?",
    r"just to (?:confirm|check|be sure|make sure)|(?:let me|to) (?:repeat|confirm|read that back"
    r"|make sure i (?:have|got) (?:that|it) right)|i (?:understood|heard|have|got|have got"
    r"|have heard)(?: (?:you say|so far|down))?(?=(?: ,)? (?:(?:the|your) )?(?:number )?ID)|so far i (?:have"
    r"|heard|got)|you (?:said|gave me|told me)|so far|so that is",
    r"(?:please |(?:could|can|would) you (?:please )?)?(?:try|call)(?: us| back| it| that)? again(?: (?:later"
    r"|in a (?:few |little |short )?(?:minute|minutes|moment|moments|while|bit)))?|(?:please )?(?:try"
    r"|call back) (?:later|in a (?:few )?(?:minutes|while|bit|moment))"
    r"|(?:could|can|would) you (?:please )?(?:try|call)(?: back)?(?: again)?(?: (?:later"
    r"|in a (?:few )?(?:minute|minutes|moment|while|bit)))",
    r"(?:please )?check (?:the number|it|that) with the sender|the sender can give you the number",
)  # fmt: skip

# The agent's abilities and limits, and facts about every tracking number.
LIMITS = (
    r"(?:i|we) (?:can only|am only able to|only) (?:help(?: you)?|assist(?: you)?|look up|track|tell you|check"
    r"|answer questions)"
    rf"(?: with| about)?(?: (?:where (?:a|your|the) {PARCEL_NOUN} is|{PARCEL_NOUN}s|tracking(?: (?:a "
    rf"|your )?{PARCEL_NOUN}s?)?|(?:a |your )?{PARCEL_NOUN}s?|the status of (?:a |your )?{PARCEL_NOUN}s?))?",
    r"(?:i|we) (?:still )?(?:can not|am not able to|am unable to|could not) (?:help(?: you)?(?: with (?:that|this|it"
    r"|refunds|complaints|payments|other things))?|do that"
    r"|transfer you(?: to (?:a person|a human|an agent|someone|anyone))?|put you through(?: to (?:a person"
    r"|a human|an agent|anyone))?"
    rf"|(?:say|tell)(?: you)? (?:that|anything (?:about it|about that|about (?:a|the|your) {PARCEL_NOUN}|more|else)"
    r"|more(?: than that)?|for (?:sure|certain)|that for (?:sure|certain)|why)|make (?:out the number|it out)"
    r"|(?:say|tell you)(?: exactly)?(?= [,.])|change (?:the address|anything|that|the delivery)"
    r"|give (?:you )?refunds|answer that|look up (?:(?:a|the|your|that) parcel|parcels)|understand(?: you| that)?"
    r"|hear you)(?: for you)?(?: from here)?(?: right now| at the moment)?",
    r"(?:i|we) do not (?:have|see) (?:any |the )?(?:(?:more|further|other|additional|exact|such|that"
    r"|specific) )*(?:information|details?|info|updates?)(?: (?:about|on|for) (?:that|this|it))?(?: than that)?"
    r"(?: (?:right now|at the moment|yet))?|(?:i|we) do not (?:know|have anything (?:more"
    r"|else)(?: than that)?)(?: (?:that|why|more(?: than that)?|anything (?:more|else)(?: than that)?"
    r"|the reason|what happened|exactly))?",
    r"(?:i|we) do not (?:see|have|hear) (?:a|the|your|any) (?:(?:whole|full"
    r"|complete) )?(?:tracking )?number(?: yet| here)?|(?:i|we) do not have (?:the"
    r"|an) exact (?:delivery )?(?:time|hour)",
    r"i (?:still )?(?:did not|could not|can not|do not) (?:quite |fully |really |still )?(?:(?:catch|hear|understand"
    r"|make out)(?: (?:that|you|it))?"
    r"|(?:catch|get|hear|understand|make out) (?:all of (?:that|it)|the (?:number|whole number|last part|rest)"
    r"|everything|what you said)|get that)",
    r"(?:i am|this is) (?:an?|the|your) (?:(?:automated|automatic|virtual|digital|parcel|delivery|tracking"
    r"|voice|ai) )*(?:assistant|system|line)",
    r"without it|without (?:the|your|a|its)(?: tracking)? number(?: i can not (?:look up|find|track|check)(?: (?:a"
    r"|your"
    r"|the) parcel| it| anything)?)?",
    r"(?:(?:it|the tracking number|the number|your tracking number) is |you (?:will|can|should) )?(?:usually "
    r"|normally |often |also )*(?:find|see|printed|in|on|shown)"
    rf"(?: (?:it|{NUMBER}|that))?(?: (?:printed|shown))?(?: (?:in|on))? "
    r"(?:the|your) (?:(?:confirmation|order|shipping|dispatch|delivery|sales) )*(?:message|email|e mail|mail"
    r"|text|receipt|slip|note|label|confirmation)(?: (?:(?:from|of) the (?:sender|shop|seller|store)"
    r"|that says your order was sent))?",
    r"(?:it|(?:a|the|your)(?: whole| complete| full)? tracking number|tracking numbers|they) (?:usually "
    r"|normally )?(?:has|have) at least six (?:letters and digits|characters|letters or digits"
    r"|letters and numbers|digits and letters)",
    r"(?:i|we) (?:do not|can not) (?:handle|do|deal with|issue|process|offer|give) (?:refunds|complaints"
    r"|payments|that)|that is not something i can (?:help with|do|tell you|answer)"
    r"|i can not say that for certain",
    r"(?:on|at) (?:my|our) (?:end|side)|while (?:i was |we were )?(?:looking|checking)(?: (?:that|it))?(?: up)?",
)  # fmt: skip

YES = (
    r"(?:yes|yeah|yep|yup|correct|exactly|that is (?:right|correct|true)|indeed|it is|it has|it will|it does"
    r"|right|it should|it was|it did)" + _SET_OFF,
)
NO = (
    r"(?:no|nope|not yet|not quite|not really|that is (?:wrong|not right|incorrect|not correct|not the case)"
    r"|it is not|it has not)" + _SET_OFF,
)
OF_COURSE = (
    r"(?:sure(?: thing)?|of course(?: i can)?|certainly|absolutely|definitely|naturally|gladly|with pleasure"
    r"|i (?:certainly |sure )?can)" + _SET_OFF,
)

_NTH = rf"(?:one|number(?= is not| [,.]|$)|{PARCEL_NOUN})"
OTHER_PARCEL = rf"(?:(?:your|the) (?:other|previous|earlier) {_NTH})"
FIRST_PARCEL = rf"(?:(?:your|the) first {_NTH}|the first(?= (?:is|was|has)))"
SECOND_PARCEL = rf"(?:(?:your|the) (?:second|latest|last) {_NTH}|the second(?= (?:is|was|has)))"
