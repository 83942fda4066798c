"""What the agent can't know or do: one true sentence for each topic, and who can.

No sentence states anything about a parcel, so it is true whatever the look-up returned.
"""

from agentvoicebox_delivery.dialogue.wants import Want

# What no result of the look-up tells.
UNKNOWN: dict[Want, str] = {
    Want.SENT: "I don't know when it was sent. The sender can tell you.",
    Want.SIGNATURE: "I can't see who signed for it or took it in. The carrier can tell you.",
    Want.SENDER: "I can't see who the sender is. It's usually on the label or in your confirmation email.",
    Want.REASON: "I'm sorry, I can't see the reason. The carrier can tell you more.",
    Want.SPOT: "I can't see exactly where it is or was left. The carrier can tell you.",
    Want.HOUR: "I only know the day, not the time of day. The carrier can tell you more.",
    Want.CONTENTS: "I can't see what's inside, or its size and weight. The sender can tell you.",
    Want.CONTACT: "I don't have any phone numbers. Please check with the carrier or the sender.",
    Want.TO_DO: "I can't see whether you need to do anything. The carrier can tell you.",
    Want.KEEP: "I can't see how long it is kept. The carrier can tell you.",
    Want.CHARGES: "I can't see any charges. The carrier can tell you whether there is something to pay.",
    Want.HOURS: "I don't have any opening hours. The carrier can tell you those.",
    Want.PICKUP: "I can't arrange a pickup, and I don't have the counter's address. The carrier can help you with that.",
}
# What others must do.
OTHERS: dict[Want, str] = {
    Want.REDELIVERY: "I can't arrange another delivery or change the day. The carrier can do that.",
    Want.ADDRESS: "I can't see or change the address. The sender or the carrier can.",
    Want.LEAVE: "I can't pass on instructions or change a delivery. The carrier can do that.",
    Want.CANCEL: "I can't stop or cancel a delivery. The sender can do that.",
    Want.SEND_BACK: "I can't arrange a return. The sender can tell you how to send it back.",
    Want.SEND: "I can't take new parcels; I can only track parcels. Any carrier can tell you how to send one.",
    Want.HURRY: "I can't speed up a delivery. The carrier can tell you what is possible.",
    Want.SEND_ME: "I can't send messages; I can only tell you here.",
    Want.DAMAGED: "I'm very sorry to hear that. I can't report damage or a wrong item. Please contact the sender about it.",
    Want.COMPLAINT: "I'm very sorry about that. I can't take complaints. Please contact the carrier or the sender.",
    Want.REFUND: "I'm sorry, I can't decide on refunds or claims. Please contact the sender about that.",
}
# A person may help further with these, where one can be reached.
FOR_A_PERSON = frozenset({
    Want.REDELIVERY, Want.ADDRESS, Want.LEAVE, Want.CANCEL, Want.SEND_BACK, Want.DAMAGED, Want.COMPLAINT, Want.REFUND,
    Want.NOT_RECEIVED, Want.CHARGES,
})  # fmt: skip
# About the conversation itself.
ITSELF: dict[Want, str] = {
    Want.LANGUAGE: "I'm sorry, I only speak English.",
    Want.ROBOT: "I'm an automated assistant, not a person.",
    Want.ABILITIES: "I can tell you where a parcel is and when it should come.",
    Want.BY_NAME: "I can't find a parcel by name, address or phone number, only by its tracking number.",
    Want.OTHER_NUMBER: "I can't look up a parcel by phone number, postcode or name.",
    Want.ORDER_NUMBER: "I can try the order number, but usually the tracking number is needed.",
}
SENTENCES = tuple(sentence for table in (UNKNOWN, OTHERS, ITSELF) for sentence in table.values())
