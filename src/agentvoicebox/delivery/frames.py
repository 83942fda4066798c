"""Things to say that tell nothing about a parcel: courtesies, questions, what the agent will do next. Only tables.

Together with `statements` this is all that may be said; a word that belongs to no line of either is a claim that needs a
fact. Patterns read normalised words, as in `statements`. English.
"""

from agentvoicebox.delivery.statements import PARCEL, PARCEL_NOUN

_THING = rf"(?:{PARCEL}|your number|the number|that number|this number|your delivery|the status(?: of {PARCEL})?)"
_KIND = r"(?:tracking|parcel|package|order|shipment|reference|full|whole|complete|entire|correct|right|other|new|next|last|second|first|exact)"
_NAMED_NUMBER = (
    rf"(?:(?:the|your|that|this|its|a|another) (?:rest of (?:the|your|that) )?(?:(?:first|last|next|other|remaining|missing) )?(?:{_KIND} )*"
    r"(?:numbers?|id|code|one|digits?|characters?|letters?|part)|the rest|the whole thing|tracking number)"
    rf"(?: (?:for|of|on) (?:{PARCEL}|the (?:number|label)))?"
)
NUMBER = rf"(?:{_NAMED_NUMBER}|it|that)"
_HOW = (
    r"(?: (?:one (?:digit|character|letter|number) at a time|digit by digit|slowly|more slowly|clearly|once more|one more time|again|for me"
    r"|please|to me|with me|out|out loud|carefully|now|in full|when you are ready|from the (?:beginning|start)|or type it|from your (?:email|receipt)))*"
)
_ASK_VERB = (
    r"(?:give|tell|read|say|repeat|spell|type|provide|share|check|double check|confirm|spelling|repeating|reading|saying|giving"
    r"|checking|let me know)"
)
_HAVE_VERB = r"(?:have|get|find|look for|try|send|enter|bring up)"
_TO_ME = r"(?: (?:me|us|me with|us with|out|out loud))?"
_REQUEST = (
    r"(?:(?:and )?(?:could|can|would|will|may|might) (?:you|i)(?: please| kindly| just| quickly| possibly)*|please|would you mind(?: just)?"
    r"|do you(?: want to| happen to)?|if you(?: can| could| would)?|you can|you could|(?:you )?just|you may|are you able to|when you)"
)
_OFFER = (
    r"(?:let me(?: just)?|allow me to|let us|(?:i|we) (?:will|can|could|would|am going to|would be (?:happy|glad) to|am (?:happy|glad|here|able) to"
    r"|will be (?:happy|glad|able) to|would like to|will need to|need to|want to|just need to)"
    r"|happy to|glad to|so (?:that )?i can|in order to|shall i|should i|to|how can i|how may i|would you like me to|do you want me to|and|and i will|and i can)"
    r"(?: (?:just|quickly|gladly|certainly|definitely|also|please|now|still|happily))*"
)
_DEED = (
    rf"(?:help(?: you)?(?: out)?(?: (?:with (?:that|this|it|{PARCEL}|{PARCEL_NOUN}s|anything else|your delivery)"
    rf"|find {PARCEL}|track {PARCEL}|look (?:it|that) up))?(?: today)?"
    rf"|look (?:{_THING} )?up|look up {_THING}|look for {_THING}|look into (?:that|it|this)|check(?: (?:on )?{_THING})?"
    rf"|(?:take|have) (?:a|another) (?:quick )?look(?: at {_THING})?|find (?:{PARCEL}|out)|find it|search(?: for {_THING})?|pull (?:it|that|{PARCEL}) up"
    r"|pull up (?:it|that|your parcel)|try (?:that |it |this |looking it up )?(?:again|once more)|track (?:" + PARCEL + r")|locate " + PARCEL + ""
    r"|do that|get started|start|be of help|verify (?:that|it)|confirm (?:that|the number)|read it back|repeat that|wait|hold|get (?:that|it|this))"
    r"(?: for you)?(?: again| now| right now| right away| one more time| once more| please)*"
)
_AGENT_NEED = r"(?:i|we) (?:will |would |do |still |just |only |also )*need(?: to (?:know|have|get))?"
_SET_OFF = r"(?= [,.?]| *$| and| but)"

