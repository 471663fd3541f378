"""Numbers as people read them."""

import math

from dfkd.reporting.numbers import interval, points, short_number


def test_a_difference_that_is_rounded_to_zero_is_no_negative_one() -> None:
    assert [points(v) for v in (-0.0004, 0.0, -0.012)] == ["+0.0", "+0.0", "-1.2"]
    assert interval(-0.012, -0.0004) == "-1.2 to +0.0"


def test_a_short_number_has_four_digits_and_no_exponent_where_none_is_needed() -> None:
    shown = [short_number(v) for v in (30_000.0, -12_345.6, 999.96, 0.015234, 0.0, 1e-7, math.inf)]
    assert shown == ["30000", "-12346", "1000", "0.01523", "0", "1e-07", "inf"]
