from bench.store.bars import at_least, at_most, missed, report


def test_a_bar_says_whether_it_was_met() -> None:
    assert at_most("size", 0.8, 0.8)["met"]
    assert not at_most("size", 0.81, 0.8)["met"]
    assert at_least("rate", 0.7, 0.7)["met"]
    assert not at_least("rate", 0.69, 0.7)["met"]


def test_what_was_missed_is_told_and_cannot_be_overlooked() -> None:
    bars = [at_most("size", 1.4, 0.8), at_least("rate", 0.9, 0.7)]

    assert missed({"bars": bars}) == ["size: 1.40, at most 0.8 is asked"]
    assert report(bars).count("**missed**") == 1


def test_a_miss_by_a_hair_is_judged_by_what_was_measured_and_not_by_what_is_shown() -> None:
    assert not at_most("size", 0.80001, 0.8)["met"]
