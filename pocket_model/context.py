"""Answers out of a context that the prompt brings: one sentence of it, as it stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocket_model import calling, chat, tooling, values
from pocket_model.conversation import answer, calls, reply, system, talk, user
from pocket_model.families import message
from pocket_model.records import SORTS

if TYPE_CHECKING:
    from random import Random

    from pocket_model.conversation import Conversation

_FORMS = (
    "Answer from the context: {c}\nQuestion: {q}",
    "Answer from the context: {c} Question: {q}",
    "Context: {c}\n\nQuestion: {q}",
    "Context:\n{c}\n\nQuestion: {q}\nAnswer:",
    "Use the context to answer.\nContext: {c}\nQuestion: {q}\nAnswer:",
    "{c}\n\n{q}",
    "{c} {q}",
    (
        "Context information is below.\n---------------------\n{c}\n---------------------\n"
        "Given the context information and not prior knowledge, answer the query.\n"
        "Query: {q}\nAnswer: "
    ),
    (
        "You are an assistant for question-answering tasks. Use the following pieces of retrieved"
        " context to answer the question. If you don't know the answer, just say that you don't"
        " know. Use three sentences maximum and keep the answer concise.\n"
        "Question: {q} \nContext: {c} \nAnswer:"
    ),
    (
        "Use the following pieces of context to answer the question at the end.\n\n{c}\n\n"
        "Question: {q}\nHelpful Answer:"
    ),
    "Answer the question based only on the following context:\n{c}\n\nQuestion: {q}\n",
    "Question: {q}\nContext: {c}",
    "{q}\n\n{c}",
    "Documents:\n{c}\n\nUser question: {q}",
)
_SYSTEM = (
    "Answer from this context: {c}",
    "Use the following context to answer:\n\n{c}",
    "You are a helpful assistant. Context:\n{c}",
    "{c}",
    (
        "Use the given context to answer the question. If you don't know the answer, say you don't "
        "know. Context: {c}"
    ),
)


def fact(random: Random) -> tuple[str, str]:
    """Return a sentence and a question that it answers."""
    if random.random() < 0.55:
        sort = random.choice(SORTS)
        one = random.choice([one for one in sort.properties if one.asked])
        subject = sort.make(random)
        said = f"{subject} {random.choice(one.said).replace('{}', one.make(random))}."
        return said, random.choice(one.asked).replace("{s}", subject)
    what = " ".join(
        random.choice((values.common, values.common, values.word))(random)
        for _ in range(random.choice((1, 2, 2)))
    )
    who = values.name(random)
    value = values.text(random)
    place = values.place(random)
    number = values.number(random)
    day = random.choice((values.date, values.clock))(random)
    return random.choice(
        (
            (
                f"The {what} is called {who}.",
                random.choice(
                    ("Who is the {}?", "What is the {} called?", "What is the name of the {}?")
                ).format(what),
            ),
            (f"The {what} is {who}.", f"Who is the {what}?"),
            (f"The {what} is {value}.", f"What is the {what}?"),
            (
                f"The {what} stands in {place}.",
                random.choice((f"Where is the {what}?", f"Where does the {what} stand?")),
            ),
            (f"The {what} of {place} is {value}.", f"What is the {what} of {place}?"),
            (
                f"The {what} opens at {day}.",
                random.choice((f"When does the {what} open?", f"When is the {what} open?")),
            ),
            (f"The {what} was built in {number}.", f"When was the {what} built?"),
            (
                f"The {what} has {number} {values.common(random)}s.",
                f"How many does the {what} have?",
            ),
            (f"{who} wrote the {what}.", f"Who wrote the {what}?"),
            (f"{who} has lived in {place} since {number}.", f"Where does {who} live?"),
            (
                f"The {what} costs {number}.",
                random.choice((f"How much is the {what}?", f"What does the {what} cost?")),
            ),
            (
                f"{who} keeps the {what} in {place}.",
                random.choice((f"Where is the {what}?", f"Who keeps the {what}?")),
            ),
            (
                f"{who} found the {what} on {day}.",
                random.choice((f"When was the {what} found?", f"Who found the {what}?")),
            ),
            (
                f"{message(random).capitalize()} {what} {message(random)}.",
                f"What about the {what}?",
            ),
        )
    )


def answered(random: Random) -> Conversation:
    """A question, and the sentence of the context that answers it."""
    facts = [fact(random) for _ in range(random.choice((1, 2, 2, 3, 4, 5)))]
    said, question = random.choice(facts)
    texts = [one for one, _ in facts]
    if random.random() < 0.08:
        _, question = fact(random)
        said = "I don't know."
    context = random.choice((" ", " ", "\n", "\n\n", "\n- ")).join(texts)
    if random.random() < 0.15:
        context = "\n\n".join(
            f"Document {number}: {one}" for number, one in enumerate(texts, start=1)
        )
    if random.random() < 0.12:
        context = "\n\n".join(f"file_path: {values.path(random)}\n\n{one}" for one in texts)
    if random.random() < 0.15:
        head = random.choice(_SYSTEM).replace("{c}", context)
        return talk(system(head), user(question), answer(said))
    prompt = random.choice(_FORMS).replace("{q}", question).replace("{c}", context)
    return talk(*chat.preface(random, 0.15), user(prompt), answer(said))


def retrieved(random: Random) -> Conversation:
    """The same by way of a tool that searches documents."""
    facts = [fact(random) for _ in range(random.choice((1, 2, 3)))]
    said, question = random.choice(facts)
    family = calling.family_of(random.choice(("retriever", "search")))
    tool = tooling.tool_of(random, family)
    context = random.choice((" ", "\n\n", "\n")).join(one for one, _ in facts)
    call = (tool.name, tooling.arguments_of(tool, [tooling.json_value("string", question)]))
    if len(facts) == 1:
        said = context
    return talk(
        *chat.preface(random, 0.2),
        user(question),
        calls(call),
        reply(context),
        answer(said),
        tools=tooling.some_tools(random, tool, 2),
    )


def summary(random: Random) -> Conversation:
    """A summary: the first sentence."""
    texts = [fact(random)[0] for _ in range(random.randint(2, 4))]
    form = random.choice(
        (
            "Summarize: {}",
            "Summarise this text: {}",
            "Write a concise summary of the following:\n\n{}",
            "Give a short summary: {}",
            "TL;DR {}",
            'Write a concise summary of the following:\n\n"{}"\n\nCONCISE SUMMARY:',
        )
    )
    return talk(user(form.replace("{}", " ".join(texts))), answer(texts[0]))
