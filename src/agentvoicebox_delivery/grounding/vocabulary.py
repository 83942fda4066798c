"""Words that the check of free words knows: closed classes, things in the world, feelings, topics, words of talk. Only lists."""

from agentvoicebox_delivery.grounding.folding import COUNTS, DIGITS


def listed(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def any_of(text: str) -> str:
    """A pattern of any word of a text."""
    return "|".join(sorted(text.split(), key=len, reverse=True))


# Numbers besides those of a tracking number. "one" is a pronoun more often than a digit.
NUMBERS = (set(COUNTS) | set(DIGITS) | listed(
    "dozen half quarter both all neither none nobody everything nothing everyone"
)) - {
    "a", "an", "one", "oh",
}  # fmt: skip
# Times, money and promises; in no free clause but one that says what isn't known.
CLOSED = listed(
    "morning noon midday afternoon evening night midnight tonight week weeks weekend month months hour hours minute "
    "minutes january february march april june july august september october november december christmas easter "
    "holidays soon shortly recently already yet yesterday tomorrow monday tuesday wednesday thursday friday "
    "saturday sunday euro euros pound pounds dollar dollars cent cents free paid cash guarantee guaranteed promise "
    "definitely certain"
)
# Things and people in the world: a remark that names one is a remark about the parcel's fate.
WORLD = listed(
    "driver drivers courier van truck lorry plane ship depot warehouse hub facility airport station office "
    "neighbour neighbours neighbor neighbors porch door doorstep letterbox mailbox reception address weather snow "
    "storm strike traffic accident volume customs label payment duty fee fees charge charges tax vat refund voucher "
    "compensation claim case ticket investigation complaint supervisor manager colleague colleagues team text sms "
    "hotline website signature signed recipient sender damage damaged lost stolen missing broken opened torn "
    "delivered delivery delivering deliver arrived arriving arrive arrives returned return sent cancelled refused "
    "cleared shipped dispatched collected scanned loaded parcel package order shipment item track schedule safe "
    "route transit doorbell they them he she someone somebody"
)
FEELINGS = any_of(
    "frustrating nice pleasure nicer helpful news what concerning awful terrible horrible infuriating maddening "
    "tedious "
    "tiring confusing puzzling weird surprising sad shame pity letdown headache"
    " exhausting distressing alarming aggravating irritating unpleasant ideal stress annoying convenient upsetting "
    "stressful disappointing worrying inconvenient unsatisfying"
    " hard difficult unpleasant fair"
    " important hassle nuisance handy easier understandable odd strange long bad pain tough rough unfortunate"
)
# What no result ever holds. The agent may always say that it doesn't know or can't do these.
UNKNOWABLE = any_of(
    "reason reasons why cause caused who whom signed signature sender recipient hour window"
    " slot time times details detail refund refunds"
    " fee fees charge charges charged duties customs_fee happened wrong left accepted received"
    " long deadline kept storage neighbour neighbours"
    " transfer connect person human change address arrange reschedule redeliver redelivery"
    " map live exact exactly exact_location"
    " precise precisely guarantee promise speed faster payments anything_else more from"
    " morning name contents weight specific left put explanation insight holding signatures nature claim claims "
    "complaint complaints voucher vouchers discount compensation replacement case ticket investigation manager "
    "supervisor answer specifics arrangements arrangement changes requests cut cut_off cut instructions preferences "
    "modify redirect reroute process"
)
# What is not to be asked for on this line, and ways to send a caller elsewhere.
FORBIDDEN = listed(
    "card password pin cvv bank iban passport birthday birth http https www com net org @ $ € £ % home credit debit "
    "social"
)
ASSENTING = listed("of okay ok alright great good fine lovely perfect sure no yes")
# In sympathy: what may be named, and how a sentence goes on after a pause.
NAMEABLE = listed(
    "stress upset worry anger disappointment bother upheaval reason reasons number numbers wait waiting delay "
    "inconvenience trouble confusion mix misunderstanding question day days "
    "evening time details rest way same frustration best lot bit long great nice lovely good wonderful pleasant "
    "bad better worse moment while little hassle nuisance pain shame pleasure pity matter feeling situation "
    "answer news idea thing person assistant human virtual tracking full whole really very busy parcel stressful "
    "annoying frustrating difficult hard tough rough quick other next new"
)
NO_NOUNS = listed("is was must has sounds really can will would feels up and out for about very you i")
# Words of talk about the caller and the agent. In no order do they say where a parcel is, when it comes, or what
# happened to it.
TALK = listed(
    "i you we me us my mine your yours our ours a an the this that these those it is am are was were be been being "
    "do does did done has "
    "have had having will would shall should can could may might must not and or but so if as than then too also to "
    "of for with in on at "
    "from about into up out like just only really very quite pretty rather still again always never ever sometimes "
    "often usually perhaps "
    "maybe please no well oh ah aha ooh aw wow yikes oops gosh hmm hey hi hello here know knew known think thought "
    "guess suppose believe "
    "imagine understand see hear feel feels mean say tell ask talk speak listen read check look looking looks find "
    "try trying want wanted need "
    "like liked love hate wish hope hoped enjoy appreciate apologise apologize thank thanks wait waiting worry mind "
    "blame bet wonder bear hang "
    "help helps helping do make makes sense take give go let stay sort sorry glad happy good great nice nicer lovely "
    "fine wonderful perfect "
    "brilliant fantastic bad sad hard tough easy easier difficult patient curious eager keen excited excited helpful "
    "kind clear fair important "
    "best better handy useful possible honest long longer big little small other same whole full exact more much lot "
    "bit way thing things "
    "moment day question idea point answer news luck bad patience pleasure surprise fun trouble hassle heart feeling "
    "voice person human machine "
    "computer robot bot assistant english german name map explanation reason view words chance doubt hurry shame "
    "pity bummer blast cheers "
    "cross upset angry annoyed annoying frustrated frustrating worried worrying stressed stressful disappointed "
    "disappointing nobody "
    "everyone anyone people who how what why when where which because though although exactly totally completely "
    "truly honestly sincerely "
    "certainly absolutely simply kindly unfortunately sadly luckily looking forward hearing talking speaking waiting "
    "asking calling safe "
    "warm care nice slowly ready bearer over not up far own plan plans instructions pass day's convenient"
)
# What advice, a limit or a question may name after "the", "your" or "a"; any other noun is something that no result holds.
TOPICS = (
    NAMEABLE
    | frozenset(UNKNOWABLE.split("|"))
    | listed(
        "shop store seller sender retailer merchant company business carrier courier website customer service "
        "support "
        "team helpline "
        "number code digits digit letters characters email mail message confirmation order receipt label inbox text "
        "tracking "
        "information info system systems record records page data status estimate update updates history location "
        "position place "
        "spot map street house property building household family neighbour neighbor neighbours neighbors door porch "
        "reception garden "
        "office branch point window slot hour hours date dates deadline explanation cause nature name names "
        "signature "
        "recipient "
        "parcel package packet order shipment item delivery deliveries return problem issue exception refund refunds "
        "money payment "
        "fee fees charge charges duty duties customs contents weight address instructions preferences options option "
        "arrangements "
        "first last rest exact precise specific particular safe new further more other another latest current "
        "expected "
        "estimated "
        "real live local collection pickup delayed person human agent colleague call line minute moment couple few "
        "bit "
        "second "
        "right whole full final original same usual such kind sort size one ones two better narrower smaller photo "
        "proof "
        "contact "
        "form account app dispatch shipping order's purchase deal thing things holding end side day days time times "
        "timeframe "
        "different alternative separate nearest clear clearer fuller direct earlier sooner later longer shorter "
        "wider "
        "certain proper possible available "
        "detailed general personal postal electronic mobile written official third fourth single simple special "
        "normal "
        "regular standard typical valid shared "
        "quiet easy hard difficult great good nice better little big small claim complaint case ticket investigation "
        "supervisor manager department representative "
        "operator desk counter portal chat feature tool function authority permission power access appointment plan "
        "plans schedule redelivery compensation voucher "
        "replacement discount credit attempt conversation concern concerns situation frustration patience feedback "
        "answer answers question questions request "
        "shed garage hallway letterbox mailbox bin bins bushes back front lobby concierge flat apartment stairs gate "
        "hall mailroom postbox entrance area place places "
        "people members housemates flatmates roommates partner spouse wife husband relatives colleagues workplace "
        "CARRIER DAY able case meantime chance hand head try copy note website's most least only next complete "
        "correct "
        "typo mistake cut call safe side page level front insight visibility way ways records record bet option "
        "choice "
        "port go eye search trace ability remaining missing middle beginning phone card slip paper paperwork"
    )
)
