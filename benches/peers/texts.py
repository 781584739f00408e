"""Makes the texts that are timed and those whose vectors are compared, from evals/assistant.

    python texts.py TOKENIZER_JSON EVALS_DIR > texts.json

The same rows give the same texts. A text is cut to an exact number of tokens, [CLS] and [SEP]
included, by the model's own tokeniser: words of the rows in their order, then short ones that fill up.
"""

import json
import pathlib
import random
import sys

from tokenizers import Tokenizer

LENGTHS = [8, 32, 128, 256]
TEXTS_A_LENGTH = 24
BATCHES = 4
BATCH_LENGTHS = range(5, 161, 5)
WINDOW_TOKENS = 256
COMPARED_TEXTS = 600
FRAME_TOKENS = 2
FILES = ["test.jsonl", "oos_test.jsonl", "oos_train.jsonl", "train.jsonl"]


def read_rows(folder):
    for name in FILES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "text" in row:
                yield row["text"]


class Cutter:
    """Cuts texts of exact length from a long run of words."""

    def __init__(self, tokenizer, rows):
        words = [word for row in rows for word in row.split() if word.isascii() and word.isalpha()]
        costs = {word: len(tokenizer.encode(word, add_special_tokens=False).ids) for word in set(words)}
        self.words = [(word, costs[word]) for word in words]
        self.tokenizer = tokenizer
        self.choice = random.Random(8)

    def cut(self, tokens):
        left = tokens - FRAME_TOKENS
        chosen = []
        place = self.choice.randrange(len(self.words))
        while left > 0:
            word, cost = self.words[place % len(self.words)]
            if cost <= left:
                chosen.append(word)
                left -= cost
            place += 1
        text = " ".join(chosen)
        assert len(self.tokenizer.encode(text).ids) == tokens, text
        return text


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    rows = list(dict.fromkeys(read_rows(pathlib.Path(sys.argv[2]))))
    cutter = Cutter(tokenizer, rows)
    workloads = [
        {"name": f"{length} tokens", "requests": [[cutter.cut(length)] for _ in range(TEXTS_A_LENGTH)]}
        for length in LENGTHS
    ]
    batches = []
    for _ in range(BATCHES):
        batch = [cutter.cut(length) for length in BATCH_LENGTHS]
        cutter.choice.shuffle(batch)
        batches.append(batch)
    workloads.append({"name": f"batch of {len(BATCH_LENGTHS)}", "requests": batches})
    # A longer text is cut by some contestants and read in several windows by others.
    compared = [text for text in rows if len(tokenizer.encode(text).ids) <= WINDOW_TOKENS][:COMPARED_TEXTS]
    json.dump({"workloads": workloads, "compared": compared}, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
