"""Makes float32 weights of hibari's int8 ones: `dequantise.py INPUT.onnx OUTPUT.onnx`.

Each chain DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul becomes one MatMul with
(W - zero point) x scale. The result depends on the input alone: nothing of the clock, the paths or the
library's version is written, and the same input gives the same bytes. Needs `onnx` (build-requirements.txt).
"""

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

_EXPECTED_CHAINS = 77


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One quantised product: float32 `activation` times the int8 `weight`, as `output`."""

    activation: str
    weight: str
    zero_point: str
    scale: str
    output: str
    nodes: tuple[onnx.NodeProto, ...]


def find_chains(graph: onnx.GraphProto) -> list[Chain]:
    """Every quantised product of the graph, in its order. Raises ValueError for one of another shape."""
    makers = {output: node for node in graph.node for output in node.output}
    users: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    return [_chain(node, makers, users) for node in graph.node if node.op_type == "MatMulInteger"]


def _chain(
    product: onnx.NodeProto, makers: dict[str, onnx.NodeProto], users: dict[str, list[onnx.NodeProto]]
) -> Chain:
    quantise = makers[product.input[0]]
    cast = _only(users[product.output[0]], "Cast")
    rescale = _only(users[cast.output[0]], "Mul")
    scales = makers[next(name for name in rescale.input if name != cast.output[0])]
    if quantise.op_type != "DynamicQuantizeLinear" or scales.op_type != "Mul":
        raise ValueError(f"{product.name} is not dynamically quantised as expected")
    return Chain(
        activation=quantise.input[0],
        weight=product.input[1],
        zero_point=product.input[3],
        scale=next(name for name in scales.input if name != quantise.output[1]),
        output=rescale.output[0],
        nodes=(product, cast, rescale),
    )


def _only(nodes: list[onnx.NodeProto], op_type: str) -> onnx.NodeProto:
    if len(nodes) != 1 or nodes[0].op_type != op_type:
        raise ValueError(f"expected one {op_type}, found {[node.op_type for node in nodes]}")
    return nodes[0]


def dequantise(model: onnx.ModelProto) -> int:
    """Replaces every quantised product in place; returns how many there were."""
    graph = model.graph
    chains = find_chains(graph)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    replaced: dict[str, onnx.NodeProto] = {}
    for index, chain in enumerate(chains):
        # Some weights are shared by several products; a name of its own for each keeps the graph simple.
        weight = f"{chain.weight}_float_{index}"
        values = numpy_helper.to_array(tensors[chain.weight]).astype(np.float32)
        values -= numpy_helper.to_array(tensors[chain.zero_point]).astype(np.float32)
        values *= numpy_helper.to_array(tensors[chain.scale]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, weight))
        replaced[chain.output] = onnx.helper.make_node(
            "MatMul", [chain.activation, weight], [chain.output], name=f"{chain.nodes[0].name}_float"
        )
    dropped = {output for chain in chains for node in chain.nodes for output in node.output}
    nodes = [
        replaced.get(node.output[0], node)
        for node in graph.node
        if node.output[0] in replaced or node.output[0] not in dropped
    ]
    _keep_only(graph, _used(graph, nodes))
    return len(chains)


def _used(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes on which an output of the graph depends, in their order."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _keep_only(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString(deterministic=True)) for node in nodes]
    names = {name for node in nodes for name in (*node.input, *node.output)}
    del graph.node[:]
    graph.node.extend(copies)
    for field in (graph.initializer, graph.value_info):
        kept = [item for item in field if item.name in names]
        del field[:]
        field.extend(kept)


def main(source: Path, target: Path) -> int:
    """Reads `source`, writes `target`; returns the exit code."""
    model = onnx.load(str(source))
    count = dequantise(model)
    if count != _EXPECTED_CHAINS:
        print(
            f"{source} has {count} quantised products, and hibari's model has {_EXPECTED_CHAINS}.",
            file=sys.stderr,
        )
        return 1
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
