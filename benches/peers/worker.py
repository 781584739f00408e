"""A contestant as a process: holds its model, answers the driver's requests, times itself.

    python worker.py NAME MODELS_DIR SOURCE_DIR THREADS

The first line it prints is `{"name": …, "kernel": …, "version": …}`. Then, a line of JSON each:
`{"texts": […], "repeat": 3, "vectors": false}` is answered by `{"nanoseconds": […], "vectors": null}`. One
figure is the time to tokenise and encode all the texts of the request as one batch. The clock runs in
the worker, so that neither the pipe nor JSON counts.
"""

import json
import os
import pathlib
import sys
import time

WINDOW_TOKENS = 256


class OnnxRuntime:
    """ONNX Runtime with `tokenizers`, at its fastest.

    A batch is tokenised at once and run a text at a time: padded to its longest, the mixed batch took
    2.2 times as long on one thread, and 1.0 to 1.2 times on four.
    """

    def __init__(self, path, threads):
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        self.numpy = numpy
        self.tokenizer = Tokenizer.from_file(str(path.parent / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(WINDOW_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.kernel = path.stem
        self.version = onnxruntime.__version__

    def encode(self, texts):
        return [self.run(encoding.ids) for encoding in self.tokenizer.encode_batch(texts)]

    def run(self, ids):
        ids = self.numpy.array([ids], self.numpy.int64)
        mask, kinds = self.numpy.ones_like(ids), self.numpy.zeros_like(ids)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        return self.session.run(["sentence_embedding"], feeds)[0][0]


class FastEmbed:
    """fastembed with the fp32 file as a custom model, since it would fetch its own from a hub."""

    kernel = "onnxruntime fp32"

    def __init__(self, folder, threads):
        import importlib.metadata

        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        name = "local/all-MiniLM-L6-v2"
        TextEmbedding.add_custom_model(
            model=name,
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf=name),
            dim=384,
            model_file="model.onnx",
        )
        self.model = TextEmbedding(name, specific_model_path=str(folder), threads=threads)
        self.version = importlib.metadata.version("fastembed")

    def encode(self, texts):
        return list(self.model.embed(texts))


class SentenceTransformers:
    """sentence-transformers on the CPU, in f32 and without compiling, as its documentation begins."""

    kernel = "torch f32"

    def __init__(self, source, threads):
        import sentence_transformers
        import torch

        torch.set_num_threads(threads)
        self.model = sentence_transformers.SentenceTransformer(str(source), device="cpu")
        self.model.max_seq_length = WINDOW_TOKENS
        self.version = f"{sentence_transformers.__version__}, torch {torch.__version__}"

    def encode(self, texts):
        return self.model.encode(texts, show_progress_bar=False, normalize_embeddings=True)


def open_contestant(name, models, source, threads):
    match name:
        case "onnxruntime-fp32":
            return OnnxRuntime(models / "fp32.onnx", threads)
        case "onnxruntime-int8":
            return OnnxRuntime(models / "int8.onnx", threads)
        case "onnxruntime-int8-channel":
            return OnnxRuntime(models / "int8-channel.onnx", threads)
        case "fastembed":
            return FastEmbed(models / "fastembed", threads)
        case "sentence-transformers":
            return SentenceTransformers(source, threads)
    sys.exit(f"unknown contestant {name}")


def answer(contestant, request):
    nanoseconds = []
    for _ in range(request["repeat"]):
        start = time.perf_counter_ns()
        rows = contestant.encode(request["texts"])
        nanoseconds.append(time.perf_counter_ns() - start)
    vectors = [[float(value) for value in row] for row in rows] if request.get("vectors") else None
    return {"nanoseconds": nanoseconds, "vectors": vectors}


def main():
    name, models, source, threads = sys.argv[1:]
    # The libraries print what they like; the answers have the real output to themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    contestant = open_contestant(name, pathlib.Path(models), pathlib.Path(source), int(threads))
    greeting = {"name": name, "kernel": contestant.kernel, "version": contestant.version}
    print(json.dumps(greeting), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(contestant, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
