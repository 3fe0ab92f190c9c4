"""Checks the values of a request before Gradio does, whose errors name neither the value nor what is needed."""

from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction

from passband.app.files.uploads import Upload
from passband.naming import counted, suggestion

PUBLIC = "public"
"""Visibility of the functions that programs call."""


class CheckedBlocks(gr.Blocks):
    """A page that refuses unusable values in sentences."""

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """Check the values of a request, and let Gradio convert them, but not uploads.

        Gradio fails at uploads that were removed, and forgets the names that they had. The functions tell the person.

        Args:
            block_fn: function of the page that is called, with its components.
            inputs: values of the request.
            state: state of the session.
            explicit_call: whether code calls the function, as Gradio has it.

        Returns:
            The converted values, in the order of the inputs.

        Raises:
            gr.Error: if a value cannot be used.
        """
        if problem := first_problem(block_fn, inputs):
            raise gr.Error(problem, print_exception=False)
        pairs = list(zip(block_fn.inputs, inputs, strict=True))
        others = [None if isinstance(component, gr.File) else value for component, value in pairs]
        values = await super().preprocess_data(block_fn, others, state, explicit_call)
        return [
            _uploads(component, given) if isinstance(component, gr.File) else value
            for (component, given), value in zip(pairs, values, strict=True)
        ]


def first_problem(function: BlockFunction, values: list[Any]) -> str:
    """Return a sentence about the first value that cannot be used; empty if all can.

    Args:
        function: function that is asked for.
        values: values of its inputs, as JSON holds them.
    """
    is_public = function.api_visibility == PUBLIC
    name = f"/{function.api_name}" if is_public else "This page"
    if len(values) != len(function.inputs):
        labels = "; ".join(str(getattr(one, "label", "")) for one in function.inputs) or "nothing"
        return f"{name} needs {counted(len(function.inputs), 'value')} ({labels}), got {len(values)}."
    for component, value in zip(function.inputs, values, strict=True):
        need, is_given = _need(component, value, is_public)
        if not is_given:
            near = suggestion(value, _choices(component)) if isinstance(value, str) else ""
            return f"{name} needs {need} for {getattr(component, 'label', '')!r}, got {str(value)[:80]!r}.{near}"
    return ""


def _need(component: Any, value: Any, is_public: bool) -> tuple[str, bool]:
    """Return words for the values that a component takes, and whether this is one."""
    if value is None and not is_public:  # an empty list or upload, which the functions of the page tell a person
        return "a value", not isinstance(component, gr.Slider)
    match component:
        case gr.File():
            files = value if component.file_count == "multiple" and isinstance(value, list) else [value]
            return "an uploaded file (handle_file of gradio_client)", all(map(_is_upload, files))
        case gr.Slider():
            least, most = float(component.minimum or 0), float(component.maximum or 0)
            return f"a number from {least:g} to {most:g}", _is_number(value, least, most)
        case gr.Dropdown() if is_public:  # lists of the page itself change while it is open
            return f"one of {', '.join(_choices(component))}", isinstance(value, str) and value in _choices(component)
        case gr.Dropdown() | gr.Radio() | gr.Textbox():
            return "a text", isinstance(value, str)
        case gr.Checkbox():
            return "true or false", isinstance(value, bool)
    return "a value", True


def _choices(component: Any) -> list[str]:
    """Return the values that a list offers; none for other components."""
    return [str(value) for _, value in getattr(component, "choices", ())]


def _is_number(value: Any, least: float, most: float) -> bool:
    """Return whether a value is a number in a range; true, false and NaN are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_upload(value: Any) -> bool:
    """Return whether a value is a file as Gradio describes it."""
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        return False
    return value.get("meta") == {"_type": "gradio.FileData"}


def _uploads(component: gr.File, value: Any) -> Any:
    """Return the upload or the list of uploads of a component; None if there is none."""
    uploads = [
        Upload(one["path"], one.get("orig_name")) for one in (value if isinstance(value, list) else [value]) if one
    ]
    return (uploads or None) if component.file_count == "multiple" else next(iter(uploads), None)
