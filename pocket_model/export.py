"""A trained network as a GGUF file that llama.cpp loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np

from pocket_model import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pocket_model.network import Network, Shape

TEMPLATE = Path(__file__).with_name("template.jinja")
_NAME = "safe_llm pocket model"


def write(network: Network, path: Path) -> None:
    """Write the file; what is there already is replaced in one step."""
    draft = path.with_name(f".{path.name}.draft")
    tensors = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    _write(draft, network.shape, tensors)
    draft.replace(path)


def _write(path: Path, shape: Shape, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(_NAME)
    writer.add_license("MIT")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(vocabulary.SIZE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    _add_vocabulary(writer)
    for name, values in tensors.items():
        _add(writer, name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    texts = [vocabulary.spelled(byte) for byte in range(vocabulary.BYTES)]
    kinds = [gguf.TokenType.NORMAL] * vocabulary.BYTES
    kinds += [gguf.TokenType.CONTROL] * len(vocabulary.CONTROL)
    kinds += [gguf.TokenType.USER_DEFINED] * len(vocabulary.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*texts, *vocabulary.SPECIAL])
    writer.add_token_types(kinds)
    # llama.cpp wants a list of merges. The result of this one is no token, so nothing is merged.
    nul = vocabulary.spelled(0)
    writer.add_token_merges([f"{nul} {nul}"])
    writer.add_bos_token_id(vocabulary.identity(vocabulary.BEGIN))
    writer.add_eos_token_id(vocabulary.identity(vocabulary.END))
    writer.add_pad_token_id(vocabulary.identity(vocabulary.END))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE.read_text())


def _add(writer: gguf.GGUFWriter, name: str, values: NDArray[np.float32]) -> None:
    if values.ndim == 1:
        name = name if name.endswith(".bias") else f"{name}.weight"
        writer.add_tensor(name, values.astype(np.float32))
        return
    packed = gguf.quants.quantize(values.astype(np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
