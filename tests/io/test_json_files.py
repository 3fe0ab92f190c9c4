import json
import math

import pytest

from passband.io.json_files import write_json


def refuse(text):
    raise AssertionError(f"{text} is not JSON")


def test_infinite_numbers_at_any_depth_become_texts_that_float_reads_back(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"psnr": math.inf, "images": [{"low": -math.inf}, (math.nan, 0.5)], "count": 3})
    content = json.loads(path.read_text(), parse_constant=refuse)
    assert float(content["psnr"]) == math.inf
    assert float(content["images"][0]["low"]) == -math.inf
    assert [float(one) for one in content["images"][1]] == pytest.approx([math.nan, 0.5], nan_ok=True)
    assert content["count"] == 3
