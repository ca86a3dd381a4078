"""The chain of the demo, as a user of LangChain writes it. Knows neither engine nor process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda

from safe_llm.measure import prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.outputs import LLMResult

PROMPT = PromptTemplate.from_template(prompts.TEMPLATE)


def question(number: int) -> dict[str, str]:
    """Return the input of the ``number``-th request."""
    return {"country": prompts.country(number)}


def chain(llm: Runnable[Any, str]) -> Runnable[dict[str, str], str]:
    """Return prompt, model, parser: the one line in which a user changes ``llm``."""
    return PROMPT | llm | StrOutputParser()


def as_llm(complete: Callable[[str], str]) -> Runnable[Any, str]:
    """Make a model of a function from prompt to completion."""
    return RunnableLambda(lambda prompt: complete(prompt.to_string()))


class TokenCount(BaseCallbackHandler):
    """Adds up the tokens that calls report at their end."""

    def __init__(self) -> None:
        self.tokens = 0

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Count one call."""
        del kwargs
        usage = (response.llm_output or {}).get("token_usage", {})
        self.tokens += int(usage.get("completion_tokens", 0))
