from passband.inference.inspection.last_file import LastFile


def test_the_result_is_that_of_the_file_while_another_thread_asks_for_another(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        path.write_bytes(b"content")
    last = LastFile()

    class Setting:
        """Setting whose comparison stands for the moment at which another thread asks for another file."""

        def __hash__(self):
            return 0

        def __eq__(self, other):
            last.get(second, lambda: "result for the second file")
            return True

    for _ in range(2):
        assert last.get(first, lambda: "result for the first file", Setting()) == "result for the first file"


def test_a_file_that_changed_is_computed_again(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(b"content")
    last, asked = LastFile(), []
    for _ in range(2):
        last.get(path, lambda: asked.append(path.read_bytes()) or "result")
    path.write_bytes(b"longer content")
    last.get(path, lambda: asked.append(path.read_bytes()) or "result")
    assert asked == [b"content", b"longer content"]
