"""The network: a small llama, as llama.cpp computes it, and how it begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody who uses torch writes it
from torch import Tensor, nn

from pocket_model import beginning, vocabulary

MATRIX = 2  # dimensions


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a network; widths are multiples of 32, the block of the file's numbers."""

    layers: int = 5
    width: int = 256
    heads: int = 8
    hidden: int = 384
    rope_base: float = 1e10
    epsilon: float = 1e-5
    context: int = 4096

    @property
    def head(self) -> int:
        """The width of a head."""
        return self.width // self.heads

    def as_dict(self) -> dict[str, float]:
        """The sizes by name."""
        return asdict(self)


def rotations(positions: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the angles by which positions turn queries and keys."""
    pairs = torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head
    angles = positions[..., None].float() * shape.rope_base**-pairs
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn neighbouring pairs, as llama.cpp does for the architecture llama."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Block(nn.Module):
    """Attention and feed-forward, each with its norm and its residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.attn_norm = nn.Parameter(torch.ones(width))
        self.ffn_norm = nn.Parameter(torch.ones(width))
        self.attn_q = nn.Linear(width, width)
        self.attn_k = nn.Linear(width, width)
        self.attn_v = nn.Linear(width, width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_gate = nn.Linear(width, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the residual stream after this block."""
        x = x + self._attention(F.rms_norm(x, x.shape[-1:], self.attn_norm, 1e-5), cos, sin)
        y = F.rms_norm(x, x.shape[-1:], self.ffn_norm, 1e-5)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))

    def _attention(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, length, width = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, self.shape.heads, self.shape.head).transpose(1, 2)

        query = rotate(heads(self.attn_q(x)), cos, sin)
        key = rotate(heads(self.attn_k(x)), cos, sin)
        mixed = F.scaled_dot_product_attention(query, key, heads(self.attn_v(x)), is_causal=True)
        return self.attn_output(mixed.transpose(1, 2).reshape(rows, length, width))


class Network(nn.Module):
    """Tokens and their positions to logits of the next token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(vocabulary.SIZE, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.width))
        self.output = nn.Linear(shape.width, vocabulary.SIZE, bias=False)
        self._begin()

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return logits for each place; both arguments are (rows, length)."""
        return self.output(self.hidden(tokens, positions))

    def hidden(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return what the output matrix reads."""
        cos, sin = (one[:, None] for one in rotations(positions, self.shape))
        x = self.token_embd(tokens)
        for block in self.blk:
            x = block(x, cos, sin)
        return F.rms_norm(x, x.shape[-1:], self.output_norm, 1e-5)

    def _begin(self) -> None:
        deep = (2 * self.shape.layers) ** -0.5
        for block in self.blk:
            for name, parameter in block.named_parameters():
                if parameter.dim() == MATRIX:
                    nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
                    if name.startswith(("attn_output", "ffn_down")):
                        parameter.data.mul_(deep)
                elif name.endswith("bias"):
                    nn.init.zeros_(parameter)
        beginning.begin(self)
