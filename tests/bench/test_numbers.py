from bench.numbers import median, quantile, ratio, table


def test_a_quantile_is_one_of_the_numbers():
    assert quantile([5.0, 1.0, 4.0, 2.0, 3.0], 0.5) == 3.0
    assert quantile([float(n) for n in range(100)], 0.99) == 99.0
    assert quantile([7.0], 0.99) == 7.0
    assert quantile([], 0.5) == 0.0


def test_a_median_is_the_middle_or_the_mean_of_the_two_there():
    assert median([9.0, 1.0, 2.0]) == 2.0
    assert median([1.0, 2.0, 4.0, 9.0]) == 3.0
    assert median([]) == 0.0


def test_a_ratio_needs_something_to_compare_with():
    assert ratio(30.0, 10.0) == 3.0
    assert ratio(30.0, 0.0) is None


def test_a_table_is_markdown_with_columns_in_line():
    assert table(("server", "CPU"), [("nginx", "24"), ("Hansard", "313")]) == (
        "| server  | CPU |\n"
        "|---------|----:|\n"
        "| nginx   |  24 |\n"
        "| Hansard | 313 |"
    )  # fmt: skip
