"""Makes a small language model that was never trained, for servers that need one to run.

`tiny_model.py VOCABULARY.gguf OUT.gguf` takes the tokens from a GGUF file that has nothing else, and adds a llama of
two layers with random weights, the same each time. What it says is nonsense; that it is said as a trained model's
answers are is all that is asked of it.
"""

import sys

import gguf
import numpy

WIDTH, FEED_FORWARD, HEADS, LAYERS, CONTEXT = 64, 128, 4, 2, 4096


def main(vocabulary, out):
    reader = gguf.GGUFReader(vocabulary)
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("tiny random llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    for name, field in reader.fields.items():
        if name.startswith("tokenizer.") and name != "tokenizer.chat_template":
            inner = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    n_tokens = len(reader.fields["tokenizer.ggml.tokens"].data)
    random = numpy.random.default_rng(7)

    def add(name, *shape):
        writer.add_tensor(name, random.normal(0, 0.3, shape).astype(numpy.float32))

    def add_norm(name):
        writer.add_tensor(name, numpy.ones(WIDTH, dtype=numpy.float32))

    add("token_embd.weight", n_tokens, WIDTH)
    add("output.weight", n_tokens, WIDTH)
    add_norm("output_norm.weight")
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            add_norm(f"blk.{layer}.{norm}.weight")
        for matrix in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{matrix}.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", FEED_FORWARD, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
