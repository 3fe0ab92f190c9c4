import pytest

from passband.data.datasets.order import shuffled


@pytest.mark.parametrize("count", [1, 2, 7, 31])
def test_each_thing_comes_once_per_epoch(count):
    for epoch in range(4):
        assert sorted(shuffled(epoch * count + place, count, 5) for place in range(count)) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own_that_stay():
    def order(epoch, seed):
        return [shuffled(31 * epoch + place, 31, seed) for place in range(31)]

    orders = [order(0, 0), order(1, 0), order(0, 1), order(1, 1)]
    assert len({tuple(one) for one in orders}) == 4
    assert order(1, 0) == orders[1]