# Fit anywhere between other things.
LINKS = (
    r"[,.?]|and|but|so|or|then|because|also|too|as well|now|right now|currently|still|just|again|please|though|however|actually"
    r"|at the moment|at this point|well|oh|um|hmm|ah|that|which",
    rf"{PARCEL}|your parcels?|a parcel|(?:for|of|about|with) {PARCEL}|the one|one",
    r"(?:i am )?(?:so |very |really |truly )?sorry(?: (?:about|for) (?:that|this|it|the (?:inconvenience|trouble|wait|confusion|mix up|misunderstanding)))?"
    r"(?: to hear that| to say(?: that)?)?|my (?:sincere )?apologies|apologies(?: for)?|i (?:do )?apologi[sz]e(?: for (?:that|this|the inconvenience|the confusion|the wait))?",
    r"unfortunately|i am afraid(?: that)?|i am sorry(?: but)?|sadly|thankfully",
    r"(?:i|we) (?:really )?(?:understand|appreciate)(?: (?:that|it|your patience|how (?:frustrating|annoying) (?:that|this) (?:is|must be)|your frustration))?",
    r"(?:as (?:soon as )?(?:you are|you have)|once|whenever|when) (?:ready|you have it|you are ready|you have the number|you find it)",
    r"if you (?:like|want|wish|prefer|need anything else|have (?:it|another|the number|one)(?: handy| there| ready| to hand)?)",
)  # fmt: skip

# Only where a pause follows: with more words after it, each could become part of a claim ("no problem with the parcel").
COURTESIES = tuple(
    rf"(?:{each}){_SET_OFF}"
    for each in (
        r"(?:hello|hi|hey|hiya)(?: there| again)?|good (?:morning|afternoon|evening|day)|welcome(?: back)?",
        r"(?:thanks|thank you|many thanks|thanks a lot|thank you very much|thank you so much)"
        r"(?: (?:for|so much for) (?:that|waiting|holding|calling|your (?:patience|call)|confirming(?: that)?|the number|bearing with me|your time|checking))?",
        r"(?:great|perfect|wonderful|excellent|lovely|okay|ok|alright|all right|right|got it|understood|i see|noted|good|fine)",
        r"(?:good|great|i have (?:some )?good|i have) news|here is what i found|that is (?:good|great) news",
        r"no (?:problem|worries|trouble)(?: at all)?|not at all|that is (?:okay|ok|fine|all right|alright)(?: too)?|sounds good|do not mention it",
        r"you are (?:very |most |so )?welcome|my pleasure|it is my pleasure|any ?time|glad (?:i could|to) help|happy to help|i am glad (?:i could|to) help"
        r"|i am (?:here|happy) to help|glad to hear (?:that|it)",
        r"take (?:care|your time)|goodbye|good bye|bye(?: bye| now)?|have a (?:very )?(?:great|nice|good|lovely|wonderful|pleasant) "
        r"(?:day|evening|one|afternoon|morning|night|weekend|rest of your day)|talk (?:soon|later)|good night",
        r"one (?:moment|second|sec|minute)|just (?:a|one) (?:moment|second|sec|minute)|(?:please )?(?:hold on|bear with me|hang on)"
        r"(?: (?:for )?(?:a|one|just a) (?:moment|second|sec|minute))?|(?:please )?(?:wait|hold) (?:a|one) (?:moment|second)|give me (?:just )?(?:a|one) (?:moment|second)",
        r"(?:i|we) will wait|i am listening|i am (?:still )?here|no rush|there is no rush|whenever you are ready|go ahead|please go (?:ahead|on)|go on",
        r"thank you for calling(?: parcel tracking)?|this is (?:the )?(?:parcel tracking|delivery line|tracking line)",
        r"i am sorry to hear (?:that|you are still waiting|about that)|that (?:must be|is) (?:frustrating|annoying)|i know (?:that|it|this) is (?:frustrating|annoying)",
        r"nice to (?:hear|meet) (?:from )?you|i hope (?:that|this) helps|does that help",
    )
)  # fmt: skip

