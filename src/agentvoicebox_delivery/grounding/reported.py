"""Statements as somebody reports them: "the tracking just says …", "DHL expects it to arrive …". Only tables, read by `claims`.

Each table is a small grammar: who says it, how, and of what. Patterns read normalised words, as in `statements`.
"""

from agentvoicebox_delivery.grounding.statements import PARCEL

_HOW = (
    r"(?:(?:is|are|does|do|has|have|was|been|still|currently|now|only|just|also|simply|all|then|so far|at the moment"
    r"|right now"
    r"|officially|presently) )*"
)
_RECORDS = (
    r"(?:(?:the|my|our|their|this|CARRIER s|CARRIER) )?(?:(?:carrier s|latest|most recent|current|parcel|delivery"
    r"|available|live) )*"
    r"(?:tracking|systems?|records?|data|status|information|details|page|update|updates|screen|scans?|history)"
    r"(?: (?:information|data|details|page|system|update|history|record|status))?"
    r"(?: (?:here|from CARRIER|from the carrier|(?:that )?i (?:have|see|can see|am seeing)(?: here)?))?"
)
_CARRIER = r"(?:CARRIER|the carrier|the courier|they|the carrier , CARRIER ,)"
_SAYS = (
    r"(?:shows?|showing|shown|says?|saying|gives?|giving|given|suggests?|indicates?|reports?|reported|has|have"
    r"|lists?|listed|listing"
    r"|puts|marks|marked|tells? me|confirms?|confirmed|points? to|notes|states|reads|recorded)"
)
_SHAPE = rf"(?: (?:{PARCEL}|me|up|as|that|is|being|to be|now|just|only|down|for))*"
_ON = r"(?: (?:by|for|on|at|in|from))*"
_COMING = (
    r"(?:arriv(?:e|ing)|com(?:e|ing)|(?:be )?deliver(?:ed|y)?|(?:be|have it) (?:with|to) you|be there|be here"
    r"|get (?:there|here|to you)"
    r"|getting to you|reach(?:ing)? you|land|turn up|show up|be at your door|have it (?:with|to) you|deliver (?:it"
    r"|your \w+))"
)
_EXPECTS = (
    r"(?:expect(?:s|ed|ing)?|estimat(?:es|ed|ing|e)|anticipat(?:es|ed|ing|e)|plan(?:s|ned|ning)?|aim(?:s|ing)?"
    r"|schedul(?:es|ed|ing|e)"
    r"|project(?:s|ed|ing)?|target(?:s|ed|ing)?|hop(?:es|ing) (?=to )|look(?:s|ing) (?=to |at ))"
)
_DATE = (
    r"(?:(?:the|its|your|a|an|that|their) )?(?:(?:new|current|latest|updated|revised|estimated|expected|scheduled"
    r"|planned|anticipated"
    r"|likely|projected|delivery|arrival) )*(?:delivery|arrival|date|day|estimate|eta)"
)
# Who says it. A source alone states nothing.
FOUND = (
    rf"{_RECORDS} {_HOW}{_SAYS}{_SHAPE}",
    rf"(?:it|this) {_HOW}(?:shows?|says?|lists?|reads|looks like)(?: (?:up|as|that|here|{PARCEL}))*",
    rf"(?:it )?(?:{_HOW})(?:coming up|showing up|appears|appearing)(?: (?:as|that))+",
    rf"(?:(?:all|everything|what) )(?:(?:i|we) (?:can |do |currently |currently can )*(?:see|have got|have|know"
    r"|tell you|say|am seeing|got|find)"
    rf"|(?:{_RECORDS}|it) {_HOW}(?:shows?|says?|gives?|tells? me|has))(?: (?:here|right now|at the moment|so far"
    r"|for (?:it|you|now)))*"
    r"(?: (?:is|was)(?: just| only)?)?(?: that)?",
    r"(?:based on|going by|judging by|according to|per|as per|going off|looking at|from)"
    r" (?:(?:the|my|our|CARRIER s?) )?(?:(?:current|latest|most recent|available|carrier s|delivery|tracking"
    r"|expected|last) )*"
    r"(?:estimates?|tracking|information|updates?|data|details|records?|scans?|status|system)(?: (?:i have|i see"
    r"|i can see|available|from CARRIER"
    r"|information|here|data))*",
    r"(?:at least|that is) (?:according to|going by) (?:the )?(?:current |latest )?(?:estimate|tracking|information"
    r"|update)",
    r"(?:i am|i would be) (?:(?:very|really|so|also|just) )*(?:pleased|happy|glad|delighted|sorry|afraid)(?: to)?"
    r" (?:say|tell you|inform you|let you know|report|confirm|share|see|advise(?: you)?)(?: that)?|i regret(?: to)?"
    r" (?:say|tell you|inform you|let you know|report|confirm|share|see|advise(?: you)?)(?: that)?",
    r"(?:the )?(?:short|quick|simple|honest|brief) answer(?: there| here)? (?:is|would be)(?: that)?|(?:as far as"
    r"|from what) i (?:know|can gather)"
    r"|as things (?:stand|are)(?: right now| at the moment)?",
    rf"(?:i|we) (?:have|have got)(?: got)? {PARCEL}(?: (?:right|up|open|here|now|all))*(?: (?:in front of me"
    r"|on (?:my|the|our) screen|pulled up|open))?"
    r"(?: (?:here|now|right here))?",
    r"(?:so )?here (?:is|are) (?:the|your) (?:tracking )?(?:details|latest|information|status|update|info|rundown"
    r"|summary)(?: (?:i have|i found|for it|on it|for you))*",
    r"(?:it )?(?:is |has been )?looking (?:like|good for|set for)(?: it)?",
    rf"(?:that is )?what (?:they|CARRIER|the carrier|{_RECORDS}) {_HOW}(?:saying|says?|shows?|showing|gives?|giving)",
    r"(?:just )?to let you know(?: that)?|(?:i )?(?:can|have) (?:confirm|confirmed|see|seen)(?: (?:here|that"
    r"|for you))*",
    r"(?:i )?(?:have |just |had )*(?:pulled|brought|looked|called) (?:it|that|this|your (?:parcel|package|order)"
    r"|the details)"
    r"(?: right| straight)? up(?: (?:for you|here|now))*",
)
STATES: dict[str, tuple[str, ...]] = {
    "on its way": (
        r"(?:is )?(?:rolling along|coming along(?: nicely)?|well on its way(?: to you)?)",
        rf"(?:{PARCEL} )?(?:may|might|could)(?: well)? have moved(?: on| further"
        r"| along)?(?: since(?: then| that)?)?",
    ),
    "delivered": (
        r"is (?:already there|there already|already with you)(?= [,.]| *$)",
        r"(?:is|has) not (?:there|with you|reached you|been delivered)(?: yet)?",
        rf"(?:{_CARRIER}|{_RECORDS}) {_HOW}(?:recorded|logged|registered|confirmed|completed|made|marked|shows?"
        r"|showing|reports?) (?:a|the|your|its) delivery"
        r"(?: as (?:complete|completed|made|done))?",
        rf"{_RECORDS} {_HOW}(?:indicates?|shows?|confirms?) (?:a )?delivery(?= in PLACE)",
        r"(?:the |your |its )?delivery (?:was|has been|is) (?:logged|recorded|registered|confirmed|completed|made"
        r"|marked as (?:complete|completed))",
    ),
    "out for delivery": (
        r"(?:is )?(?:on|in) (?:its|the) (?:final|last) (?:stretch|leg|step)(?: of (?:its"
        r"|the) (?:journey|trip))?",
    ),
    "delayed": (
        r"(?:has |is |was )?(?:hit|hitting|run into|ran into|been hit by|met with|had|experienced|experiencing"
        r"|been experiencing|facing|suffered"
        r"|seeing|caught up in)(?: (?:a|an|some|a bit of a|a bit of))? delays?",
        r"there (?:is|was|has been|seems to be|appears to be)(?: (?:currently|now|unfortunately|a|an|some|a bit of a"
        r"|a bit of))* delays?",
        rf"(?:{_CARRIER}|{_RECORDS}) {_HOW}(?:logged|flagged|reported|recorded|noted|reports?|reporting|shows?"
        rf"|showing) a delay(?: with {PARCEL})?",
    ),
    "in trouble": (
        rf"(?:{_CARRIER}|{_RECORDS}) {_HOW}(?:logged|flagged|reported|recorded|noted|raised|registered|reports?"
        r"|reporting|shows?|showing|had|hit|ran into"
        r"|run into) (?:a|an|some)(?: kind of)?(?: delivery)? (?:problem|issue|exception|hiccup|trouble|difficulty)"
        rf"(?: (?:with|delivering) (?:{PARCEL}|(?:the|your) delivery))?",
        rf"(?:{_CARRIER}) {_HOW}(?:had|hit|ran into|run into|met|encountered) (?:a|an|some) (?:problem|issue"
        r"|difficulty|trouble) (?:while|when) (?:delivering|handling"
        rf"|transporting|carrying) {PARCEL}",
        r"something (?:has )?(?:come up|came up|gone wrong|went wrong) (?:with|during) (?:this one|it|the delivery"
        r"|your delivery|your \w+)",
    ),
    "at customs": (
        r"(?:is |being )?(?:(?:currently|still|now) )*(?:in|at|with|going through|undergoing|passing through"
        r"|sitting with|waiting with|stopped at|held in|held up in|waiting in|sitting in|being processed by)"
        r" (?:the )?customs(?: (?:process|clearance|processing|checks?))?",
    ),
    "ready for pickup": (
        r"(?:has |is )?(?:arrived|ready|waiting|available) at (?:the|a|your) (?:pickup|collection|pick up) (?:point"
        r"|location|spot)(?: and (?:is )?ready(?: for you)?)?",
        r"(?:is )?ready for you(?= [,.]| *$)",
    ),
    "carried": (
        r"CARRIER is (?:bringing|carrying|transporting|delivering) (?:it|this one|that one|your (?:parcel|package"
        r"|order))",
    ),
    "announced": (
        r"(?:has |is |was )?only (?:been )?announced(?: so far)?",
        r"there is (?:only|just) (?:a|the) (?:shipping )?label(?: (?:so far|at the moment|for now|on file"
        r"|right now))*",
    ),
    "picked up": (
        r"(?:is |has )?(?:only |just )*(?:getting started|started(?: (?:on )?its journey)|beginning its journey"
        r"|at the (?:very )?start of its journey)",
    ),
}
# What is said of a day of arrival that has passed.
OVERDUE = (
    r"(?:it |(?:the |your )?parcel )?should have been (?:with you|there|here|delivered|at your door|with you by now)",
    r"(?:it |(?:the |your )?parcel )?was meant to (?:arrive|come|be there|be delivered|reach you|get there)",
    r"(?:is |it is )?(?:now |already |a bit |a little )*(?:running behind(?: that)?|past (?:its|the"
    r"|that) (?:expected|estimated|original) "
    r"(?:date|day|delivery date|arrival date)|later than (?:expected|planned|estimated))",
)
# Who expects it. Needs a day.
ARRIVAL = (
    rf"{_CARRIER} {_HOW}{_EXPECTS}(?: (?:{PARCEL}|delivery|arrival|that|to|will|it will"
    rf"|the delivery))*(?: {_COMING})?{_ON}",
    rf"(?:should|will|could|may|might) (?:(?:now|still|then|also|probably|likely|hopefully"
    rf"|all) )*(?:be )?{_COMING}(?: (?:with you|to you"
    rf"|for you|at your door|in your hands))?{_ON}",
    rf"(?:is|was|are) {_HOW}(?:being )?{_EXPECTS}(?: to)?(?: {_COMING})?{_ON}",
    rf"(?:delivery|arrival) {_HOW}{_EXPECTS}{_ON}",
    rf"{_DATE}(?: (?:(?:i|we) (?:am seeing|are seeing|have|can see|see|have got|got)|CARRIER (?:has given|gives|gave"
    r"|has|shows)"
    rf"|on file|right now|at the moment|here|(?:is )?(?:still|now|currently)))*(?: (?:is|was|shows?|says?|stands at"
    r"|remains|would be|has it as"
    rf"|comes out as))*(?: (?:still|now|currently|for|as|of|set for|set to|delivery|arrival|on|showing|down))*",
    rf"(?:for|as) {_DATE}(?: (?:is|for it))?|(?:for|at) (?:delivery|arrival)",
    r"(?:CARRIER|the carrier|they) (?:has|have) (?:it|this|that|your \w+)(?: (?:down|scheduled|set|booked"
    r"|pencilled in|lined up|planned"
    r"|marked|as|arriving|coming|due))+(?: (?:for|on|to arrive|to be delivered))*",
    r"(?:you can |do |please |so )*expect (?:it|delivery|your (?:parcel|package|order)|this one"
    r"|that one)(?: to arrive| to come| to be there)?(?: by| on)?",
    r"(?:you )?(?:should|can|will)(?: (?:now|probably|still|likely|then))* (?:be (?:getting|receiving|seeing"
    r"|able to expect)|look out for|see|hold"
    r"|have|get|receive|expect) (?:it|your (?:parcel|package|order)|this one|that one|delivery|them)(?: (?:arrive"
    r"|there|at your door|in hand"
    r"|delivered|in your hands))?",
    r"(?:that|this|which) (?:would|should|will) (?:make it|be|put it(?: at)?)|(?:i|you) would (?:expect"
    r"|look for) it(?: to (?:arrive|come|be there))?(?: by| on)?",
    r"(?:i )?would not (?:expect|count on|plan on) it(?= DAY)",
)
# Where it was last; needs a place or a day.
SIGHTING = (
    r"(?:it )?(?:went|came|has gone|has come) through(?= PLACE)",
    r"(?:the |its |their )?(?:(?:last|latest|most recent|newest) )+(?:(?:tracking|recorded|known|available|carrier"
    r"|reported"
    r"|confirmed) )*(?:updates?|scans?|entry|location|place|information|event|activity|stop|checkpoint|sighting"
    r"|record|news)"
    r"(?: (?:that )?(?:i (?:have|see|can see|am seeing|have got|got|know of)|we have|it was (?:scanned|seen"
    r"|recorded)(?: (?:at|in))?|on (?:file|record)"
    r"|available|recorded|shown|here|for it|on it|from CARRIER|CARRIER (?:has|shows|gives)))*"
    r"(?: (?:is|was|came|comes|shows?|has it|puts it|took place|happened|were|has been|shows it))*(?: (?:from|of|as"
    r"|on|(?:in|at)(?= (?:the )?PLACE)))*",
    rf"(?:{_CARRIER}|{_RECORDS}) {_HOW}(?:last |most recently )(?:recorded|scanned|saw|logged|registered|had|has"
    r"|shows?|updated|placed|put|picked up"
    rf"|noted)(?: (?:{PARCEL}|a scan|being|as|at))*",
    rf"{_CARRIER} {_HOW}(?:scanned|logged|registered|saw) {PARCEL}",
    r"(?:the )?latest (?:i|we) (?:can see|see|have|know of|have got)(?: (?:is|was|from))*",
    r"(?:the )?last(?: thing)? (?:i|we) (?:can see|see|have|know|saw|heard)(?: (?:is|was|of it|it was|a (?:scan"
    r"|sighting)))*(?: (?:from|in(?= PLACE)))?",
    r"from(?= DAY)",
    r"(?:i|we) (?:can )?(?:last |see it |see )+(?:scanned|recorded|saw it|was|had it|seen)(?= (?:in|at) PLACE)",
)
# A statement confirmed: "that's what DHL says".
YES = (
    rf"that is (?:the (?:day|date)|where) (?:it was last (?:scanned|seen|recorded)|(?:CARRIER|the carrier"
    rf"|the (?:tracking|system|estimate)|they) {_HOW}"
    r"(?:gives?|giving|given|says?|shows?|showing|has|have|expects?|expecting))(?= [,.]| *$|$)",
    r"(?:you got it|that is (?:still |currently )*the (?:plan|estimate|current estimate|estimated (?:day|date)|idea"
    r"|date|day))(?= [,.]| *$|$)",
    r"it (?:should|will|would) be(?= [,.]| *$|$)",
    r"it (?:sure|certainly|definitely|absolutely) (?:is|has|does|will|was|did)(?= [,.]| *$|$)"
    r"|that is what it looks like(?= [,.]| *$|$)",
    rf"that is (?:exactly )?what (?:CARRIER|the carrier|the (?:tracking|system|estimate|information)) {_HOW}(?:says?"
    r"|shows?|showing|gives?|given|has"
    r"|have|expects?|indicates?)(?= [,.]| *$|$)",
)
