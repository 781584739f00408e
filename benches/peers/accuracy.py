"""What the rounding of 8-bit arithmetic costs a classifier: nearest class mean by our vectors and by f32.

    python accuracy.py --semroute PATH --work DIR TRAIN.jsonl TEST.jsonl

Rows are `{"text": …, "intent": …}`. Both encoders embed both files through the contract of the workers
(see README.md); the class means are each encoder's own. The test is McNemar's exact one over the
rows that the two judge differently. DIR is what `run` prepared: its virtual environment runs this script and
its `models` hold the f32 graph.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys

import numpy

HERE = pathlib.Path(__file__).parent
CHUNK = 256


def worker_vectors(command, texts):
    """All the vectors that a worker makes of texts."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    hello = json.loads(process.stdout.readline())
    rows = []
    for start in range(0, len(texts), CHUNK):
        ask = {"texts": texts[start : start + CHUNK], "repeat": 1, "vectors": True}
        process.stdin.write(json.dumps(ask) + "\n")
        process.stdin.flush()
        rows.extend(json.loads(process.stdout.readline())["vectors"])
    process.stdin.close()
    process.wait()
    vectors = numpy.array(rows, numpy.float32)
    return hello, vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


def found(train, test, intents):
    """The nearest class mean of each test vector."""
    names = sorted(set(intents))
    intents = numpy.array(intents)
    means = numpy.stack([train[intents == name].mean(0) for name in names])
    means /= numpy.linalg.norm(means, axis=1, keepdims=True)
    return [names[index] for index in (test @ means.T).argmax(1)]


def mcnemar(only_one, only_other):
    """The two-sided p-value of as uneven a split of the rows that differ."""
    n, least = only_one + only_other, min(only_one, only_other)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    return min(1.0, 2 * tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--semroute", default="target/release/semroute")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/peers"))
    parser.add_argument("--threads", default="1")
    parser.add_argument("train", type=pathlib.Path)
    parser.add_argument("test", type=pathlib.Path)
    options = parser.parse_args()
    train, test = (
        [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        for path in (options.train, options.test)
    )
    texts = [row["text"] for row in train + test]
    f32 = [sys.executable, str(HERE / "worker.py"), "onnxruntime-fp32"]
    f32 += [str(options.work / "models"), str(options.work / "source"), options.threads]
    ours = [options.semroute, "bench", "worker", "--threads", options.threads]
    right, vectors = {}, {}
    for name, command in (("ours", ours), ("f32", f32)):
        hello, vectors[name] = worker_vectors(command, texts)
        of_train, of_test = numpy.split(vectors[name], [len(train)])
        answers = found(of_train, of_test, [row["intent"] for row in train])
        right[name] = numpy.array([row["intent"] for row in test]) == answers
        print(f"{name} ({hello['kernel']}): {100 * right[name].mean():.2f}% of {len(test)}")
    cosines = (vectors["ours"] * vectors["f32"]).sum(1)
    lost = int((right["f32"] & ~right["ours"]).sum())
    won = int((right["ours"] & ~right["f32"]).sum())
    print(f"lost {lost}, won {won}, McNemar p = {mcnemar(lost, won):.2f}")
    print(f"cosine over {len(texts)} texts: mean {cosines.mean():.4f}, least {cosines.min():.4f}")


if __name__ == "__main__":
    main()
