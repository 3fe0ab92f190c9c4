import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.layers.pooled import Global, Local
from passband.layers.pooling import local_average


@given(st.integers(1, 23), st.integers(1, 13), st.integers(1, 23), st.integers(1, 13), st.integers(1, 9), st.data())
def test_any_rows_of_a_pooled_map_are_those_of_the_whole(height, width, tall, wide, step, draw):
    x = torch.randn(1, 2, height, width)
    window = min(tall, height), min(wide, width)
    start = draw.draw(st.integers(0, height - 1))
    end = draw.draw(st.integers(start + 1, height))
    rows = Local(x, window, step).rows(start, end)
    torch.testing.assert_close(rows, local_average(x, window)[..., start:end, :], rtol=0, atol=1e-5)


def test_pooled_rows_keep_the_precision_of_the_map_and_sum_in_float32():
    x = (100 * torch.rand(1, 1, 300, 40)).half()
    rows = Local(x, (200, 30)).rows(0, 300)
    assert rows.dtype == torch.float16
    torch.testing.assert_close(rows.float(), local_average(x.float(), (200, 30)), rtol=1e-3, atol=0)  # half's digits


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 9)])
def test_a_global_average_is_the_same_for_all_rows(start, end):
    value = torch.randn(1, 3, 1, 1)
    assert Global(value).rows(start, end) is value
