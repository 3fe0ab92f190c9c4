"""Collects the nodes and parameters of an ONNX graph, and makes a model of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET = 20
"""Version of the ONNX operators, the first one with GELU."""
FILE_VERSION = 9
"""Version of the file format, which belongs to `OPSET`. Runtimes since 2024 can read it."""


class NodeWriter:
    """Collects nodes and parameters of an ONNX graph.

    Args:
        half: whether parameters and maps use float16.
    """

    def __init__(self, half: bool = False):
        from onnx import TensorProto, helper, numpy_helper

        self.make_node, self.to_proto = helper.make_node, numpy_helper.from_array
        self.float32, self.float16, self.int64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
        self.half = half
        self.nodes: list[Any] = []
        self.parameters: list[Any] = []
        self._integers: dict[tuple[int, ...], str] = {}
        self._shapes: dict[tuple[int | str, ...], str] = {}

    def model(
        self,
        name: str,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
        properties: Mapping[str, str],
    ) -> Any:
        """Make a model of all nodes and parameters.

        Args:
            name: name of the graph.
            inputs: shape of each input by its name, all float32; a text names a side that may be any number.
            outputs: shape of each output by its name, as for inputs.
            properties: entries of the metadata of the model.

        Returns:
            An `onnx.ModelProto`, which was checked.
        """
        from onnx import checker, helper

        def described(tensors: Mapping[str, Sequence[int | str]]) -> list[Any]:
            return [helper.make_tensor_value_info(key, self.float32, sides) for key, sides in tensors.items()]

        graph = helper.make_graph(self.nodes, name, described(inputs), described(outputs), self.parameters)
        opset = [helper.make_opsetid("", OPSET)]
        proto = helper.make_model(graph, opset_imports=opset, producer_name="passband", ir_version=FILE_VERSION)
        helper.set_model_props(proto, dict(properties))
        checker.check_model(proto)
        return proto

    def shape(self, *sides: int | str) -> str:
        """Write a list of whole numbers, some of which are outputs of nodes, once for all nodes that take it.

        Args:
            sides: whole numbers, and names of outputs that each hold a list of one.

        Returns:
            The name of the list, in int64.
        """
        if sides not in self._shapes:
            parts = (self.integers(side) if isinstance(side, int) else side for side in sides)
            self._shapes[sides] = self.op("Concat", *parts, axis=0)
        return self._shapes[sides]

    def reshape(self, x: str, *shape: int) -> str:
        """Write a map in another shape.

        Args:
            x: name of the input.
            shape: new shape; 0 keeps a side, and -1 is what remains.

        Returns:
            The name of the output.
        """
        return self.op("Reshape", x, self.integers(*shape))

    def op(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", output: str = "", **attributes: Any) -> Any:
        """Add a node.

        Args:
            kind: name of the operator in ONNX, such as `Conv`.
            inputs: names of the inputs, in the operator's order.
            outputs: number of outputs.
            name: name of the node; empty for the operator's name and a number.
            output: name of a single output; empty for the name of the node.
            attributes: attributes of the operator.

        Returns:
            The name of the output, or a list of names if there are several outputs.
        """
        name = name or f"{kind}.{len(self.nodes)}"
        names = [output or name] if outputs == 1 else [f"{name}:{number}" for number in range(outputs)]
        if kind == "Split":
            attributes["num_outputs"] = outputs
        self.nodes.append(self.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def per_channel(self, values: np.ndarray) -> str:
        """Add one parameter for each channel of a map.

        Args:
            values: C numbers.

        Returns:
            The name of the parameter, 1 C 1 1, in the type of the maps.
        """
        return self.value(values.reshape(1, -1, 1, 1))

    def value(self, values: np.ndarray) -> str:
        """Add parameters in the type of the maps.

        Args:
            values: array of any shape and type.

        Returns:
            The name of the parameter, in float16 if `half`, otherwise in float32.
        """
        return self.constant(values.astype(np.float16 if self.half else np.float32))

    def integers(self, *numbers: int) -> str:
        """Add a list of whole numbers, once for all nodes that take it.

        Args:
            numbers: whole numbers.

        Returns:
            The name of the list, in int64.
        """
        if numbers not in self._integers:
            self._integers[numbers] = self.constant(np.array(numbers, dtype=np.int64))
        return self._integers[numbers]

    def constant(self, values: np.ndarray) -> str:
        """Add parameters in their own type.

        Args:
            values: array of a type that ONNX has.

        Returns:
            The name of the parameter.
        """
        name = f"parameter.{len(self.parameters)}"
        self.parameters.append(self.to_proto(np.ascontiguousarray(values), name))
        return name
