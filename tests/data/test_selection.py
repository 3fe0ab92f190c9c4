from passband.data.selection import evenly


def test_evenly_takes_all_of_few_and_spreads_over_many():
    assert evenly([1, 2, 3], 5) == [1, 2, 3]
    assert evenly(list(range(100)), 4) == [0, 25, 50, 75]
    assert evenly([], 4) == []
    assert evenly([1, 2, 3], None) == [1, 2, 3]
