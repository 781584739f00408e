"""Writes the ONNX files that the peers run, from the published f32 weights and without torch.

The graph is the one that an export of BERT by torch gives: plain operators, attention as separate
products, GELU by Erf, then mean pooling and L2 normalisation. ONNX Runtime's own optimiser for
transformers fuses it, and its own quantiser makes the int8 files, both as its documentation tells
users to.

    python export.py SOURCE_DIR MODELS_DIR --golden FILE --texts FILE

SOURCE_DIR holds config.json, tokenizer.json and model.safetensors as published. What the f32 file says
of the texts that are compared goes beside it, as reference.jsonl in the format of golden.jsonl.
"""

import argparse
import base64
import hashlib
import json
import logging
import pathlib
import shutil
import sys
from collections import Counter

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from safetensors.numpy import load_file
from tokenizers import Tokenizer

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WINDOW_TOKENS = 256
OPSET = 17

# What a masked position adds to its score before the softmax: enough to make its share nothing.
MASKED = -10000.0

# The least cosine to a golden vector at which the export counts as the same model. Golden vectors
# are half floats, whose rounding costs less than 1e-6.
COSINE_MIN = 0.9999


class Graph:
    """Nodes and weights in the order in which they are computed."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = {}

    def constant(self, name, values):
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(numpy.ascontiguousarray(values), name)
        return name

    def integers(self, *values):
        return self.constant("integers_" + "_".join(map(str, values)), numpy.array(values, numpy.int64))

    def real(self, value):
        return self.constant(f"real_{value}", numpy.array(value, numpy.float32))

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def node(self, operator, *inputs, output=None, **attributes):
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def linear(self, name, rows):
        weight = self.constant(f"{name}.weight.T", self.weights[f"{name}.weight"].T)
        return self.node("Add", self.weight(f"{name}.bias"), self.node("MatMul", rows, weight))

    def norm(self, name, rows, epsilon, output=None):
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", rows, scale, shift, output=output, axis=-1, epsilon=epsilon)


def embed(graph, config):
    """The sum of the word, the kind and the place of each token, normalised."""
    tables = "embeddings.{}_embeddings.weight"
    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant("one", numpy.array(1, numpy.int64)))
    length = graph.node("Unsqueeze", length, graph.integers(0))
    places = graph.constant("places", numpy.arange(config["max_position_embeddings"], dtype=numpy.int64)[None])
    places = graph.node("Slice", places, graph.integers(0), length, graph.integers(1))
    words = graph.node("Gather", graph.weight(tables.format("word")), "input_ids", axis=0)
    kinds = graph.node("Gather", graph.weight(tables.format("token_type")), "token_type_ids", axis=0)
    places = graph.node("Gather", graph.weight(tables.format("position")), places, axis=0)
    rows = graph.node("Add", graph.node("Add", words, kinds), places)
    return graph.norm("embeddings.LayerNorm", rows, config["layer_norm_eps"])


def attend(graph, name, rows, mask, config):
    heads = config["num_attention_heads"]
    width = config["hidden_size"] // heads

    def split(part, order):
        projected = graph.linear(f"{name}.{part}", rows)
        return graph.node("Transpose", graph.node("Reshape", projected, graph.integers(0, 0, heads, width)), perm=order)

    queries, values = split("query", [0, 2, 1, 3]), split("value", [0, 2, 1, 3])
    keys = split("key", [0, 2, 3, 1])
    scores = graph.node("Div", graph.node("MatMul", queries, keys), graph.real(float(numpy.sqrt(width))))
    shares = graph.node("Softmax", graph.node("Add", scores, mask), axis=-1)
    context = graph.node("Transpose", graph.node("MatMul", shares, values), perm=[0, 2, 1, 3])
    return graph.node("Reshape", context, graph.integers(0, 0, config["hidden_size"]))


def gelu(graph, rows):
    curve = graph.node("Erf", graph.node("Div", rows, graph.real(float(numpy.sqrt(2)))))
    return graph.node("Mul", graph.node("Mul", rows, graph.node("Add", curve, graph.real(1.0))), graph.real(0.5))


def layer(graph, name, rows, mask, config, output=None):
    epsilon = config["layer_norm_eps"]
    context = attend(graph, f"{name}.attention.self", rows, mask, config)
    gathered = graph.node("Add", graph.linear(f"{name}.attention.output.dense", context), rows)
    rows = graph.norm(f"{name}.attention.output.LayerNorm", gathered, epsilon)
    wide = gelu(graph, graph.linear(f"{name}.intermediate.dense", rows))
    narrowed = graph.node("Add", graph.linear(f"{name}.output.dense", wide), rows)
    return graph.norm(f"{name}.output.LayerNorm", narrowed, epsilon, output)


def pool(graph, rows):
    """The mean over the tokens that are not padding, as a unit vector."""
    counted = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), graph.integers(-1))
    total = graph.node("ReduceSum", graph.node("Mul", rows, counted), graph.integers(1), keepdims=0)
    mean = graph.node("Div", total, graph.node("ReduceSum", counted, graph.integers(1), keepdims=0))
    length = graph.node("ReduceL2", mean, axes=[1], keepdims=1)
    return graph.node("Div", mean, length, output="sentence_embedding")


def build(weights, config, pooled):
    graph = Graph(weights)
    spread = graph.node("Unsqueeze", graph.node("Unsqueeze", "attention_mask", graph.integers(1)), graph.integers(2))
    spread = graph.node("Cast", spread, to=TensorProto.FLOAT)
    mask = graph.node("Mul", graph.node("Sub", graph.real(1.0), spread), graph.real(MASKED))
    rows = embed(graph, config)
    last = config["num_hidden_layers"] - 1
    for index in range(last + 1):
        output = "last_hidden_state" if index == last else None
        rows = layer(graph, f"encoder.layer.{index}", rows, mask, config, output)
    width = config["hidden_size"]
    shape = ["batch", width] if pooled else ["batch", "sequence", width]
    result = pool(graph, rows) if pooled else rows
    names = ["input_ids", "attention_mask", "token_type_ids"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, shape)],
            list(graph.initializers.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def fuse(model, config, path):
    """Fuses as ONNX Runtime's documentation of its transformers optimiser says for BERT."""
    plain = path.with_name("plain.onnx")
    onnx.save(model, plain)
    fused = optimizer.optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,
    )
    fused.save_model_to_file(str(path))
    plain.unlink()
    counts = Counter(node.op_type for node in fused.model.graph.node)
    print(f"{path.name}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())), file=sys.stderr)


def quantise(fp32, path, per_channel):
    # ONNX's shape inference knows nothing of the fused operators, so it is told their outputs' type.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(fp32, path, weight_type=QuantType.QInt8, per_channel=per_channel, extra_options=options)


class Encoder:
    """Encodes one text at a time with an exported file."""

    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path.parent / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(WINDOW_TOKENS)
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def embed(self, text):
        ids = numpy.array([self.tokenizer.encode(text).ids], numpy.int64)
        feeds = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        return self.session.run(["sentence_embedding"], feeds)[0][0].astype(numpy.float64)


def check(path, golden):
    """Says how near the file is to the golden vectors, and returns the least cosine."""
    encoder = Encoder(path)
    cosines = []
    for line in golden.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        expected = numpy.frombuffer(base64.b64decode(row["vector"]), "<f2").astype(numpy.float64)
        vector = encoder.embed(row["text"])
        cosines.append(vector @ expected / numpy.linalg.norm(vector) / numpy.linalg.norm(expected))
    found = f"mean {numpy.mean(cosines):.6f}, least {min(cosines):.6f}"
    print(f"{path.name}: cosine to {len(cosines)} golden vectors: {found}", file=sys.stderr)
    return min(cosines)


def write_reference(path, texts):
    encoder = Encoder(path)
    with (path.parent / "reference.jsonl").open("w", encoding="utf-8") as output:
        for text in texts:
            packed = base64.b64encode(encoder.embed(text).astype("<f2").tobytes()).decode()
            print(json.dumps({"text": text, "vector": packed}, ensure_ascii=False), file=output)


def write_fastembed(source, weights, config, folder):
    """fastembed pools by itself and reads its settings from files beside the model."""
    folder.mkdir(exist_ok=True)
    fuse(build(weights, config, pooled=False), config, folder / "model.onnx")
    for name in ["config.json", "tokenizer.json", "special_tokens_map.json"]:
        shutil.copy(source / name, folder / name)
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings["model_max_length"] = WINDOW_TOKENS
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--golden", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, required=True)
    return parser.parse_args()


def read_weights(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        sys.exit(f"{path}: its SHA-256 is {digest}, expected {WEIGHTS_SHA256}")
    return load_file(path)


def main():
    arguments = read_arguments()
    source, models = arguments.source, arguments.models
    # The optimiser warns of every file that it has not optimised itself.
    logging.getLogger().setLevel(logging.ERROR)
    config = json.loads((source / "config.json").read_text())
    weights = read_weights(source / "model.safetensors")
    models.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tokenizer.json", models / "tokenizer.json")
    fp32 = models / "fp32.onnx"
    fuse(build(weights, config, pooled=True), config, fp32)
    if check(fp32, arguments.golden) < COSINE_MIN:
        fp32.unlink()
        sys.exit(f"the export's cosine to a golden vector is under {COSINE_MIN}")
    write_reference(fp32, json.loads(arguments.texts.read_text(encoding="utf-8"))["compared"])
    for name, per_channel in [("int8.onnx", False), ("int8-channel.onnx", True)]:
        quantise(fp32, models / name, per_channel)
        check(models / name, arguments.golden)
    write_fastembed(source, weights, config, models / "fastembed")


if __name__ == "__main__":
    main()