# Questions and offers: they say what the caller's yes is about.
REQUESTS = (
    rf"{_REQUEST} {_ASK_VERB}{_TO_ME}(?: and {_ASK_VERB})?(?: {NUMBER})?{_HOW}(?: (?:and|or|then|so that|so) (?:please )?(?:try again|i can (?:look it up|check)|spell it|type it|tell me)){{0,2}}{_HOW}",
    rf"{_REQUEST} {_HAVE_VERB}(?: (?:me|us))? {_NAMED_NUMBER}{_HOW}",
    rf"may i (?:please )?have {NUMBER}{_HOW}|do you have {NUMBER}(?: (?:handy|there|ready|to hand|with you|in front of you|nearby|available))?",
    rf"(?:and )?(?:what|which) (?:is|are|was|were|comes|number is)(?: (?:{NUMBER}|next|after that|next in the number|it))?(?: please)?|what comes (?:next|after that)(?: in the number)?",
    rf"(?:and )?(?:what|which) (?:{NUMBER}|(?:tracking )?number|{PARCEL_NOUN}|one) (?:is it|do you (?:have|mean|want|need)|are you (?:calling|asking) about"
    r"|would you like (?:me )?(?:to (?:check|track|look up))?)",
    rf"(?:i|we) (?:only |just )?(?:caught|heard|got|have|understood) (?:the (?:first|last) (?:part|few digits|half)|part of (?:it|the number)|some of (?:it|that))",
    rf"{_AGENT_NEED} {NUMBER}(?: (?:first|to (?:do that|look it up|check|find it|help you|look that up|track it)))?(?: for that)?",
    rf"{_AGENT_NEED}",
    rf"{_OFFER} {_DEED}",
    rf"how (?:can|may|could) i (?:help|assist)(?: you)?(?: today)?|what can i do for you(?: today)?|how are you(?: today)?",
    r"(?:is|was) there (?:anything|something) else(?: (?:that )?(?:i can|you need|you would like|you want)(?: (?:help(?: you)?(?: with)?|do for you|to know|check|to check"
    r"|look up|look up for you))?(?: for you)?)?(?: today)?|anything else(?: i can (?:help(?: you)? with|do for you))?(?: today)?",
    r"(?:would you like|do you want)(?: me)? to (?:try (?:again|another number|a different number|that again)|check another (?:one|parcel|number)|track another parcel"
    r"|look up another (?:one|parcel|number)|say (?:it|that|the number) again)|(?:shall|should) i (?:try|check)(?: (?:again|another (?:one|number)|that))?|do you have another (?:number|parcel)(?: (?:to|i can) (?:check|track))?",
    r"(?:is|was|would) (?:that|this|it)(?: all)?(?: (?:be )?(?:right|correct|your number|the number|the right number|the one|okay|ok|all|it))(?: for you)?|(?:did|have) i (?:get|hear|understand|got|heard|understood) (?:that|it|you)(?: (?:right|correctly))?|is that you",
    rf"are you still there|can you hear me|did you (?:mean|say)|do you mean|is it|is that|was it|was that|or was it|does (?:yours|it|your number|that) end(?: in| with)?",
    rf"just to (?:confirm|check|be sure|make sure)|(?:let me|to) (?:repeat|confirm|read that back|make sure i (?:have|got) (?:that|it) right)|i (?:understood|heard|have|got)(?: (?:you say|so far|the number|down))?|so far i (?:have|heard|got)|you (?:said|gave me|told me)|so far|so that is",
    r"(?:please )?(?:try|call)(?: us| back| it)? again(?: (?:later|in a (?:few )?(?:minute|minutes|moment|while|bit)))?|(?:please )?(?:try|call back) (?:later|in a (?:few )?(?:minutes|while|bit|moment))"
    r"|(?:could|can|would) you (?:please )?(?:try|call)(?: back)?(?: again)?(?: (?:later|in a (?:few )?(?:minute|minutes|moment|while|bit)))",
    r"(?:please )?check (?:the number|it|that) with the sender|the sender can give you the number",
)  # fmt: skip

