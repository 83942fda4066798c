from agentvoicebox_delivery.grounding.clauses import cut, normal


def test_a_sentence_is_a_clause() -> None:
    assert cut("It is late. I am sorry! Really? Yes") == ["It is late. ", "I am sorry! ", "Really? ", "Yes"]


def test_a_comma_cuts_only_where_a_new_statement_begins_after_a_whole_one() -> None:
    assert cut("Your parcel is on its way, and it should arrive on Tuesday.") == [
        "Your parcel is on its way, ",
        "and it should arrive on Tuesday.",
    ]


def test_a_date_or_a_number_is_never_cut() -> None:
    for text in (
        "It should arrive on Tuesday, November twenty-fourth.",
        "It should arrive on Tuesday, the twenty-fourth of November.",
        "Is it P, K, G, zero, zero, one?",
        "If it is late, you should know.",
    ):
        assert cut(text) == [text]


def test_an_abbreviation_ends_no_clause() -> None:
    assert cut("It was last seen in St. Louis today. Bye") == ["It was last seen in St. Louis today. ", "Bye"]


def test_a_clause_that_never_ends_is_cut_all_the_same() -> None:
    pieces = cut("and so on " * 200)
    assert max(map(len, pieces)) < 420
    assert "".join(pieces) == "and so on " * 200


def test_short_forms_are_written_out() -> None:
    assert normal("It hasn't arrived; it's late, I'll look.") == "it has not arrived it is late i will look"
    assert normal("It\u2019s been d\u00e9livered \U0001f600") == "it has been delivered"