# What the agent is and is not able to do, and things that are true of every tracking number.
LIMITS = (
    rf"(?:i|we) (?:can only|am only able to|only) (?:help(?: you)?|assist(?: you)?|look up|track|tell you|check|answer questions)"
    rf"(?: with| about)?(?: (?:where (?:a|your|the) {PARCEL_NOUN} is|{PARCEL_NOUN}s|tracking(?: (?:a |your )?{PARCEL_NOUN}s?)?|(?:a |your )?{PARCEL_NOUN}s?|the status of (?:a |your )?{PARCEL_NOUN}s?))?",
    r"(?:i|we) (?:can not|am not able to|am unable to|could not) (?:help(?: you)?(?: with (?:that|this|it|refunds|complaints|payments|other things))?|do that"
    r"|transfer you(?: to (?:a person|a human|an agent|someone|anyone))?|put you through(?: to (?:a person|a human|an agent|anyone))?"
    r"|(?:say|tell)(?: you)? (?:that|anything (?:about it|about that|more|else)|more(?: than that)?|for (?:sure|certain)|that for (?:sure|certain)|why)|make out the number"
    r"|change (?:the address|anything|that|the delivery)|give (?:you )?refunds|answer that|look up (?:a parcel|parcels)|understand(?: you| that)?|hear you)(?: right now| at the moment)?",
    r"(?:i|we) do not (?:have|see) (?:any |the )?(?:(?:more|further|other|additional|exact|such|that|specific) )*(?:information|details?|info|updates?)(?: (?:about|on|for) (?:that|this|it))?(?: than that)?"
    r"(?: (?:right now|at the moment|yet))?|(?:i|we) do not (?:know|have)(?: (?:that|why|more(?: than that)?|anything (?:more|else)(?: than that)?|the reason|what happened|exactly))",
    r"(?:i|we) (?:did not|could not|can not|do not) (?:quite |fully |really |still )?(?:catch|get|hear|understand|make out)(?: (?:that|you|it|all of (?:that|it)|the (?:number|whole number|last part|rest)|everything|what you said))?",
    r"(?:i am|this is) (?:an?|the|your) (?:(?:automated|automatic|virtual|digital|parcel|delivery|tracking|voice|ai) )*(?:assistant|system|line)",
    r"without (?:the|your|a)(?: tracking)? number(?: i can not (?:look up|find|track|check)(?: (?:a|your|the) parcel| it| anything)?)?",
    r"(?:it is |you (?:will|can|should) )?(?:usually |normally |often |also )*(?:find|see|printed|in|on|shown)(?: (?:it|" + NUMBER + r"|that))?(?: (?:printed|shown))?(?: (?:in|on))? "
    r"(?:the|your) (?:(?:confirmation|order|shipping|dispatch|delivery|sales) )*(?:message|email|e mail|mail|text|receipt|slip|note|label|confirmation)(?: (?:from the (?:sender|shop|seller)|that says your order was sent))?",
    r"(?:it|(?:a|the|your)(?: whole| complete| full)? tracking number|tracking numbers|they) (?:usually |normally )?(?:has|have) at least six (?:letters and digits|characters|letters or digits|letters and numbers|digits and letters)",
    r"(?:i|we) (?:do not|can not) (?:handle|do|deal with|issue|process|offer|give) (?:refunds|complaints|payments|that)|that is (?:not )?something i (?:can not|can) (?:help with|do|tell you|answer)|i can not say that for certain",
    r"(?:on|at) (?:my|our) (?:end|side)|while (?:i was |we were )?(?:looking|checking)(?: (?:that|it))?(?: up)?",
)  # fmt: skip

YES = (r"(?:yes|yeah|yep|yup|correct|exactly|that is (?:right|correct|true)|indeed|it is|it has|it will|it does|right|it should|it was|it did)" + _SET_OFF,)
NO = (r"(?:no|nope|not yet|not quite|not really|that is (?:wrong|not right|incorrect|not correct|not the case)|it is not|it has not)" + _SET_OFF,)
OF_COURSE = (r"(?:sure(?: thing)?|of course|certainly|absolutely|definitely|naturally|gladly|with pleasure|i (?:certainly |sure )?can)" + _SET_OFF,)

OTHER_PARCEL = rf"(?:(?:your|the) (?:other|previous|earlier) (?:one|{PARCEL_NOUN}))"
FIRST_PARCEL = rf"(?:(?:your|the) first (?:one|{PARCEL_NOUN}))"
SECOND_PARCEL = rf"(?:(?:your|the) (?:second|latest|last) (?:one|{PARCEL_NOUN}))"
